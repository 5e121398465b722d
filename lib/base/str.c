/* SPDX-License-Identifier: MIT */
#include "base/str.h"

struct str
str_from(const char *s)
{
	return (struct str){ s, s == NULL ? 0 : strlen(s) };
}

bool
str_equal(struct str a, struct str b)
{
	return a.len == b.len &&
	    (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static char
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
str_equal_nocase(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (fold(a.ptr[i]) != fold(b.ptr[i]))
			return false;
	return true;
}

bool
str_starts_with(struct str s, struct str prefix)
{
	return s.len >= prefix.len &&
	    str_equal((struct str){ s.ptr, prefix.len }, prefix);
}

bool
str_ends_with(struct str s, struct str suffix)
{
	if (suffix.len == 0)
		return true;
	return s.len >= suffix.len &&
	    str_equal((struct str){ s.ptr + s.len - suffix.len, suffix.len },
		suffix);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str
str_trim(struct str s)
{
	while (s.len > 0 && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool
str_has(struct str s, char c)
{
	return s.len > 0 && memchr(s.ptr, c, s.len) != NULL;
}

bool
str_cut(struct str s, char separator, struct str *head, struct str *rest)
{
	const char *at = s.len == 0 ? NULL : memchr(s.ptr, separator, s.len);

	if (at == NULL) {
		*head = s;
		*rest = (struct str){ NULL, 0 };
		return false;
	}
	*head = (struct str){ s.ptr, (size_t)(at - s.ptr) };
	*rest = (struct str){ at + 1, s.len - head->len - 1 };
	return true;
}

bool
str_to_int64(struct str s, int64_t min, int64_t max, int64_t *ret_value)
{
	const bool negative = s.len > 0 && s.ptr[0] == '-';
	const size_t start = negative ? 1 : 0;
	int64_t value = 0;

	if (s.len == start || (s.ptr[start] == '0' && s.len > 1))
		return false;
	for (size_t i = start; i < s.len; i++) {
		const int digit = s.ptr[i] - '0';

		if (digit < 0 || digit > 9)
			return false;
		/* Counted downwards: INT64_MIN has no positive twin. */
		if (__builtin_mul_overflow(value, INT64_C(10), &value) ||
		    __builtin_sub_overflow(value, (int64_t)digit, &value))
			return false;
	}
	if (!negative && __builtin_sub_overflow(INT64_C(0), value, &value))
		return false;
	if (value < min || value > max)
		return false;

	*ret_value = value;
	return true;
}

/*
 * The length of the UTF-8 sequence at p, of which n bytes are left; 0 if it is
 * not one.
 */
static size_t
utf8_sequence(const unsigned char *p, size_t n)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (length > n)
		return 0;
	/* The second byte is what rules out overlong forms and surrogates. */
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

bool
str_is_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;

	for (size_t i = 0; i < s.len;) {
		const size_t length = utf8_sequence(p + i, s.len - i);

		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

size_t
str_utf8_length(struct str s)
{
	size_t count = 0;

	for (size_t i = 0; i < s.len; i++)
		count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return count;
}

bool
str_copy(struct str s, char *buffer, size_t size)
{
	if (s.len >= size || str_has(s, '\0'))
		return false;
	if (s.len > 0)
		memcpy(buffer, s.ptr, s.len);
	buffer[s.len] = '\0';
	return true;
}
