/* SPDX-License-Identifier: MIT */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A borrowed run of bytes.  Not necessarily terminated; ptr may be NULL only
 * when len is 0.  Whoever made it says how long the bytes live.
 */
struct str {
	const char *ptr;
	size_t len;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })

/* Borrows a terminated string; NULL gives the empty str. */
struct str str_from(const char *s);

bool str_equal(struct str a, struct str b);

/* Compares with ASCII letters folded: header names, schemes, ids in hex. */
bool str_equal_nocase(struct str a, struct str b);

/* Is c one of the bytes of s? */
bool str_has(struct str s, char c);

bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);

/* Takes blanks and tabs off both ends. */
struct str str_trim(struct str s);

/*
 * Splits at the first `separator`: *head is what stands before it and *rest
 * what follows.  Without one, *head is all of s and the answer is false.
 */
bool str_cut(struct str s, char separator, struct str *head, struct str *rest);

/*
 * Parses a canonical decimal integer: an optional '-', digits without leading
 * zeros, nothing else, min <= value <= max.  Writes only on success.
 */
bool str_to_int64(struct str s, int64_t min, int64_t max, int64_t *ret_value);

/* Is s valid UTF-8 (RFC 3629: no surrogates, no overlong forms)? */
bool str_is_utf8(struct str s);

/* Code points in valid UTF-8. */
size_t str_utf8_length(struct str s);

/*
 * Copies into a terminated buffer of `size` bytes.  False, with nothing
 * written, when s does not fit or holds a NUL.
 */
bool str_copy(struct str s, char *buffer, size_t size);

#endif
