/*
 * The web configuration: the file and the certificates that it names, loaded and checked
 * together.
 */
#pragma once

#include "server/tls.h"

struct web_config;

/**
 * web_config_load() - everything that PATH asks for, ready to be used
 *
 * Relative paths in the file are relative to its folder. Return: 0; -errno or -EBADMSG
 * with file, key, cause and remedy. *OUT is written only on success.
 */
int web_config_load(const char *path, struct web_config **out, struct err *err)
    __attribute__((warn_unused_result));

/* Wipes what is secret. Accepts NULL. */
void web_config_free(struct web_config *config);

static inline void web_config_freep(struct web_config **config)
{
    web_config_free(*config);
}

const struct web_settings *web_config_settings(const struct web_config *config);

/* NULL without TLS. The configuration keeps its reference. */
struct tls *web_config_tls(const struct web_config *config);

/* Does any of the files differ from what was loaded: another inode, size or time, gone,
 * or back? Links are followed: Kubernetes swaps the link to a folder. */
bool web_config_has_changed(const struct web_config *config);

/* The folders of all files, where they are named and where links lead to, each once: a
 * process that may read below these can load the configuration again. Writes at most MAX.
 * Return: how many there are. */
#define WEB_CONFIG_DIRECTORIES_MAX 8
size_t web_config_directories(const struct web_config *config, const char **out,
                              size_t max);
