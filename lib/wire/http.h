/* SPDX-License-Identifier: MIT */
#ifndef WIRE_HTTP_H
#define WIRE_HTTP_H

#include "base/arena.h"
#include "base/buf.h"

/* What HTTP (RFC 9110) and URLs (RFC 3986) are made of, as far as we read it. */

enum http_method {
	HTTP_GET = 1 << 0,
	HTTP_HEAD = 1 << 1,
	HTTP_POST = 1 << 2,
	HTTP_PUT = 1 << 3,
	HTTP_PATCH = 1 << 4,
	HTTP_DELETE = 1 << 5,
	HTTP_OPTIONS = 1 << 6,
};

/* Exact and case-sensitive; false for any other word. */
bool http_method_parse(struct str name, enum http_method *ret_method);

/* "GET, POST" for a set of methods, as the Allow header wants it. */
void http_methods_format(unsigned methods, struct buf *out);

/*
 * A query string (application/x-www-form-urlencoded) taken apart.  Names and
 * values are decoded, valid UTF-8 and without NUL; a name may occur once.
 */
#define HTTP_QUERY_FIELDS_MAX 32

struct http_query {
	struct {
		struct str name;
		struct str value;
	} field[HTTP_QUERY_FIELDS_MAX];
	size_t count;
};

/* False when it is malformed, repeats a name, or has too many fields. */
bool http_query_parse(struct arena *arena, struct str text,
    struct http_query *ret_query);

/* The value of a field by its exact name; false if there is none. */
bool http_query_get(const struct http_query *query, const char *name,
    struct str *ret_value);

/*
 * Decodes %XX (and, when plus_is_space, '+').  False on a bad escape; NUL,
 * bad UTF-8 and control characters are refused too.
 */
bool http_percent_decode(struct arena *arena, struct str text,
    bool plus_is_space, struct str *ret_decoded);

/* Appends s with all but RFC 3986's unreserved characters escaped. */
void http_percent_encode(struct str s, struct buf *out);

/* May these bytes stand in a header's value: 0x20 to 0x7e, nothing else? */
bool http_header_value_ok(struct str value);

/* Visible ASCII without blanks, 1 to max bytes: keys and ids. */
bool http_token_ok(struct str value, size_t max);

/*
 * The token of "Authorization: Bearer TOKEN" (RFC 6750); false when the
 * header has another form.
 */
bool http_bearer(struct str authorization, struct str *ret_token);

/* Is this Content-Type (parameters ignored, any case) the given one? */
bool http_content_type_is(struct str content_type, struct str wanted);

/* May text of this Content-Type be read as UTF-8?  It is, if it does not say. */
bool http_charset_is_utf8(struct str content_type);

/* JSON, in no charset but its own. */
bool http_is_json(struct str content_type);

/*
 * Does an If-None-Match list name this entity tag?  Compared weakly
 * (RFC 9110, 13.1.2), because a proxy that compresses weakens our tag.
 * `etag` is given with its quotes.
 */
bool http_etag_matches(struct str if_none_match, struct str etag);

/*
 * The phrase of a status line (RFC 9110, 15), "Other" for what we do not send:
 * without one the router leaves its blank out, which RFC 9112, 4 forbids.
 */
const char *http_reason(int status);

#endif
