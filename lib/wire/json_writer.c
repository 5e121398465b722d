/* SPDX-License-Identifier: MIT */
#include "wire/json_writer.h"
#include "base/clock.h"

#include <assert.h>

struct json_writer
json_writer(struct buf *buf)
{
	return (struct json_writer){ .buf = buf };
}

/* How many bytes the UTF-8 character at s.ptr has; 0 if it is not one. */
static size_t
utf8_character(struct str s)
{
	const unsigned char lead = (unsigned char)s.ptr[0];
	size_t length = 1;

	if (lead >= 0x80)
		length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (length > s.len || !str_is_utf8((struct str){ s.ptr, length }))
		return 0;
	return length;
}

/* How many bytes of s stand for themselves before the first that does not. */
static size_t
plain_prefix(struct str s)
{
	size_t i = 0;

	while (i < s.len) {
		const unsigned char c = (unsigned char)s.ptr[i];
		const size_t length = c < 0x80 ?
		    1 :
		    utf8_character((struct str){ s.ptr + i, s.len - i });

		if (length == 0 || c < 0x20 || c == '"' || c == '\\')
			break;
		i += length;
	}
	return i;
}

static void
append_escape(struct buf *buf, char c)
{
	switch (c) {
	case '"':
	case '\\':
		buf_appendf(buf, "\\%c", c);
		break;
	case '\n':
		buf_append(buf, STR("\\n"));
		break;
	case '\r':
		buf_append(buf, STR("\\r"));
		break;
	case '\t':
		buf_append(buf, STR("\\t"));
		break;
	default:
		buf_appendf(buf, "\\u%04x", (unsigned char)c);
		break;
	}
}

/* A text that needs no escapes, as nearly all do. */
static void
append_plain(struct buf *buf, struct str s)
{
	char *at = buf_reserve(buf, s.len + 2);

	if (at == NULL)
		return;
	at[0] = '"';
	if (s.len > 0)
		memcpy(at + 1, s.ptr, s.len);
	at[s.len + 1] = '"';
	at[s.len + 2] = '\0';
	buf->len += s.len + 2;
}

static void
append_string(struct buf *buf, struct str s)
{
	if (plain_prefix(s) == s.len) {
		append_plain(buf, s);
		return;
	}
	buf_append_char(buf, '"');
	while (s.len > 0) {
		const size_t plain = plain_prefix(s);

		buf_append(buf, (struct str){ s.ptr, plain });
		if (plain == s.len)
			break;
		if ((unsigned char)s.ptr[plain] < 0x80)
			append_escape(buf, s.ptr[plain]);
		else
			buf_append(buf, STR("\xef\xbf\xbd"));
		s.ptr += plain + 1;
		s.len -= plain + 1;
	}
	buf_append_char(buf, '"');
}

/* All that stands between the value before and this one. */
static void
begin_value(struct json_writer *w, const char *name)
{
	if (w->depth == 0) {
		assert(name == NULL);
		return;
	}
	assert(w->is_object[w->depth - 1] == (name != NULL));
	if (w->needs_comma[w->depth - 1])
		buf_append_char(w->buf, ',');
	w->needs_comma[w->depth - 1] = true;
	if (name != NULL) {
		append_string(w->buf, str_from(name));
		buf_append_char(w->buf, ':');
	}
}

static void
begin_container(struct json_writer *w, const char *name, bool is_object)
{
	begin_value(w, name);
	assert(w->depth < JSON_WRITER_DEPTH_MAX);
	w->needs_comma[w->depth] = false;
	w->is_object[w->depth] = is_object;
	w->depth++;
	buf_append_char(w->buf, is_object ? '{' : '[');
}

static void
end_container(struct json_writer *w, bool is_object)
{
	assert(w->depth > 0);
	w->depth--;
	assert(w->is_object[w->depth] == is_object);
	buf_append_char(w->buf, is_object ? '}' : ']');
}

void
json_begin_object(struct json_writer *w, const char *name)
{
	begin_container(w, name, true);
}

void
json_end_object(struct json_writer *w)
{
	end_container(w, true);
}

void
json_begin_array(struct json_writer *w, const char *name)
{
	begin_container(w, name, false);
}

void
json_end_array(struct json_writer *w)
{
	end_container(w, false);
}

void
json_raw(struct json_writer *w, const char *name, struct str json)
{
	assert(json.len > 0);
	begin_value(w, name);
	buf_append(w->buf, json);
}

void
json_str(struct json_writer *w, const char *name, struct str value)
{
	begin_value(w, name);
	append_string(w->buf, value);
}

void
json_text(struct json_writer *w, const char *name, const char *value)
{
	if (value == NULL)
		json_null(w, name);
	else
		json_str(w, name, str_from(value));
}

void
json_int64(struct json_writer *w, const char *name, int64_t value)
{
	begin_value(w, name);
	buf_append_int64(w->buf, value);
}

void
json_bool(struct json_writer *w, const char *name, bool value)
{
	json_raw(w, name, value ? STR("true") : STR("false"));
}

void
json_null(struct json_writer *w, const char *name)
{
	json_raw(w, name, STR("null"));
}

void
json_uuid(struct json_writer *w, const char *name, const struct uuid *value)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(value, text);
	json_text(w, name, text);
}

void
json_time(struct json_writer *w, const char *name, int64_t time_ms)
{
	char text[CLOCK_TEXT_BYTES];

	if (time_ms < 0) {
		json_null(w, name);
		return;
	}
	clock_format(time_ms, text);
	json_text(w, name, text);
}
