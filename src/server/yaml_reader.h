/*
 * Reads a YAML file strictly: every key is known to a table, or is refused with its line.
 *
 * Over libyaml's document tree and not libcyaml, which the scenarios use: the web
 * configuration has mappings with free keys (users, headers), and a refusal here must
 * name the key and its line. Aliases share their node, so nothing can expand; tables are
 * of fixed depth, so nothing recurses.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <yaml.h>

struct yaml_reader {
    struct arena *arena; /* owns the texts that are read */
    const char *name;    /* of the file, for messages */
    yaml_document_t document;
    const char *section; /* of which mapping: "tls_server_config"; "" at the top */
    const char *key;     /* of which key in it; NULL for the mapping itself */
};

/* Reads VALUE into *AT. Return: 0 or negative with a message of yaml_refuse(). */
typedef int yaml_read_fn(struct yaml_reader *reader, yaml_node_t *value, void *at,
                         struct err *err);

struct yaml_key {
    const char *key;
    yaml_read_fn *read;
    size_t offset; /* where in the struct of the mapping */
};

struct yaml_texts {
    const char **items;
    size_t count;
};

/**
 * yaml_reader_parse() - one document
 *
 * Return: 0, with *ROOT NULL for an empty document; -EBADMSG with file, line and cause;
 * -ENOMEM. yaml_reader_done() is due after success only.
 */
int yaml_reader_parse(struct yaml_reader *reader, struct arena *arena, const char *name,
                      struct str text, yaml_node_t **root, struct err *err)
    __attribute__((warn_unused_result));

/* Wipes and releases the document; what was read stays in the arena. */
void yaml_reader_done(struct yaml_reader *reader);

/* Fills *ERR with file, line of AT, key and the words. Return: -EBADMSG. */
__attribute__((format(printf, 4, 5))) int yaml_refuse(const struct yaml_reader *reader,
                                                      const yaml_node_t *at,
                                                      struct err *err, const char *format,
                                                      ...);

/* Reads the mapping VALUE by a table of COUNT keys into the struct at INTO. A value that
 * is null leaves its field as it is; so does a mapping that is null. */
int yaml_read_mapping(struct yaml_reader *reader, yaml_node_t *value,
                      const struct yaml_key *keys, size_t count, void *into,
                      struct err *err);

/* The same, for a mapping that is the value of SECTION. */
int yaml_read_section(struct yaml_reader *reader, yaml_node_t *value, const char *section,
                      const struct yaml_key *keys, size_t count, void *into,
                      struct err *err);

/* Of the type yaml_read_fn. AT: const char *, NUL-terminated, without NUL inside. */
int yaml_read_text(struct yaml_reader *reader, yaml_node_t *value, void *at,
                   struct err *err);
/* AT: bool; as YAML 1.1 spells them. */
int yaml_read_bool(struct yaml_reader *reader, yaml_node_t *value, void *at,
                   struct err *err);
/* AT: uint64_t; digits only. */
int yaml_read_count(struct yaml_reader *reader, yaml_node_t *value, void *at,
                    struct err *err);
/* AT: struct yaml_texts, at most YAML_TEXTS_MAX. */
int yaml_read_texts(struct yaml_reader *reader, yaml_node_t *value, void *at,
                    struct err *err);
#define YAML_TEXTS_MAX 256

/* True for a plain empty value, "~" and "null". */
bool yaml_is_null(const yaml_node_t *value);
