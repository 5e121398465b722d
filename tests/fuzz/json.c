/* SPDX-License-Identifier: MIT */
#include "wire/json.h"
#include "wire/json_writer.h"

#include <assert.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * A second opinion on the grammar, straight from RFC 8259 and written without
 * a look at the first: each function takes a position and returns the one
 * after what it names, or NULL.
 */
static const char *rfc_value(const char *p, const char *end);

static const char *
rfc_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *
rfc_digits(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p > start ? p : NULL;
}

static const char *
rfc_number(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	p = p < end && *p == '0' ? p + 1 : rfc_digits(p, end);
	if (p != NULL && p < end && *p == '.')
		p = rfc_digits(p + 1, end);
	if (p != NULL && p < end && (*p | 0x20) == 'e') {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = rfc_digits(p, end);
	}
	return p;
}

static const char *
rfc_string(const char *p, const char *end)
{
	if (p == end || *p++ != '"')
		return NULL;
	for (; p < end && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p != '\\')
			continue;
		if (++p == end)
			return NULL;
		if (*p == 'u') {
			if (end - p < 5 ||
			    strspn(p + 1,
				"0123456789abcdef"
				"ABCDEF") < 4)
				return NULL;
			p += 4;
		} else if (*p == '\0' || strchr("\"\\/bfnrt", *p) == NULL)
			return NULL;
	}
	return p < end ? p + 1 : NULL;
}

static const char *
rfc_container(const char *p, const char *end)
{
	const bool is_object = *p == '{';
	const char close = is_object ? '}' : ']';

	p = rfc_space(p + 1, end);
	if (p < end && *p == close)
		return p + 1;
	for (;;) {
		if (is_object) {
			p = rfc_string(rfc_space(p, end), end);
			if (p == NULL)
				return NULL;
			p = rfc_space(p, end);
			if (p == end || *p++ != ':')
				return NULL;
		}
		p = rfc_value(p, end);
		if (p == NULL || p == end)
			return NULL;
		if (*p == close)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static const char *
rfc_word(const char *p, const char *end, const char *word)
{
	const size_t n = strlen(word);

	return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

/* A value with the white space around it. */
static const char *
rfc_value(const char *p, const char *end)
{
	p = rfc_space(p, end);
	if (p == end)
		return NULL;
	if (*p == '{' || *p == '[')
		p = rfc_container(p, end);
	else if (*p == '"')
		p = rfc_string(p, end);
	else if (*p == 't')
		p = rfc_word(p, end, "true");
	else if (*p == 'f')
		p = rfc_word(p, end, "false");
	else if (*p == 'n')
		p = rfc_word(p, end, "null");
	else
		p = rfc_number(p, end);
	return p == NULL ? NULL : rfc_space(p, end);
}

static void
check_text(struct str s)
{
	assert(str_is_utf8(s));
	assert(s.len == 0 || memchr(s.ptr, '\0', s.len) == NULL);
}

static void
check_unique(const struct json *object)
{
	for (const struct json *a = json_first(object); a; a = json_next(a)) {
		check_text(json_name(a));
		for (const struct json *b = json_next(a); b; b = json_next(b))
			assert(!str_equal(json_name(a), json_name(b)));
		assert(json_member(object, json_name(a).ptr) == a);
	}
}

/* Checks what every accepted document promises and writes it down again. */
static void
check_and_write(const struct json *value, const char *name, int depth,
    int *count, struct json_writer *w)
{
	struct str text;
	int64_t integer;
	double number;
	char digits[32];
	bool boolean;

	/* The innermost scalar is one deeper than its container. */
	assert(depth <= JSON_DEPTH_MAX);
	assert(++*count <= JSON_VALUES_MAX);
	if (json_is_object(value)) {
		check_unique(value);
		json_begin_object(w, name);
		for (const struct json *m = json_first(value); m;
		     m = json_next(m))
			check_and_write(m, json_name(m).ptr, depth + 1, count,
			    w);
		json_end_object(w);
	} else if (json_is_array(value)) {
		json_begin_array(w, name);
		for (const struct json *e = json_first(value); e;
		     e = json_next(e))
			check_and_write(e, NULL, depth + 1, count, w);
		json_end_array(w);
	} else if (json_to_str(value, &text)) {
		check_text(text);
		json_str(w, name, text);
	} else if (json_to_int64(value, INT64_MIN, INT64_MAX, &integer)) {
		assert(integer <= JSON_INT_MAX && integer >= -JSON_INT_MAX);
		json_int64(w, name, integer);
	} else if (json_to_double(value, &number)) {
		assert(isfinite(number));
		(void)snprintf(digits, sizeof(digits), "%.17g", number);
		json_raw(w, name, str_from(digits));
	} else if (json_to_bool(value, &boolean))
		json_bool(w, name, boolean);
	else {
		assert(json_is_null(value));
		json_null(w, name);
	}
}

static void
check_document(struct arena *arena, struct str text)
{
	const struct json *value = json_parse(arena, text);
	struct buf once, twice;
	struct json_writer w;
	int count = 0;

	if (value == NULL)
		return;
	assert(str_is_utf8(text));
	assert(rfc_value(text.ptr, text.ptr + text.len) == text.ptr + text.len);
	buf_init(&once, text.len * 6 + 32);
	buf_init(&twice, text.len * 6 + 32);
	w = json_writer(&once);
	check_and_write(value, NULL, 0, &count, &w);
	assert(!once.failed);
	/* What we write, we read, and it says the same. */
	value = json_parse(arena, buf_str(&once));
	assert(value != NULL);
	w = json_writer(&twice);
	count = 0;
	check_and_write(value, NULL, 0, &count, &w);
	assert(str_equal(buf_str(&once), buf_str(&twice)));
	buf_free(&once);
	buf_free(&twice);
}

/* Whatever the bytes, as a string of the writer they are one JSON string. */
static void
check_string(struct arena *arena, struct str bytes)
{
	struct buf written;
	struct json_writer w;
	struct str text;

	buf_init(&written, bytes.len * 6 + 2);
	w = json_writer(&written);
	json_str(&w, NULL, bytes);
	assert(!written.failed);
	assert(str_is_utf8(buf_str(&written)));
	assert(rfc_string(written.ptr, written.ptr + written.len) ==
	    written.ptr + written.len);
	if (memchr(bytes.ptr, '\0', bytes.len) == NULL) {
		assert(
		    json_to_str(json_parse(arena, buf_str(&written)), &text));
		assert(!str_is_utf8(bytes) || str_equal(text, bytes));
	}
	buf_free(&written);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };
	static struct arena arena;

	if (arena.base == NULL)
		arena_init(&arena, (size_t)64 * 1024 * 1024);
	arena_reset(&arena);
	check_document(&arena, text);
	if (size > 0)
		check_string(&arena, text);
	return 0;
}
