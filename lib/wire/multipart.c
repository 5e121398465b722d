/* SPDX-License-Identifier: MIT */
#include "wire/multipart.h"
#include "wire/http.h"

static struct str
skip(struct str s, size_t n)
{
	return (struct str){ s.ptr + n, s.len - n };
}

/* Takes a value off the front: a quoted string's inside, or up to ';'. */
static bool
take_value(struct str *s, struct str *ret_value)
{
	size_t n = 0;

	*s = str_trim(*s);
	if (s->len == 0 || s->ptr[0] != '"') {
		(void)str_cut(*s, ';', ret_value, s);
		*ret_value = str_trim(*ret_value);
		return true;
	}
	*s = skip(*s, 1);
	while (n < s->len && s->ptr[n] != '"')
		n += s->ptr[n] == '\\' ? 2 : 1;
	if (n >= s->len)
		return false;
	*ret_value = (struct str){ s->ptr, n };
	*s = str_trim(skip(*s, n + 1));
	if (s->len == 0)
		return true;
	if (s->ptr[0] != ';')
		return false;
	*s = skip(*s, 1);
	return true;
}

/* One parameter of a header: name=value; false when there is none left. */
static bool
take_parameter(struct str *s, struct str *ret_name, struct str *ret_value)
{
	struct str name, rest;

	*s = str_trim(*s);
	if (s->len == 0 || !str_cut(*s, '=', &name, &rest))
		return false;
	*ret_name = str_trim(name);
	*s = rest;
	return take_value(s, ret_value);
}

static bool
is_boundary(struct str boundary)
{
	static const char others[] = "'()+_,-./:=? ";

	if (boundary.len == 0 || boundary.len > MULTIPART_BOUNDARY_BYTES_MAX ||
	    boundary.ptr[boundary.len - 1] == ' ')
		return false;
	for (size_t i = 0; i < boundary.len; i++) {
		const char c = boundary.ptr[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= 'a' && c <= 'z') &&
		    memchr(others, c, sizeof(others) - 1) == NULL)
			return false;
	}
	return true;
}

bool
multipart_begin(struct multipart *multipart, struct str content_type,
    struct str body)
{
	struct str type, parameters, name, value;
	struct str boundary = STR("");
	struct multipart m = { .parts_count = 0 };

	if (!http_content_type_is(content_type, STR("multipart/form-data")))
		return false;
	(void)str_cut(content_type, ';', &type, &parameters);
	while (take_parameter(&parameters, &name, &value)) {
		if (!str_equal_nocase(name, STR("boundary")))
			continue;
		if (boundary.len > 0)
			return false;
		boundary = value;
	}
	if (!is_boundary(boundary))
		return false;
	/* A delimiter is a line of its own, so it begins with a line's end. */
	memcpy(m.delimiter, "\r\n--", 4);
	memcpy(m.delimiter + 4, boundary.ptr, boundary.len);
	m.delimiter_bytes = 4 + boundary.len;
	if (!str_starts_with(body,
		(struct str){ m.delimiter + 2, m.delimiter_bytes - 2 }))
		return false;
	m.rest = skip(body, m.delimiter_bytes - 2);

	*multipart = m;
	return true;
}

static bool
read_disposition(struct str value, struct multipart_part *part)
{
	struct str kind, name;

	(void)str_cut(value, ';', &kind, &value);
	if (!str_equal_nocase(str_trim(kind), STR("form-data")))
		return false;
	while (value.len > 0) {
		struct str parameter;

		if (!take_parameter(&value, &name, &parameter))
			return str_trim(value).len == 0;
		if (str_equal_nocase(name, STR("name")))
			part->name = parameter;
		else if (str_equal_nocase(name, STR("filename")) ||
		    str_equal_nocase(name, STR("filename*")))
			part->has_filename = true;
	}
	return true;
}

static bool
read_head(struct str head, struct multipart_part *part)
{
	bool has_disposition = false;

	while (head.len > 0) {
		struct str line, name, value;

		(void)str_cut(head, '\n', &line, &head);
		if (str_ends_with(line, STR("\r")))
			line.len--;
		if (!str_cut(line, ':', &name, &value))
			return false;
		value = str_trim(value);
		if (str_equal_nocase(name, STR("Content-Type"))) {
			part->content_type = value;
		} else if (str_equal_nocase(name, STR("Content-Disposition"))) {
			if (has_disposition || !read_disposition(value, part))
				return false;
			has_disposition = true;
		}
	}
	return has_disposition;
}

enum multipart_step
multipart_next(struct multipart *m, struct multipart_part *ret_part)
{
	struct multipart_part part = { .has_filename = false };
	const char *end;
	size_t head_max, head_n;

	if (str_starts_with(m->rest, STR("--")))
		return MULTIPART_END;
	if (!str_starts_with(m->rest, STR("\r\n")) ||
	    m->parts_count++ == MULTIPART_PARTS_MAX)
		return MULTIPART_BAD;
	head_max = m->rest.len < MULTIPART_HEAD_BYTES_MAX ?
	    m->rest.len :
	    MULTIPART_HEAD_BYTES_MAX;
	end = memmem(m->rest.ptr, head_max, "\r\n\r\n", 4);
	if (end == NULL)
		return MULTIPART_BAD;
	head_n = (size_t)(end - m->rest.ptr);
	if (head_n < 2 ||
	    !read_head((struct str){ m->rest.ptr + 2, head_n - 2 }, &part))
		return MULTIPART_BAD;
	/* The line's end before a delimiter belongs to it, also at once. */
	part.body = skip(m->rest, head_n + 2);
	end = memmem(part.body.ptr, part.body.len, m->delimiter,
	    m->delimiter_bytes);
	if (end == NULL)
		return MULTIPART_BAD;
	m->rest =
	    skip(part.body, (size_t)(end - part.body.ptr) + m->delimiter_bytes);
	if (end == part.body.ptr)
		part.body.len = 0;
	else
		part.body = (struct str){ part.body.ptr + 2,
			(size_t)(end - part.body.ptr) - 2 };

	*ret_part = part;
	return MULTIPART_PART;
}
