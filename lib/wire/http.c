/* SPDX-License-Identifier: MIT */
#include "wire/http.h"

#include <sodium.h>

static const struct {
	enum http_method method;
	const char *name;
} methods_known[] = {
	{ HTTP_GET, "GET" },
	{ HTTP_HEAD, "HEAD" },
	{ HTTP_POST, "POST" },
	{ HTTP_PUT, "PUT" },
	{ HTTP_PATCH, "PATCH" },
	{ HTTP_DELETE, "DELETE" },
	{ HTTP_OPTIONS, "OPTIONS" },
};
#define METHODS_COUNT (sizeof(methods_known) / sizeof(methods_known[0]))

bool
http_method_parse(struct str name, enum http_method *ret_method)
{
	for (size_t i = 0; i < METHODS_COUNT; i++) {
		if (str_equal(name, str_from(methods_known[i].name))) {
			*ret_method = methods_known[i].method;
			return true;
		}
	}
	return false;
}

void
http_methods_format(unsigned methods, struct buf *out)
{
	const char *separator = "";

	for (size_t i = 0; i < METHODS_COUNT; i++) {
		if ((methods & methods_known[i].method) == 0)
			continue;
		buf_appendf(out, "%s%s", separator, methods_known[i].name);
		separator = ", ";
	}
}

static bool
is_alphanumeric(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9');
}

/* RFC 3986, 2.3: what never needs an escape. */
static bool
is_unreserved(char c)
{
	return is_alphanumeric(c) || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

bool
http_percent_decode(struct arena *arena, struct str text, bool plus_is_space,
    struct str *ret_decoded)
{
	char *decoded = arena_alloc(arena, text.len + 1);
	size_t length = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '%') {
			unsigned char byte;

			if (text.len - i < 3 ||
			    sodium_hex2bin(&byte, 1, text.ptr + i + 1, 2, NULL,
				NULL, NULL) != 0)
				return false;
			c = (char)byte;
			i += 2;
		} else if (c == '+' && plus_is_space)
			c = ' ';
		if (is_control(c))
			return false;
		decoded[length++] = c;
	}
	if (!str_is_utf8((struct str){ decoded, length }))
		return false;

	*ret_decoded = (struct str){ decoded, length };
	return true;
}

void
http_percent_encode(struct str s, struct buf *out)
{
	while (s.len > 0) {
		size_t plain = 0;

		while (plain < s.len && is_unreserved(s.ptr[plain]))
			plain++;
		buf_append(out, (struct str){ s.ptr, plain });
		if (plain == s.len)
			break;
		buf_appendf(out, "%%%02X", (unsigned char)s.ptr[plain]);
		s.ptr += plain + 1;
		s.len -= plain + 1;
	}
}

static bool
query_find(const struct http_query *query, struct str name,
    struct str *ret_value)
{
	for (size_t i = 0; i < query->count; i++) {
		if (str_equal(query->field[i].name, name)) {
			*ret_value = query->field[i].value;
			return true;
		}
	}
	return false;
}

bool
http_query_parse(struct arena *arena, struct str text,
    struct http_query *ret_query)
{
	struct http_query query = { .count = 0 };

	while (text.len > 0) {
		struct str pair, rest, name, value, twin;

		(void)str_cut(text, '&', &pair, &rest);
		text = rest;
		/* "a=1&&b=2" says nothing twice; browsers skip it too. */
		if (pair.len == 0)
			continue;
		(void)str_cut(pair, '=', &name, &value);
		if (!http_percent_decode(arena, name, true, &name) ||
		    !http_percent_decode(arena, value, true, &value) ||
		    name.len == 0)
			return false;
		if (query_find(&query, name, &twin) ||
		    query.count == HTTP_QUERY_FIELDS_MAX)
			return false;
		query.field[query.count].name = name;
		query.field[query.count].value = value;
		query.count++;
	}

	*ret_query = query;
	return true;
}

bool
http_query_get(const struct http_query *query, const char *name,
    struct str *ret_value)
{
	return query_find(query, str_from(name), ret_value);
}

bool
http_header_value_ok(struct str value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] < 0x20 || value.ptr[i] > 0x7e)
			return false;
	return true;
}

bool
http_token_ok(struct str value, size_t max)
{
	return value.len > 0 && value.len <= max &&
	    http_header_value_ok(value) && !str_has(value, ' ');
}

bool
http_bearer(struct str authorization, struct str *ret_token)
{
	struct str scheme, token;
	size_t length = 0;

	if (!str_cut(str_trim(authorization), ' ', &scheme, &token) ||
	    !str_equal_nocase(scheme, STR("Bearer")))
		return false;
	token = str_trim(token);
	/* b64token: letters of either base64, then padding. */
	while (length < token.len &&
	    (is_unreserved(token.ptr[length]) || token.ptr[length] == '+' ||
		token.ptr[length] == '/'))
		length++;
	if (length == 0)
		return false;
	while (length < token.len && token.ptr[length] == '=')
		length++;
	if (length != token.len)
		return false;

	*ret_token = token;
	return true;
}

bool
http_content_type_is(struct str content_type, struct str wanted)
{
	struct str media_type, parameters;

	(void)str_cut(content_type, ';', &media_type, &parameters);
	return str_equal_nocase(str_trim(media_type), wanted);
}

bool
http_is_json(struct str content_type)
{
	return http_content_type_is(content_type, STR("application/json")) &&
	    http_charset_is_utf8(content_type);
}

bool
http_charset_is_utf8(struct str content_type)
{
	struct str parameter, name, value, rest;

	(void)str_cut(content_type, ';', &parameter, &rest);
	while (rest.len > 0) {
		(void)str_cut(rest, ';', &parameter, &rest);
		(void)str_cut(parameter, '=', &name, &value);
		if (!str_equal_nocase(str_trim(name), STR("charset")))
			continue;
		value = str_trim(value);
		if (value.len >= 2 && value.ptr[0] == '"' &&
		    value.ptr[value.len - 1] == '"')
			value = (struct str){ value.ptr + 1, value.len - 2 };
		return str_equal_nocase(value, STR("utf-8")) ||
		    str_equal_nocase(value, STR("utf8")) ||
		    str_equal_nocase(value, STR("us-ascii"));
	}
	return true;
}

static void
skip(struct str *s, size_t n)
{
	s->ptr += n;
	s->len -= n;
}

static void
skip_weakness(struct str *etag)
{
	if (str_starts_with(*etag, STR("W/")))
		skip(etag, 2);
}

bool
http_etag_matches(struct str if_none_match, struct str etag)
{
	struct str list = str_trim(if_none_match);

	if (str_equal(list, STR("*")))
		return true;
	skip_weakness(&etag);
	/* A tag may hold commas, so the quotes lead through the list. */
	for (;;) {
		const char *close;
		struct str tag;

		while (list.len > 0 && str_has(STR(" \t,"), list.ptr[0]))
			skip(&list, 1);
		skip_weakness(&list);
		if (list.len < 2 || list.ptr[0] != '"')
			return false;
		close = memchr(list.ptr + 1, '"', list.len - 1);
		if (close == NULL)
			return false;
		tag = (struct str){ list.ptr, (size_t)(close - list.ptr) + 1 };
		if (str_equal(tag, etag))
			return true;
		skip(&list, tag.len);
	}
}

const char *
http_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Other";
}
