/* SPDX-License-Identifier: MIT */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include "base/arena.h"
#include "base/uuid.h"
#include "wire/json_writer.h"

/*
 * JSON (RFC 8259), stricter than cJSON, which does the parsing.
 *
 * Every outside byte that claims to be JSON enters through json_parse().  It
 * refuses what parsers disagree about: duplicate member names, invalid UTF-8,
 * NUL in any form, raw control characters, a byte order mark, numbers such as
 * 01 or 1. or 1e400, bytes after the value, and more depth, members or bytes
 * than the limits below.
 */

struct json; /* a value; belongs to the document it came from */

#define JSON_DEPTH_MAX 32
/* Values in one document: bounds what 64 KiB of "0,0,0" may cost. */
#define JSON_VALUES_MAX 4096

/* The integers that every JSON implementation keeps exactly: 2^53 - 1. */
#define JSON_INT_MAX INT64_C(9007199254740991)

/*
 * Parses exactly one value out of `text`.  The document's memory belongs to
 * the arena.  NULL when the text is not acceptable.
 */
const struct json *json_parse(struct arena *arena, struct str text);

bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_null(const struct json *value);

/* A member of an object by its exact name; NULL if there is none. */
const struct json *json_member(const struct json *object, const char *name);

/* The first element of an array or member of an object, and the next one. */
const struct json *json_first(const struct json *container);
const struct json *json_next(const struct json *value);

/* The name of an object's member; empty for other values. */
struct str json_name(const struct json *member);

/*
 * Typed reads.  False, with nothing written, when the value is NULL, of
 * another type, or outside the bounds.  A str lives as long as the arena.
 */
bool json_to_str(const struct json *value, struct str *ret_text);
bool json_to_bool(const struct json *value, bool *ret_value);
bool json_to_int64(const struct json *value, int64_t min, int64_t max,
    int64_t *ret_value);
bool json_to_double(const struct json *value, double *ret_value);
bool json_to_uuid(const struct json *value, struct uuid *ret_uuid);

/*
 * Reading a body into a struct: a table says which members there are, so that
 * a missing or mistyped one can be named.
 *
 *	static const struct json_field fields[] = {
 *		{ "job_id", JSON_UUID, offsetof(struct body, job_id), 0,
 *		    JSON_REQUIRED },
 *		{ "limit", JSON_INT64, offsetof(struct body, limit), 0, 0 },
 *	};
 *
 * The struct's fields have the types struct uuid, struct str, int64_t, bool
 * or, for JSON_ANY, const struct json *.  A field that is absent or null is
 * left as it was, and its bool at offset_present (if not 0) stays false.
 */
enum json_type { JSON_STR, JSON_INT64, JSON_BOOL, JSON_UUID, JSON_ANY };

enum {
	JSON_OPTIONAL = 0,
	JSON_REQUIRED = 1,
};

struct json_field {
	const char *name;
	enum json_type type;
	size_t offset;
	size_t offset_present; /* of a bool; 0 = not wanted */
	int flags;
};

enum json_unknown { JSON_IGNORE_UNKNOWN, JSON_REFUSE_UNKNOWN };

/*
 * Fills *into from `object`.  On failure returns false and names the member
 * at fault in *ret_bad_field (a name out of the table, or for an unknown
 * member a str in the document; "" when the value is not an object).
 */
bool json_read(const struct json *object, const struct json_field *fields,
    size_t fields_count, enum json_unknown unknown, void *into,
    struct str *ret_bad_field);

/* Writes a value as it was read; numbers keep their value, not their text. */
void
json_copy(struct json_writer *w, const char *name, const struct json *value);

#endif
