/*
 * The small grammars inside a scenario's scalars: sizes, durations, loads, lists of
 * positions, numbered copies, names of driver codes.
 *
 * YAML gives every scalar as text; keeping "55 amplitude 20 period 40" on one line makes
 * a scenario short enough to read. All functions are pure.
 */
#pragma once

#include "base/buf.h"
#include "sim/node_state.h"

/* "40GiB", "1.5 MiB", "900KiB", "12" (bytes), or "none": UINT64_MAX, for "the driver does
 * not say". Below 2^56. */
bool scenario_text_size(struct str text, uint64_t *bytes);

/* "90", "-5", "1.5h", "3d" (s, m, h, d); up to ten years either way. */
bool scenario_text_seconds(struct str text, double *seconds);

/* "55", or "55 amplitude 20 period 40 phase 0.5" with the last three optional. */
bool scenario_text_load(struct str text, struct sim_load *load);

/* Positions below LIMIT: "3", "0,2", "0-3,6", "all". Appends to POSITIONS (room for
 * CAPACITY) and sets *COUNT. False when malformed, out of range or too many. */
bool scenario_text_positions(struct str text, uint32_t limit, uint32_t *positions,
                             size_t capacity, size_t *count);

/* Appends TEXT with "{n}" replaced by N; "{n%7}", "{n/7}", "{n+1}", "{n*4}" and chains
 * such as "{n/7%8}" are calculated from left to right. Other braces stay as they are. */
void scenario_text_expand(struct buf *buf, struct str text, uint64_t n);

/* Bytes written as pairs of hex digits, blanks between pairs allowed. False when
 * malformed, or when a zero byte is among them: no process name holds one. */
bool scenario_text_bytes(struct buf *buf, struct str hex);

/* "GPU_IS_LOST", "UNKNOWN", … as in nvmlReturn_t without its prefix, or a number. */
bool scenario_text_code(struct str text, uint32_t *code);
