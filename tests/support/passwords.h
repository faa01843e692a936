/* Hashes of known passwords, cheap ones; tests need no slow ones. */
#pragma once

#define HASH_OF_SECRET "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define HASH_OF_OTHER "$2y$04$abcdefghijklmnopqrstuu0HtfOlPbTiymk5tcV.3TsFPDd3SYZqu"

/* user:password as a header */
#define BASIC_ANN_SECRET "Basic YW5uOnNlY3JldA=="
#define BASIC_ANN_WRONG "Basic YW5uOndyb25n"
#define BASIC_BOB_OTHER "Basic Ym9iOm90aGVy"
#define BASIC_EVE_SECRET "Basic ZXZlOnNlY3JldA=="
