/* SPDX-License-Identifier: MIT */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

/*
 * A growing byte buffer with a ceiling.
 *
 * Failure is sticky: past the ceiling every append is ignored and `failed`
 * stays true until buf_clear(), so that a builder is checked once, at its end.
 * The bytes are always followed by a NUL that is not counted.
 */
struct buf {
	char *ptr;
	size_t len;
	size_t capacity_bytes;
	size_t bytes_max;
	bool failed;
};

/* Prepares an empty buffer that may hold up to bytes_max bytes. */
void buf_init(struct buf *b, size_t bytes_max);

/* Gives the memory back; the buffer may be initialised again. */
void buf_free(struct buf *b);

/* Empties the buffer and forgets a failure; keeps the memory. */
void buf_clear(struct buf *b);

void buf_append(struct buf *b, struct str s);
void buf_append_char(struct buf *b, char c);
void buf_append_int64(struct buf *b, int64_t value);
void buf_appendf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Makes room for n more bytes and returns where they go, or NULL at the
 * ceiling.  The caller then adds what it wrote to b->len.
 */
char *buf_reserve(struct buf *b, size_t n);

/* The present content; valid until the next change. */
struct str buf_str(const struct buf *b);

#endif
