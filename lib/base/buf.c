/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>

/* The first allocation: most answers and log lines fit and never grow. */
#define BUF_FIRST_BYTES ((size_t)512)

/* A sign and nineteen digits. */
#define INT64_TEXT_BYTES 20

void
buf_init(struct buf *b, size_t bytes_max)
{
	assert(bytes_max > 0);
	*b = (struct buf){ .bytes_max = bytes_max };
}

void
buf_free(struct buf *b)
{
	free(b->ptr);
	*b = (struct buf){ .bytes_max = b->bytes_max };
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->ptr != NULL)
		b->ptr[0] = '\0';
}

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t wanted;
	char *grown;

	if (b->failed || n > b->bytes_max - b->len) {
		b->failed = true;
		return NULL;
	}
	if (b->len + n >= b->capacity_bytes) {
		wanted = b->capacity_bytes == 0 ? BUF_FIRST_BYTES :
						  b->capacity_bytes;
		while (wanted <= b->len + n)
			wanted *= 2;
		grown = realloc(b->ptr, wanted);
		if (grown == NULL)
			abort();
		b->ptr = grown;
		b->capacity_bytes = wanted;
	}
	return b->ptr + b->len;
}

void
buf_append(struct buf *b, struct str s)
{
	char *at = buf_reserve(b, s.len);

	if (at == NULL)
		return;
	if (s.len > 0)
		memcpy(at, s.ptr, s.len);
	b->len += s.len;
	b->ptr[b->len] = '\0';
}

void
buf_append_char(struct buf *b, char c)
{
	char *at = buf_reserve(b, 1);

	if (at == NULL)
		return;
	at[0] = c;
	at[1] = '\0';
	b->len++;
}

void
buf_append_int64(struct buf *b, int64_t value)
{
	char text[INT64_TEXT_BYTES];
	size_t at = sizeof(text);
	/* INT64_MIN has no positive twin. */
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

	do {
		text[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		text[--at] = '-';
	buf_append(b, (struct str){ text + at, sizeof(text) - at });
}

void
buf_appendf(struct buf *b, const char *format, ...)
{
	va_list ap;
	char *at;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	assert(n >= 0);
	at = buf_reserve(b, (size_t)n);
	if (at == NULL)
		return;
	va_start(ap, format);
	(void)vsnprintf(at, (size_t)n + 1, format, ap);
	va_end(ap);
	b->len += (size_t)n;
}

struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->ptr, b->len };
}
