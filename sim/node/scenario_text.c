/*
 * Scalars of a scenario. Nothing here allocates except through the caller's buffer, and
 * no function accepts trailing text: a mistyped scenario is refused, not guessed at.
 */
#include "sim/node/scenario_text.h"

#include "base/cleanup.h"
#include "source/nvml/nvml_abi.h"

#define LARGEST_SIZE_BYTES ((double)(UINT64_C(1) << 56U))
#define LONGEST_SECONDS (10.0 * 365 * 86400)

struct unit {
    const char *name;
    double factor;
};

/* Splits "1.5 GiB" into number and unit; an absent unit has factor 1. */
static bool parse_quantity(struct str text, const struct unit *units, size_t unit_count,
                           double *value)
{
    text = str_trim(text);
    size_t digits = 0;
    while (digits < text.n && text.p[digits] && strchr("+-.0123456789", text.p[digits]))
        digits++;
    double number;
    if (!str_double(str_part(text, 0, digits), &number))
        return false;
    struct str unit = str_trim(str_part(text, digits, text.n - digits));
    if (unit.n == 0) {
        *value = number;
        return true;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (str_equal(unit, str_from(units[i].name))) {
            *value = number * units[i].factor;
            return true;
        }
    }
    return false;
}

bool scenario_text_size(struct str text, uint64_t *bytes)
{
    static const struct unit units[] = {
        {"B", 1}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
    if (str_equal(text, STR("none"))) {
        *bytes = UINT64_MAX;
        return true;
    }
    double value;
    if (!parse_quantity(text, units, ARRAY_LENGTH(units), &value) || value < 0 ||
        value >= LARGEST_SIZE_BYTES)
        return false;
    *bytes = (uint64_t)value;
    return true;
}

bool scenario_text_seconds(struct str text, double *seconds)
{
    static const struct unit units[] = {
        {"s", 1}, {"m", 60.0}, {"h", 3600.0}, {"d", 86400.0}};
    double value;
    if (!parse_quantity(text, units, ARRAY_LENGTH(units), &value) ||
        value > LONGEST_SECONDS || value < -LONGEST_SECONDS)
        return false;
    *seconds = value;
    return true;
}

/* The next blank-separated word of *REST; false at the end. */
static bool next_word(struct str *rest, struct str *word)
{
    *rest = str_trim(*rest);
    if (rest->n == 0)
        return false;
    ptrdiff_t end = str_find(*rest, ' ');
    size_t length = end < 0 ? rest->n : (size_t)end;
    *word = str_part(*rest, 0, length);
    *rest = str_part(*rest, length, rest->n - length);
    return true;
}

static double *load_field(struct sim_load *load, struct str name)
{
    if (str_equal(name, STR("amplitude")))
        return &load->amplitude_percent;
    if (str_equal(name, STR("period")))
        return &load->period_seconds;
    if (str_equal(name, STR("phase")))
        return &load->phase;
    return NULL;
}

static bool in_load_range(double value)
{
    return value >= -1e6 && value <= 1e6;
}

bool scenario_text_load(struct str text, struct sim_load *load)
{
    struct sim_load result = {0};
    struct str name;
    struct str value;
    if (!next_word(&text, &value) || !str_double(value, &result.base_percent) ||
        !in_load_range(result.base_percent))
        return false;
    while (next_word(&text, &name)) {
        double *field = load_field(&result, name);
        if (!field || !next_word(&text, &value) || !str_double(value, field) ||
            !in_load_range(*field))
            return false;
    }
    if (result.period_seconds < 0)
        return false;
    *load = result;
    return true;
}

/* "3" or "2-5" as FIRST..LAST, both inclusive. */
static bool parse_range(struct str text, uint32_t *first, uint32_t *last)
{
    ptrdiff_t dash = str_find(text, '-');
    if (dash < 0) {
        bool is_number = str_u32(str_trim(text), first);
        *last = *first;
        return is_number;
    }
    size_t at = (size_t)dash;
    return str_u32(str_trim(str_part(text, 0, at)), first) &&
           str_u32(str_trim(str_part(text, at + 1, text.n - at - 1)), last) &&
           *first <= *last;
}

bool scenario_text_positions(struct str text, uint32_t limit, uint32_t *positions,
                             size_t capacity, size_t *count)
{
    size_t n = 0;
    struct str part;
    while (str_split(&text, ',', &part)) {
        uint32_t first = 0;
        uint32_t last = 0;
        if (str_equal(str_trim(part), STR("all")) && limit > 0)
            last = limit - 1;
        else if (!parse_range(part, &first, &last))
            return false;
        if (last >= limit || last - first >= capacity - n)
            return false;
        for (uint32_t i = first; i <= last; i++)
            positions[n++] = i;
    }
    *count = n;
    return n > 0;
}

/* Reads "n", then operators with numbers, up to '}'. Return: bytes consumed with the
 * brace, 0 when this is no expression. */
static size_t evaluate_expression(struct str text, uint64_t n, uint64_t *value)
{
    if (text.n < 2 || text.p[0] != 'n')
        return 0;
    size_t at = 1;
    *value = n;
    while (at < text.n && text.p[at] != '}') {
        char operation = text.p[at++];
        size_t from = at;
        while (at < text.n && text.p[at] >= '0' && text.p[at] <= '9')
            at++;
        uint32_t operand;
        if (!str_u32(str_part(text, from, at - from), &operand))
            return 0;
        if (operation == '%' && operand)
            *value %= operand;
        else if (operation == '/' && operand)
            *value /= operand;
        else if (operation == '+')
            *value += operand;
        else if (operation == '*')
            *value *= operand;
        else
            return 0;
    }
    return at < text.n ? at + 1 : 0;
}

void scenario_text_expand(struct buf *buf, struct str text, uint64_t n)
{
    while (text.n) {
        uint64_t value = 0;
        size_t used = text.p[0] == '{'
                          ? evaluate_expression(str_part(text, 1, text.n - 1), n, &value)
                          : 0;
        if (used)
            buf_append_u64(buf, value);
        else
            buf_append_char(buf, text.p[0]);
        text = str_part(text, used + 1, text.n - used - 1);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool scenario_text_bytes(struct buf *buf, struct str hex)
{
    for (size_t i = 0; i < hex.n; i++) {
        if (hex.p[i] == ' ')
            continue;
        int high = hex_digit(hex.p[i]);
        int low = i + 1 < hex.n ? hex_digit(hex.p[i + 1]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return false;
        buf_append_char(buf, (char)(high * 16 + low));
        i++;
    }
    return true;
}

bool scenario_text_code(struct str text, uint32_t *code)
{
    static const struct {
        const char *name;
        nvmlReturn_t code;
    } codes[] = {
        {"SUCCESS", NVML_SUCCESS},
        {"UNINITIALIZED", NVML_ERROR_UNINITIALIZED},
        {"INVALID_ARGUMENT", NVML_ERROR_INVALID_ARGUMENT},
        {"NOT_SUPPORTED", NVML_ERROR_NOT_SUPPORTED},
        {"NO_PERMISSION", NVML_ERROR_NO_PERMISSION},
        {"ALREADY_INITIALIZED", NVML_ERROR_ALREADY_INITIALIZED},
        {"NOT_FOUND", NVML_ERROR_NOT_FOUND},
        {"INSUFFICIENT_SIZE", NVML_ERROR_INSUFFICIENT_SIZE},
        {"INSUFFICIENT_POWER", NVML_ERROR_INSUFFICIENT_POWER},
        {"DRIVER_NOT_LOADED", NVML_ERROR_DRIVER_NOT_LOADED},
        {"TIMEOUT", NVML_ERROR_TIMEOUT},
        {"IRQ_ISSUE", NVML_ERROR_IRQ_ISSUE},
        {"LIBRARY_NOT_FOUND", NVML_ERROR_LIBRARY_NOT_FOUND},
        {"FUNCTION_NOT_FOUND", NVML_ERROR_FUNCTION_NOT_FOUND},
        {"CORRUPTED_INFOROM", NVML_ERROR_CORRUPTED_INFOROM},
        {"GPU_IS_LOST", NVML_ERROR_GPU_IS_LOST},
        {"RESET_REQUIRED", NVML_ERROR_RESET_REQUIRED},
        {"OPERATING_SYSTEM", NVML_ERROR_OPERATING_SYSTEM},
        {"LIB_RM_VERSION_MISMATCH", NVML_ERROR_LIB_RM_VERSION_MISMATCH},
        {"IN_USE", NVML_ERROR_IN_USE},
        {"MEMORY", NVML_ERROR_MEMORY},
        {"NO_DATA", NVML_ERROR_NO_DATA},
        {"VGPU_ECC_NOT_SUPPORTED", NVML_ERROR_VGPU_ECC_NOT_SUPPORTED},
        {"INSUFFICIENT_RESOURCES", NVML_ERROR_INSUFFICIENT_RESOURCES},
        {"FREQ_NOT_SUPPORTED", NVML_ERROR_FREQ_NOT_SUPPORTED},
        {"ARGUMENT_VERSION_MISMATCH", NVML_ERROR_ARGUMENT_VERSION_MISMATCH},
        {"DEPRECATED", NVML_ERROR_DEPRECATED},
        {"NOT_READY", NVML_ERROR_NOT_READY},
        {"GPU_NOT_FOUND", NVML_ERROR_GPU_NOT_FOUND},
        {"INVALID_STATE", NVML_ERROR_INVALID_STATE},
        {"RESET_TYPE_NOT_SUPPORTED", NVML_ERROR_RESET_TYPE_NOT_SUPPORTED},
        {"UNKNOWN", NVML_ERROR_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        if (str_equal(text, str_from(codes[i].name))) {
            *code = (uint32_t)codes[i].code;
            return true;
        }
    }
    return str_u32(text, code);
}
