/*
 * pmon's table: words separated by blanks, two header lines that start with '#' (names,
 * then units). The command stands last, may hold blanks, and is not read.
 */
#include "source/nvsmi/smi_pmon.h"

enum { WORDS_MAX = 24 };

static const char *const column_names[SMI_PMON_COLUMNS] = {
    [SMI_PMON_GPU] = "gpu",
    [SMI_PMON_PID] = "pid",
    [SMI_PMON_TYPE] = "type",
    [SMI_PMON_SM] = "sm",
    [SMI_PMON_MEMORY_BANDWIDTH] = "mem",
    [SMI_PMON_ENCODER] = "enc",
    [SMI_PMON_DECODER] = "dec",
    [SMI_PMON_FRAMEBUFFER] = "fb",
};

/* The first WORDS_MAX words of LINE. Return: how many. */
static size_t split_words(struct str line, struct str words[WORDS_MAX])
{
    size_t count = 0;
    for (struct str word; count < WORDS_MAX && str_split(&line, ' ', &word);) {
        if (word.n)
            words[count++] = word;
    }
    return count;
}

/* LINE is what follows the '#'. The one without "gpu" and "pid" has the units. */
static void read_header(struct smi_pmon *pmon, struct str line)
{
    struct str words[WORDS_MAX];
    size_t count = split_words(line, words);
    int8_t word_of[SMI_PMON_COLUMNS];
    for (size_t c = 0; c < SMI_PMON_COLUMNS; c++) {
        word_of[c] = -1;
        for (size_t i = 0; i < count && word_of[c] < 0; i++) {
            if (str_equal(words[i], str_from(column_names[c])))
                word_of[c] = (int8_t)i;
        }
    }
    if (word_of[SMI_PMON_GPU] < 0 || word_of[SMI_PMON_PID] < 0)
        return;
    memcpy(pmon->word_of, word_of, sizeof word_of);
    pmon->has_header = true;
}

/* The word of COLUMN; p == NULL when the table has no such column. */
static struct str word_at(const struct smi_pmon *pmon, const struct str *words,
                          int column)
{
    return pmon->word_of[column] < 0 ? (struct str){NULL, 0}
                                     : words[pmon->word_of[column]];
}

static struct value_double percent_of(struct str word)
{
    uint64_t percent;
    if (!word.p)
        return (struct value_double){.state = VALUE_UNSUPPORTED};
    if (str_equal(word, STR("-")))
        return value_double_ok(0);
    /* Values past 100 are sampling accidents of the driver, not work. */
    if (!str_u64(word, &percent) || percent > 100)
        return (struct value_double){.state = VALUE_ERROR};
    return value_double_ok((double)percent);
}

/* In MiB, though the header says MB. */
static struct value_u64 memory_of(struct str word)
{
    uint64_t bytes;
    if (!word.p || str_equal(word, STR("-")))
        return (struct value_u64){.state = VALUE_UNSUPPORTED};
    if (!str_u64(word, &bytes) ||
        __builtin_mul_overflow(bytes, UINT64_C(1024) * 1024, &bytes))
        return (struct value_u64){.state = VALUE_ERROR};
    return value_u64_ok(bytes);
}

/* "C", "G", "C+G", "M+C" */
static unsigned kinds_of(struct str word)
{
    return (str_find(word, 'C') >= 0 ? PROCESS_COMPUTE : 0U) |
           (str_find(word, 'M') >= 0 ? PROCESS_MPS : 0U) |
           (str_find(word, 'G') >= 0 ? PROCESS_GRAPHICS : 0U);
}

static size_t words_needed(const struct smi_pmon *pmon)
{
    int last = 0;
    for (size_t c = 0; c < SMI_PMON_COLUMNS; c++)
        last = pmon->word_of[c] > last ? pmon->word_of[c] : last;
    return (size_t)last + 1;
}

/* Return: false when LINE has no process in it. */
static bool read_row(struct smi_pmon *pmon, struct str line, struct smi_pmon_row *row)
{
    struct str words[WORDS_MAX];
    uint32_t gpu;
    uint32_t pid;
    if (!pmon->has_header || split_words(line, words) < words_needed(pmon) ||
        !str_u32(word_at(pmon, words, SMI_PMON_GPU), &gpu)) {
        pmon->malformed_rows++;
        return false;
    }
    struct str pid_word = word_at(pmon, words, SMI_PMON_PID);
    if (str_equal(pid_word, STR("-")))
        return false;
    if (!str_u32(pid_word, &pid) || pid == 0) {
        pmon->malformed_rows++;
        return false;
    }
    *row = (struct smi_pmon_row){
        .gpu = gpu,
        .pid = pid,
        .kinds = kinds_of(word_at(pmon, words, SMI_PMON_TYPE)),
        .sm_percent = percent_of(word_at(pmon, words, SMI_PMON_SM)),
        .memory_bandwidth_percent =
            percent_of(word_at(pmon, words, SMI_PMON_MEMORY_BANDWIDTH)),
        .encoder_percent = percent_of(word_at(pmon, words, SMI_PMON_ENCODER)),
        .decoder_percent = percent_of(word_at(pmon, words, SMI_PMON_DECODER)),
        .memory_used_bytes = memory_of(word_at(pmon, words, SMI_PMON_FRAMEBUFFER)),
    };
    return true;
}

bool smi_pmon_next(struct smi_pmon *pmon, struct smi_pmon_row *row)
{
    for (struct str line; str_split(&pmon->rest, '\n', &line);) {
        line = str_trim(line);
        if (line.n == 0 || str_starts(line, STR("WARNING:")))
            continue;
        if (line.p[0] == '#')
            read_header(pmon, str_part(line, 1, line.n - 1));
        else if (read_row(pmon, line, row))
            return true;
    }
    return false;
}
