/* SPDX-License-Identifier: MIT */
#include "wire/http.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_decoded(struct str s)
{
	assert(str_is_utf8(s));
	for (size_t i = 0; i < s.len; i++)
		assert((unsigned char)s.ptr[i] >= 0x20 && s.ptr[i] != 0x7f);
}

/* A query that was understood says the same when it is written anew. */
static void
check_query(struct arena *arena, struct str text)
{
	struct http_query query, again;
	struct buf written;

	if (!http_query_parse(arena, text, &query))
		return;
	assert(query.count <= HTTP_QUERY_FIELDS_MAX);
	buf_init(&written, text.len * 3 + 1);
	for (size_t i = 0; i < query.count; i++) {
		struct str value;
		const struct str name = query.field[i].name;

		check_decoded(name);
		check_decoded(query.field[i].value);
		/* Decoded strings are terminated; each name finds its own. */
		assert(strlen(name.ptr) == name.len);
		assert(http_query_get(&query, name.ptr, &value));
		assert(value.ptr == query.field[i].value.ptr);
		if (i > 0)
			buf_append_char(&written, '&');
		http_percent_encode(name, &written);
		buf_append_char(&written, '=');
		http_percent_encode(value, &written);
	}
	assert(!written.failed || text.len == 0);
	assert(http_query_parse(arena, buf_str(&written), &again));
	assert(again.count == query.count);
	for (size_t i = 0; i < query.count; i++) {
		assert(str_equal(query.field[i].name, again.field[i].name));
		assert(str_equal(query.field[i].value, again.field[i].value));
	}
	buf_free(&written);
}

/* Any bytes survive being escaped, unless they may not be sent at all. */
static void
check_escapes(struct arena *arena, struct str text)
{
	struct str decoded, as_form;
	struct buf escaped;

	buf_init(&escaped, text.len * 3 + 1);
	http_percent_encode(text, &escaped);
	assert(!escaped.failed);
	assert(escaped.len == 0 || http_token_ok(buf_str(&escaped), SIZE_MAX));
	if (http_percent_decode(arena, buf_str(&escaped), false, &decoded)) {
		check_decoded(decoded);
		assert(str_equal(decoded, text));
		assert(http_percent_decode(arena, buf_str(&escaped), true,
		    &as_form));
		assert(str_equal(as_form, text));
	}
	buf_free(&escaped);
}

static void
check_headers(struct str text)
{
	enum http_method method;
	struct str token;

	if (http_bearer(text, &token)) {
		assert(http_token_ok(token, text.len));
		assert(token.ptr >= text.ptr);
		assert(token.ptr + token.len <= text.ptr + text.len);
	}
	if (http_method_parse(text, &method))
		assert(http_token_ok(text, 7));
	/* A tag that is one matches itself; what has no quotes matches none. */
	if (text.len >= 2 && text.ptr[0] == '"' &&
	    memchr(text.ptr + 1, '"', text.len - 1) == text.ptr + text.len - 1)
		assert(http_etag_matches(text, text));
	if (http_etag_matches(text, STR("\"a\"")))
		assert(str_equal(str_trim(text), STR("*")) ||
		    memmem(text.ptr, text.len, "\"a\"", 3) != NULL);
	if (http_content_type_is(text, STR("application/json")))
		assert(text.len >= sizeof("application/json") - 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };
	static struct arena arena;

	if (arena.base == NULL)
		arena_init(&arena, (size_t)64 * 1024 * 1024);
	arena_reset(&arena);
	check_query(&arena, text);
	check_escapes(&arena, text);
	check_headers(text);
	return 0;
}
