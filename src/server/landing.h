/*
 * The page at "/" for a person with a browser.
 */
#pragma once

#include "base/buf.h"

/* Appends HTML that needs nothing else: no script, no style, no picture. */
void landing_render(const char *telemetry_path, struct buf *out);
