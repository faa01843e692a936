/* Durations as people write them on a command line: "500ms", "15s", "2m", "1h". */
#pragma once

#include "base/str.h"

/* Reads a whole number followed by ms, s, m or h, at most 24 h. Return: false otherwise.
 */
bool duration_parse(struct str text, uint64_t *nanoseconds);
