/* SPDX-License-Identifier: MIT */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/str.h"

/* RFC 9562 identifiers.  Read in any case, written in lower case. */

#define UUID_BYTES 16
#define UUID_TEXT_BYTES 37 /* 36 characters and a NUL */

struct uuid {
	uint8_t bytes[UUID_BYTES];
};

/* Exactly the 8-4-4-4-12 form; writes only on success. */
bool uuid_parse(struct str text, struct uuid *ret_uuid);

void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_BYTES]);

bool uuid_equal(const struct uuid *a, const struct uuid *b);

/* 1 to 8; what stands in the version field. */
int uuid_version(const struct uuid *uuid);

/* 122 random bits: for what must not be guessed. */
struct uuid uuid_random(void);

/*
 * Version 7: sorts by time, 74 random bits.  For rows that are read newest
 * first; it tells when it was made, so it is never a secret.
 */
struct uuid uuid_sortable(int64_t now_ms);

/* Fills with bytes from the kernel's generator; ends the process without. */
void random_bytes(void *bytes, size_t n);

#endif
