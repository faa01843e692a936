/*
 * Text from outside made safe to print: process names may hold any byte.
 */
#pragma once

#include "base/buf.h"

/* Length in bytes of the valid UTF-8 sequence at the head of TEXT (1–4), 0 when there is
 * none: overlong forms, surrogates and values past U+10FFFF are invalid. */
size_t utf8_sequence(struct str text);

/* The longest head of TEXT of at most LIMIT bytes that does not cut a sequence. */
struct str utf8_cut(struct str text, size_t limit);
