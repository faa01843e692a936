/*
 * libyaml's tree, read by tables of keys.
 *
 * The text may hold a private key: the scalars of the tree are wiped before they are
 * released. What libyaml copied while it was scanning lies beyond our reach, so a key is
 * better kept in a file of its own.
 */
#include "server/yaml_reader.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static struct str scalar_text(const yaml_node_t *node)
{
    return (struct str){(const char *)node->data.scalar.value, node->data.scalar.length};
}

static bool str_is_any(struct str text, const char *const words[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(text, str_from(words[i])))
            return true;
    }
    return false;
}

bool yaml_is_null(const yaml_node_t *value)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    return value->type == YAML_SCALAR_NODE &&
           value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           str_is_any(scalar_text(value), words, ARRAY_LENGTH(words));
}

int yaml_refuse(const struct yaml_reader *reader, const yaml_node_t *at, struct err *err,
                const char *format, ...)
{
    char words[ERR_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    const char *dot = reader->section[0] && reader->key ? "." : "";
    const char *key = reader->key ? reader->key : "";
    const char *colon = reader->section[0] || key[0] ? ": " : "";
    return err_set(err, EBADMSG, ERR_PARSE, 0, "%s:%zu: %s%s%s%s%s", reader->name,
                   at->start_mark.line + 1, reader->section, dot, key, colon, words);
}

static int refuse_syntax(const yaml_parser_t *parser, const char *name, struct err *err)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "%s: out of memory", name);
    /* The reader knows the byte, the others the line. */
    size_t line = parser->error == YAML_READER_ERROR ? parser->mark.line
                                                     : parser->problem_mark.line;
    return err_set(err, EBADMSG, ERR_PARSE, 0, "%s:%zu: not valid YAML: %s", name,
                   line + 1, parser->problem ? parser->problem : "broken off");
}

/* Go's reader would silently leave out what follows; here it is an error. */
static int refuse_more(yaml_parser_t *parser, const char *name, struct err *err)
{
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next))
        return refuse_syntax(parser, name, err);
    bool is_more = yaml_document_get_root_node(&next) != NULL;
    yaml_document_delete(&next);
    if (is_more)
        return err_set(err, EBADMSG, ERR_PARSE, 0,
                       "%s: has a second document after \"---\"; remove it", name);
    return 0;
}

int yaml_reader_parse(struct yaml_reader *reader, struct arena *arena, const char *name,
                      struct str text, yaml_node_t **root, struct err *err)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "%s: out of memory", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    *reader = (struct yaml_reader){.arena = arena, .name = name, .section = ""};
    int rc = 0;
    if (!yaml_parser_load(&parser, &reader->document)) {
        rc = refuse_syntax(&parser, name, err);
    } else {
        *root = yaml_document_get_root_node(&reader->document);
        /* An empty stream has no document, and cannot be asked for another one. */
        if (*root)
            rc = refuse_more(&parser, name, err);
        if (rc != 0)
            yaml_reader_done(reader);
    }
    yaml_parser_delete(&parser);
    return rc;
}

void yaml_reader_done(struct yaml_reader *reader)
{
    yaml_document_t *document = &reader->document;
    for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++) {
        if (node->type == YAML_SCALAR_NODE)
            explicit_bzero(node->data.scalar.value, node->data.scalar.length);
    }
    yaml_document_delete(document);
}

static const struct yaml_key *find_key(const struct yaml_key *keys, size_t count,
                                       struct str key)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(key, str_from(keys[i].key)))
            return &keys[i];
    }
    return NULL;
}

static int refuse_unknown(struct yaml_reader *reader, yaml_node_t *node,
                          const struct yaml_key *keys, size_t count, struct err *err)
{
    struct str key = scalar_text(node);
    char known[256] = "";
    for (size_t i = 0, used = 0; i < count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 keys[i].key);
    return yaml_refuse(reader, node, err, "unknown key \"%.*s\"; known are %s",
                       (int)(key.n < 40 ? key.n : 40), key.p, known);
}

static int read_pair(struct yaml_reader *reader, const yaml_node_pair_t *pair,
                     const struct yaml_key *keys, size_t count, uint64_t *seen,
                     void *into, struct err *err)
{
    yaml_node_t *name = yaml_document_get_node(&reader->document, pair->key);
    yaml_node_t *value = yaml_document_get_node(&reader->document, pair->value);
    if (name->type != YAML_SCALAR_NODE)
        return yaml_refuse(reader, name, err, "a key must be a single word");
    const struct yaml_key *key = find_key(keys, count, scalar_text(name));
    if (!key)
        return refuse_unknown(reader, name, keys, count, err);
    uint64_t bit = UINT64_C(1) << (key - keys);
    reader->key = key->key;
    if (*seen & bit)
        return yaml_refuse(reader, name, err, "is there twice; remove one");
    *seen |= bit;
    return yaml_is_null(value)
               ? 0
               : key->read(reader, value, (char *)into + key->offset, err);
}

int yaml_read_mapping(struct yaml_reader *reader, yaml_node_t *value,
                      const struct yaml_key *keys, size_t count, void *into,
                      struct err *err)
{
    uint64_t seen = 0;
    int rc = 0;
    if (yaml_is_null(value))
        return 0;
    if (value->type != YAML_MAPPING_NODE)
        return yaml_refuse(reader, value, err, "must be a mapping of keys to values");
    for (yaml_node_pair_t *pair = value->data.mapping.pairs.start;
         rc == 0 && pair < value->data.mapping.pairs.top; pair++) {
        reader->key = NULL;
        rc = read_pair(reader, pair, keys, count, &seen, into, err);
    }
    return rc;
}

int yaml_read_section(struct yaml_reader *reader, yaml_node_t *value, const char *section,
                      const struct yaml_key *keys, size_t count, void *into,
                      struct err *err)
{
    reader->section = section;
    reader->key = NULL;
    int rc = yaml_read_mapping(reader, value, keys, count, into, err);
    reader->section = "";
    return rc;
}

int yaml_read_text(struct yaml_reader *reader, yaml_node_t *value, void *at,
                   struct err *err)
{
    const char **text = at;
    if (value->type != YAML_SCALAR_NODE)
        return yaml_refuse(reader, value, err, "must be a single value");
    struct str scalar = scalar_text(value);
    if (str_find(scalar, '\0') >= 0)
        return yaml_refuse(reader, value, err, "holds a NUL byte");
    const char *copy = arena_copy(reader->arena, scalar);
    if (!copy)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "%s: out of memory", reader->name);
    *text = copy;
    return 0;
}

int yaml_read_bool(struct yaml_reader *reader, yaml_node_t *value, void *at,
                   struct err *err)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
                                      "on",   "On",   "ON",   "y",   "Y"};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "NO",
                                     "off",   "Off",   "OFF",   "n",  "N"};
    bool *out = at;
    if (value->type == YAML_SCALAR_NODE) {
        struct str text = scalar_text(value);
        bool is_yes = str_is_any(text, yes, ARRAY_LENGTH(yes));
        if (is_yes || str_is_any(text, no, ARRAY_LENGTH(no))) {
            *out = is_yes;
            return 0;
        }
    }
    return yaml_refuse(reader, value, err, "must be true or false");
}

int yaml_read_count(struct yaml_reader *reader, yaml_node_t *value, void *at,
                    struct err *err)
{
    if (value->type != YAML_SCALAR_NODE || !str_u64(scalar_text(value), at))
        return yaml_refuse(reader, value, err, "must be a whole number");
    return 0;
}

int yaml_read_texts(struct yaml_reader *reader, yaml_node_t *value, void *at,
                    struct err *err)
{
    struct yaml_texts *texts = at;
    if (value->type != YAML_SEQUENCE_NODE)
        return yaml_refuse(reader, value, err, "must be a list");
    yaml_node_item_t *start = value->data.sequence.items.start;
    size_t count = (size_t)(value->data.sequence.items.top - start);
    if (count > YAML_TEXTS_MAX)
        return yaml_refuse(reader, value, err, "has %zu entries; at most %d are read",
                           count, YAML_TEXTS_MAX);
    const char **items = ARENA_NEW(reader->arena, const char *, count);
    if (!items)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "%s: out of memory", reader->name);
    for (size_t i = 0; i < count; i++) {
        int rc = yaml_read_text(
            reader, yaml_document_get_node(&reader->document, start[i]), &items[i], err);
        if (rc != 0)
            return rc;
    }
    *texts = (struct yaml_texts){items, count};
    return 0;
}
