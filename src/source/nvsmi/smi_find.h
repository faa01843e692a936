/*
 * Where nvidia-smi is.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

/* Finds the program WANTED: a path, or a name to look for in PATH (NULL: "nvidia-smi").
 * *PROGRAM lives in ARENA. Return: 0, or negative with a message that names the remedy.
 */
int smi_find(struct arena *arena, const char *wanted, const char **program,
             struct err *err) __attribute__((warn_unused_result));
