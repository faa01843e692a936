/*
 * Which form of a document a client wants: pure functions from two request headers.
 */
#pragma once

#include "base/str.h"

enum exposition { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };
enum coding { CODING_IDENTITY, CODING_GZIP };

/* From all values of Accept, joined by commas; an empty or odd one gives text.
 * OpenMetrics is given in version 1.0 only, when it is named and wanted at least as much
 * as text. */
enum exposition negotiate_exposition(struct str accept);

/* From all values of Accept-Encoding, joined by commas. Gzip is given when it is accepted
 * and wanted at least as much as none. */
enum coding negotiate_coding(struct str accept_encoding);
