/*
 * nvidia-smi's CSV: header names up to " [", rows by position, and the many words that
 * stand where a value should be.
 */
#include "source/nvsmi/smi_csv.h"

#include "base/cleanup.h"

#include <errno.h>

enum app_column { APP_GPU_UUID, APP_PID, APP_MEMORY_USED };

/* Columns by their names in a header; the first REQUIRED of them must be there. */
struct columns {
    const char *names[SMI_GPU_COLUMNS]; /* NULL: this table has fewer */
    size_t required;
};

static const struct columns gpu_columns = {
    .required = SMI_GPU_UUID + 1,
    .names = {
        [SMI_GPU_INDEX] = "index",
        [SMI_GPU_UUID] = "uuid",
        [SMI_GPU_NAME] = "name",
        [SMI_GPU_PCI_BUS_ID] = "pci.bus_id",
        [SMI_GPU_DRIVER_VERSION] = "driver_version",
        [SMI_GPU_MIG_MODE] = "mig.mode.current",
        [SMI_GPU_MEMORY_TOTAL] = "memory.total",
        [SMI_GPU_MEMORY_USED] = "memory.used",
        [SMI_GPU_UTILIZATION] = "utilization.gpu",
        [SMI_GPU_POWER] = "power.draw",
        [SMI_GPU_TEMPERATURE] = "temperature.gpu",
    }};

static const struct columns app_columns = {.required = APP_PID + 1,
                                           .names = {
                                               [APP_GPU_UUID] = "gpu_uuid",
                                               [APP_PID] = "pid",
                                               [APP_MEMORY_USED] = "used_gpu_memory",
                                           }};

const char *smi_gpu_column_name(enum smi_gpu_column column)
{
    return gpu_columns.names[column];
}

static bool is_bracketed(struct str token)
{
    return token.n >= 2 && token.p[0] == '[' && token.p[token.n - 1] == ']';
}

enum value_state smi_token_state(struct str token)
{
    if (str_equal(token, STR("[Insufficient Permissions]")))
        return VALUE_DENIED;
    if (str_equal(token, STR("[N/A]")) || str_equal(token, STR("N/A")) ||
        str_equal(token, STR("[Not Supported]")) ||
        str_equal(token, STR("[Requested functionality has been deprecated]")))
        return VALUE_UNSUPPORTED;
    return token.n == 0 || is_bracketed(token) ? VALUE_ERROR : VALUE_OK;
}

/* Return: the number of cells of LINE, SMI_CSV_CELLS_MAX + 1 when there are more. */
static size_t split_cells(struct str line, struct str cells[SMI_CSV_CELLS_MAX])
{
    size_t count = 0;
    for (struct str cell; str_split(&line, ',', &cell); count++) {
        if (count == SMI_CSV_CELLS_MAX)
            return SMI_CSV_CELLS_MAX + 1;
        cells[count] = str_trim(cell);
    }
    return count;
}

/* "memory.total [MiB]" is the column "memory.total": newer and older releases disagree on
 * whether and how the unit stands in the header. */
static struct str column_name(struct str cell)
{
    ptrdiff_t unit = str_find_text(cell, STR(" ["));
    return unit < 0 ? cell : str_part(cell, 0, (size_t)unit);
}

/* The cell that names column NAME, or -1. */
static int8_t place_of(const char *name, const struct str *cells, size_t count)
{
    for (size_t i = 0; name && i < count; i++) {
        if (str_equal(column_name(cells[i]), str_from(name)))
            return (int8_t)i;
    }
    return -1;
}

/* Takes LINE as the header. Return: false when a required column is not in it. */
static bool read_header(struct smi_csv *csv, const struct columns *columns,
                        struct str line)
{
    struct str cells[SMI_CSV_CELLS_MAX];
    csv->cell_count = split_cells(line, cells);
    if (csv->cell_count > SMI_CSV_CELLS_MAX)
        return false;
    for (size_t c = 0; c < SMI_GPU_COLUMNS; c++) {
        csv->cell_of[c] = place_of(columns->names[c], cells, csv->cell_count);
        if (c < columns->required && csv->cell_of[c] < 0)
            return false;
    }
    return true;
}

static int csv_open(struct smi_csv *csv, const struct columns *columns, struct str text,
                    struct err *err)
{
    struct smi_csv opened = {.rest = text};
    for (struct str line; str_split(&opened.rest, '\n', &line);) {
        if (read_header(&opened, columns, line)) {
            *csv = opened;
            return 0;
        }
    }
    return err_set(err, EBADMSG, ERR_PARSE, 0,
                   "no table with a column \"%s\" in what nvidia-smi printed",
                   columns->names[0]);
}

/* Cells of the next row. Return: false after the last one. */
static bool next_row(struct smi_csv *csv, struct str cells[SMI_CSV_CELLS_MAX])
{
    for (struct str line; str_split(&csv->rest, '\n', &line);) {
        line = str_trim(line);
        /* "WARNING: infoROM is corrupted at gpu …" stands after a table that is valid. */
        if (line.n == 0 || str_starts(line, STR("WARNING:")))
            continue;
        if (split_cells(line, cells) == csv->cell_count)
            return true;
        csv->malformed_rows++;
    }
    return false;
}

/* The cell of COLUMN; one that the driver does not know reads as "[N/A]". */
static struct str cell_at(const struct smi_csv *csv, const struct str *cells, int column)
{
    return csv->cell_of[column] < 0 ? STR("[N/A]") : cells[csv->cell_of[column]];
}

static struct str text_of(struct str cell)
{
    return smi_token_state(cell) == VALUE_OK ? cell : (struct str){NULL, 0};
}

/* "143771 MiB": any unit but that one is not guessed at. */
static struct value_u64 memory_of(struct str cell)
{
    struct value_u64 value = {.state = smi_token_state(cell)};
    if (value.state != VALUE_OK)
        return value;
    struct str number;
    (void)str_split(&cell, ' ', &number);
    uint64_t bytes;
    if (!str_equal(cell, STR("MiB")) || !str_u64(number, &bytes) ||
        __builtin_mul_overflow(bytes, UINT64_C(1024) * 1024, &bytes))
        return (struct value_u64){.state = VALUE_ERROR};
    return value_u64_ok(bytes);
}

/* "71.35 W", "41 %", "35": a number from 0 to LARGEST, followed by UNIT ("" for none). */
static struct value_double quantity_of(struct str cell, struct str unit, double largest)
{
    struct value_double value = {.state = smi_token_state(cell)};
    if (value.state != VALUE_OK)
        return value;
    struct str number;
    (void)str_split(&cell, ' ', &number);
    double v;
    if (!str_equal(cell, unit) || !str_double(number, &v) || v < 0 || v > largest)
        return (struct value_double){.state = VALUE_ERROR};
    return value_double_ok(v);
}

/* A GPU that fell off the bus says so in every cell it can no longer fill. */
static struct str fault_of(const struct str *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(cells[i], STR("[GPU is lost]")) ||
            str_equal(cells[i], STR("[GPU requires reset]")))
            return str_part(cells[i], 1, cells[i].n - 2);
    }
    return (struct str){NULL, 0};
}

int smi_csv_open_gpus(struct smi_csv *csv, struct str text, struct err *err)
{
    return csv_open(csv, &gpu_columns, text, err);
}

bool smi_csv_next_gpu(struct smi_csv *csv, struct smi_gpu *gpu)
{
    enum { HOTTEST_CELSIUS = 1000, STRONGEST_WATTS = 100000 };
    struct str cells[SMI_CSV_CELLS_MAX];
    while (next_row(csv, cells)) {
        uint32_t index;
        if (!str_u32(cell_at(csv, cells, SMI_GPU_INDEX), &index)) {
            csv->malformed_rows++;
            continue;
        }
#define CELL(column) cell_at(csv, cells, (column))
        *gpu = (struct smi_gpu){
            .index = index,
            .uuid = text_of(CELL(SMI_GPU_UUID)),
            .name = text_of(CELL(SMI_GPU_NAME)),
            .pci_bus_id = text_of(CELL(SMI_GPU_PCI_BUS_ID)),
            .driver_version = text_of(CELL(SMI_GPU_DRIVER_VERSION)),
            .has_mig_mode = str_equal(CELL(SMI_GPU_MIG_MODE), STR("Enabled")),
            .fault = fault_of(cells, csv->cell_count),
            .memory_total_bytes = memory_of(CELL(SMI_GPU_MEMORY_TOTAL)),
            .memory_used_bytes = memory_of(CELL(SMI_GPU_MEMORY_USED)),
            .utilization_percent = quantity_of(CELL(SMI_GPU_UTILIZATION), STR("%"), 100),
            .power_watts = quantity_of(CELL(SMI_GPU_POWER), STR("W"), STRONGEST_WATTS),
            .temperature_celsius =
                quantity_of(CELL(SMI_GPU_TEMPERATURE), STR(""), HOTTEST_CELSIUS),
        };
#undef CELL
        return true;
    }
    return false;
}

int smi_csv_open_apps(struct smi_csv *csv, struct str text, struct err *err)
{
    return csv_open(csv, &app_columns, text, err);
}

bool smi_csv_next_app(struct smi_csv *csv, struct smi_app *app)
{
    struct str cells[SMI_CSV_CELLS_MAX];
    while (next_row(csv, cells)) {
        uint32_t pid;
        struct str uuid = text_of(cell_at(csv, cells, APP_GPU_UUID));
        if (!uuid.p || !str_u32(cell_at(csv, cells, APP_PID), &pid) || pid == 0) {
            csv->malformed_rows++;
            continue;
        }
        *app = (struct smi_app){
            .gpu_uuid = uuid,
            .pid = pid,
            .memory_used_bytes = memory_of(cell_at(csv, cells, APP_MEMORY_USED)),
        };
        return true;
    }
    return false;
}
