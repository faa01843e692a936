/*
 * Lists of "name;parameter=value;q=0.5" from clients of every kind. An element that makes
 * no sense is passed over: a client that asks oddly gets the plain form, never an error.
 */
#include "server/negotiate.h"

#include <strings.h>

/* Weights in thousandths, as the grammar has at most three decimals. */
enum { WEIGHT_UNSET = -1, WEIGHT_NONE = 0, WEIGHT_FULL = 1000 };

struct element {
    struct str name;
    struct str version; /* p is NULL when there is none */
    int weight;
};

static bool equals(struct str text, const char *word)
{
    return text.n == strlen(word) && strncasecmp(text.p, word, text.n) == 0;
}

/* "1", "0.25", "1.000"; false for anything else. */
static bool parse_weight(struct str text, int *weight)
{
    if (!text.n || text.n > 5 || (text.p[0] != '0' && text.p[0] != '1') ||
        (text.n > 1 && text.p[1] != '.'))
        return false;
    int value = (text.p[0] - '0') * WEIGHT_FULL;
    int place = WEIGHT_FULL / 10;
    for (size_t i = 2; i < text.n; i++, place /= 10) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        value += (text.p[i] - '0') * place;
    }
    *weight = value;
    return value <= WEIGHT_FULL;
}

static struct str without_quotes(struct str text)
{
    bool is_quoted = text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"';
    return is_quoted ? str_part(text, 1, text.n - 2) : text;
}

/* Return: false when the element is to be passed over. */
static bool parse_element(struct str text, struct element *element)
{
    struct str part;
    if (!str_split(&text, ';', &part))
        return false;
    *element = (struct element){.name = str_trim(part), .weight = WEIGHT_FULL};
    while (str_split(&text, ';', &part)) {
        struct str name;
        (void)str_split(&part, '=', &name);
        struct str value = part.p ? without_quotes(str_trim(part)) : STR("");
        name = str_trim(name);
        if (equals(name, "version"))
            element->version = value;
        else if (equals(name, "q") && !parse_weight(value, &element->weight))
            return false;
    }
    return element->name.n > 0;
}

static bool is_text(const struct element *element)
{
    return equals(element->name, "text/plain") &&
           (!element->version.p || str_equal(element->version, STR("0.0.4")));
}

static bool is_openmetrics(const struct element *element)
{
    return equals(element->name, "application/openmetrics-text") &&
           str_equal(element->version, STR("1.0.0"));
}

static void raise_to(int *weight, int value)
{
    if (value > *weight)
        *weight = value;
}

static int first_set(int a, int b, int otherwise)
{
    if (a != WEIGHT_UNSET)
        return a;
    return b != WEIGHT_UNSET ? b : otherwise;
}

enum exposition negotiate_exposition(struct str accept)
{
    int openmetrics = WEIGHT_NONE;
    int text = WEIGHT_UNSET;
    int any_text = WEIGHT_UNSET;
    int any = WEIGHT_UNSET;
    struct str part;
    while (str_split(&accept, ',', &part)) {
        struct element element;
        if (!parse_element(part, &element))
            continue;
        if (is_openmetrics(&element))
            raise_to(&openmetrics, element.weight);
        else if (is_text(&element))
            raise_to(&text, element.weight);
        else if (equals(element.name, "text/*"))
            raise_to(&any_text, element.weight);
        else if (equals(element.name, "*/*"))
            raise_to(&any, element.weight);
    }
    int plain = first_set(text, any_text, any);
    return openmetrics > WEIGHT_NONE && openmetrics >= plain ? EXPOSITION_OPENMETRICS
                                                             : EXPOSITION_TEXT;
}

enum coding negotiate_coding(struct str accept_encoding)
{
    int gzip = WEIGHT_UNSET;
    int identity = WEIGHT_UNSET;
    int any = WEIGHT_UNSET;
    struct str part;
    while (str_split(&accept_encoding, ',', &part)) {
        struct element element;
        if (!parse_element(part, &element))
            continue;
        if (equals(element.name, "gzip") || equals(element.name, "x-gzip"))
            raise_to(&gzip, element.weight);
        else if (equals(element.name, "identity"))
            raise_to(&identity, element.weight);
        else if (equals(element.name, "*"))
            raise_to(&any, element.weight);
    }
    gzip = first_set(gzip, any, WEIGHT_NONE);
    return gzip > WEIGHT_NONE && gzip >= identity ? CODING_GZIP : CODING_IDENTITY;
}
