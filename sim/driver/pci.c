/* Hexadecimal fields between ':' and '.'; the function is read and dropped. */
#include "sim/driver/pci.h"

#include <ctype.h>
#include <stddef.h>

enum { FIELDS_MAX = 3, HEX_DIGITS_MAX = 8 };

static uint32_t hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    return (uint32_t)(tolower((unsigned char)c) - 'a' + 10);
}

/* Reads one to eight digits and moves *CURSOR behind them. */
static bool hex_read(const char **cursor, uint32_t *value)
{
    const char *p = *cursor;
    *value = 0;
    for (; isxdigit((unsigned char)*p) && p - *cursor < HEX_DIGITS_MAX; p++)
        *value = *value << 4 | hex_digit(*p);
    bool is_any = p != *cursor;
    *cursor = p;
    return is_any;
}

static bool function_read(const char **cursor)
{
    uint32_t function;
    if (**cursor != '.')
        return false;
    ++*cursor;
    return hex_read(cursor, &function) && function < 8;
}

bool pci_parse(const char *text, struct pci_address *address)
{
    uint32_t fields[FIELDS_MAX];
    size_t count = 0;
    do {
        if (count == FIELDS_MAX || !hex_read(&text, &fields[count]))
            return false;
        count++;
    } while (*text == ':' && *text++);
    bool has_function = function_read(&text);
    if (*text != '\0' || count < 2 || (count == 2 && !has_function))
        return false;
    *address = (struct pci_address){count == 3 ? fields[0] : 0, fields[count - 2],
                                    fields[count - 1]};
    return true;
}
