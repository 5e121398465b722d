/* SPDX-License-Identifier: MIT */
#include "wire/json.h"
#include "base/clock.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <sodium.h>

/*
 * No program prints a double with more than 25 characters.  Some releases of
 * cJSON cut a number at 63 and others take it all; we do not let that show.
 */
#define NUMBER_BYTES_MAX 63

/*
 * cJSON's allocation hooks have no context, so the arena of the parse under
 * way stands here.  A process serves one request at a time and has no
 * threads; outside of json_parse() this is NULL.
 */
static struct arena *parse_arena;

static void *
hook_allocate(size_t bytes)
{
	return arena_alloc(parse_arena, bytes);
}

static void
hook_free(void *p)
{
	/* The arena takes everything back at once. */
	(void)p;
}

/* struct json is cJSON's node under a name of ours; these two know it. */
static const cJSON *
node_of(const struct json *value)
{
	return (const cJSON *)value;
}

static const struct json *
json_of(const cJSON *node)
{
	return (const struct json *)node;
}

/*
 * The scan before the parse.  It reads tokens, not grammar: everything that
 * cJSON would let pass, or understand in its own way, is refused here, and
 * cJSON then refuses what is in the wrong place.  Each function takes the
 * position of a token and returns the one after it, or NULL.
 */

static const char *
scan_utf16_unit(const char *at, const char *end, unsigned *ret_unit)
{
	uint8_t bytes[2];

	if (end - at < 6 || at[0] != '\\' || at[1] != 'u' ||
	    sodium_hex2bin(bytes, sizeof(bytes), at + 2, 4, NULL, NULL, NULL) !=
		0)
		return NULL;

	*ret_unit = (unsigned)bytes[0] << 8 | bytes[1];
	return at + 6;
}

static const char *
scan_escape(const char *at, const char *end)
{
	unsigned unit;

	if (end - at < 2)
		return NULL;
	if (at[1] != 'u')
		return str_has(STR("\"\\/bfnrt"), at[1]) ? at + 2 : NULL;
	at = scan_utf16_unit(at, end, &unit);
	if (at == NULL || unit == 0)
		return NULL;
	if (unit < 0xd800 || unit > 0xdfff)
		return at;
	/* Surrogates come in pairs, the high one first. */
	if (unit > 0xdbff)
		return NULL;
	at = scan_utf16_unit(at, end, &unit);
	return at == NULL || unit < 0xdc00 || unit > 0xdfff ? NULL : at;
}

static const char *
scan_string(const char *at, const char *end)
{
	at++;
	while (at != NULL && at < end) {
		if (*at == '"')
			return at + 1;
		if (*at == '\\')
			at = scan_escape(at, end);
		else if ((unsigned char)*at < 0x20)
			return NULL;
		else
			at++;
	}
	return NULL;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* One digit or more. */
static const char *
scan_digits(const char *at, const char *end)
{
	if (at == end || !is_digit(*at))
		return NULL;
	while (at < end && is_digit(*at))
		at++;
	return at;
}

static const char *
scan_number(const char *at, const char *end)
{
	const char *const start = at;

	if (*at == '-')
		at++;
	if (at < end && *at == '0')
		at++;
	else
		at = scan_digits(at, end);
	if (at != NULL && at < end && *at == '.')
		at = scan_digits(at + 1, end);
	if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		at = scan_digits(at, end);
	}
	/* cJSON would take "01" and "1-" for one number each. */
	if (at != NULL && at < end && str_has(STR("0123456789+-.eE"), *at))
		return NULL;
	return at == NULL || at - start > NUMBER_BYTES_MAX ? NULL : at;
}

static const char *
scan_word(const char *at, const char *end, struct str word)
{
	const struct str rest = { at, (size_t)(end - at) };

	return str_starts_with(rest, word) ? at + word.len : NULL;
}

static const char *
scan_scalar(const char *at, const char *end)
{
	switch (*at) {
	case '"':
		return scan_string(at, end);
	case 't':
		return scan_word(at, end, STR("true"));
	case 'f':
		return scan_word(at, end, STR("false"));
	case 'n':
		return scan_word(at, end, STR("null"));
	default:
		return scan_number(at, end);
	}
}

static bool
scan(struct str text)
{
	const char *at = text.ptr;
	const char *const end = text.ptr + text.len;
	int depth = 0, values = 0;

	while (at < end) {
		switch (*at) {
		case ' ':
		case '\t':
		case '\n':
		case '\r':
		case ',':
			at++;
			break;
		case ':':
			/* The string before it was a name, not a value. */
			values--;
			at++;
			break;
		case '{':
		case '[':
			depth++;
			values++;
			at++;
			break;
		case '}':
		case ']':
			depth--;
			at++;
			break;
		default:
			values++;
			at = scan_scalar(at, end);
			if (at == NULL)
				return false;
			break;
		}
		/*
		 * Misplaced ':' and ']' make these too low, but cJSON never
		 * reads past a misplaced one.
		 */
		if (depth > JSON_DEPTH_MAX || values > JSON_VALUES_MAX)
			return false;
	}
	return true;
}

static int
compare_names(const void *a, const void *b)
{
	const char *const *left = a;
	const char *const *right = b;

	return strcmp(*left, *right);
}

/* Sorted first, so that 4096 members cost no more than their share. */
static bool
names_are_unique(struct arena *arena, const cJSON *object)
{
	const char **names;
	size_t count = 0;

	for (const cJSON *m = object->child; m != NULL; m = m->next)
		count++;
	if (count < 2)
		return true;
	names = arena_alloc(arena, count * sizeof(*names));
	count = 0;
	for (const cJSON *m = object->child; m != NULL; m = m->next)
		names[count++] = m->string;
	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 1; i < count; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return false;
	return true;
}

/* What only the decoded values show.  The scan has bounded the recursion. */
static bool
is_acceptable(struct arena *arena, const cJSON *value)
{
	if (cJSON_IsNumber(value) && !isfinite(value->valuedouble))
		return false;
	if (cJSON_IsObject(value) && !names_are_unique(arena, value))
		return false;
	for (const cJSON *c = value->child; c != NULL; c = c->next)
		if (!is_acceptable(arena, c))
			return false;
	return true;
}

static bool
is_white_space(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!str_has(STR(" \t\n\r"), s.ptr[i]))
			return false;
	return true;
}

const struct json *
json_parse(struct arena *arena, struct str text)
{
	cJSON_Hooks hooks = { hook_allocate, hook_free };
	const char *end = NULL;
	const cJSON *root;

	if (text.len == 0 || !str_is_utf8(text) || !scan(text))
		return NULL;
	parse_arena = arena;
	cJSON_InitHooks(&hooks);
	root = cJSON_ParseWithLengthOpts(text.ptr, text.len, &end, false);
	cJSON_InitHooks(NULL);
	parse_arena = NULL;
	if (root == NULL ||
	    !is_white_space(
		(struct str){ end, text.len - (size_t)(end - text.ptr) }))
		return NULL;
	return is_acceptable(arena, root) ? json_of(root) : NULL;
}

bool
json_is_object(const struct json *value)
{
	return cJSON_IsObject(node_of(value));
}

bool
json_is_array(const struct json *value)
{
	return cJSON_IsArray(node_of(value));
}

bool
json_is_null(const struct json *value)
{
	return cJSON_IsNull(node_of(value));
}

const struct json *
json_member(const struct json *object, const char *name)
{
	if (!json_is_object(object))
		return NULL;
	return json_of(cJSON_GetObjectItemCaseSensitive(node_of(object), name));
}

const struct json *
json_first(const struct json *container)
{
	return container == NULL ? NULL : json_of(node_of(container)->child);
}

const struct json *
json_next(const struct json *value)
{
	return value == NULL ? NULL : json_of(node_of(value)->next);
}

struct str
json_name(const struct json *member)
{
	return str_from(member == NULL ? NULL : node_of(member)->string);
}

bool
json_to_str(const struct json *value, struct str *ret_text)
{
	if (!cJSON_IsString(node_of(value)))
		return false;

	*ret_text = str_from(node_of(value)->valuestring);
	return true;
}

bool
json_to_bool(const struct json *value, bool *ret_value)
{
	if (!cJSON_IsBool(node_of(value)))
		return false;

	*ret_value = cJSON_IsTrue(node_of(value));
	return true;
}

bool
json_to_double(const struct json *value, double *ret_value)
{
	if (!cJSON_IsNumber(node_of(value)))
		return false;

	*ret_value = node_of(value)->valuedouble;
	return true;
}

bool
json_to_int64(const struct json *value, int64_t min, int64_t max,
    int64_t *ret_value)
{
	double number;

	/* Tested before the cast, which is undefined out of range. */
	if (!json_to_double(value, &number) ||
	    !(fabs(number) <= (double)JSON_INT_MAX) || number != floor(number))
		return false;
	if ((int64_t)number < min || (int64_t)number > max)
		return false;

	*ret_value = (int64_t)number;
	return true;
}

bool
json_to_uuid(const struct json *value, struct uuid *ret_uuid)
{
	struct str text;

	return json_to_str(value, &text) && uuid_parse(text, ret_uuid);
}

/* Stores a value in the struct's field at `at`, which has the type's type. */
static bool
read_field(const struct json *value, enum json_type type, void *at)
{
	const struct json **any = at;

	switch (type) {
	case JSON_STR:
		return json_to_str(value, at);
	case JSON_INT64:
		return json_to_int64(value, -JSON_INT_MAX, JSON_INT_MAX, at);
	case JSON_BOOL:
		return json_to_bool(value, at);
	case JSON_UUID:
		return json_to_uuid(value, at);
	case JSON_ANY:
		*any = value;
		return true;
	}
	abort();
}

static bool
is_known(struct str name, const struct json_field *fields, size_t fields_count)
{
	for (size_t i = 0; i < fields_count; i++)
		if (str_equal(name, str_from(fields[i].name)))
			return true;
	return false;
}

bool
json_read(const struct json *object, const struct json_field *fields,
    size_t fields_count, enum json_unknown unknown, void *into,
    struct str *ret_bad_field)
{
	char *const base = into;

	if (!json_is_object(object)) {
		*ret_bad_field = STR("");
		return false;
	}
	for (size_t i = 0; i < fields_count; i++) {
		const struct json_field *field = &fields[i];
		const struct json *value = json_member(object, field->name);
		bool ok;

		if (value == NULL || json_is_null(value)) {
			ok = (field->flags & JSON_REQUIRED) == 0;
		} else {
			ok = read_field(value, field->type,
			    base + field->offset);
			if (ok && field->offset_present != 0)
				memcpy(base + field->offset_present, &ok,
				    sizeof(ok));
		}
		if (!ok) {
			*ret_bad_field = str_from(field->name);
			return false;
		}
	}
	if (unknown == JSON_IGNORE_UNKNOWN)
		return true;
	for (const struct json *m = json_first(object); m != NULL;
	     m = json_next(m)) {
		if (!is_known(json_name(m), fields, fields_count)) {
			*ret_bad_field = json_name(m);
			return false;
		}
	}
	return true;
}

static void
copy_number(struct json_writer *w, const char *name, const struct json *value)
{
	struct buf text;
	double number = 0;
	int64_t whole;

	if (json_to_int64(value, -JSON_INT_MAX, JSON_INT_MAX, &whole)) {
		json_int64(w, name, whole);
		return;
	}
	/* Seventeen digits tell any two doubles apart. */
	(void)json_to_double(value, &number);
	buf_init(&text, 64);
	buf_appendf(&text, "%.17g", number);
	json_raw(w, name, buf_str(&text));
	buf_free(&text);
}

void
json_copy(struct json_writer *w, const char *name, const struct json *value)
{
	struct str text;
	bool flag;

	if (json_is_object(value) || json_is_array(value)) {
		const bool is_object = json_is_object(value);
		const struct json *member = json_first(value);

		if (is_object)
			json_begin_object(w, name);
		else
			json_begin_array(w, name);
		for (; member != NULL; member = json_next(member))
			json_copy(w, is_object ? json_name(member).ptr : NULL,
			    member);
		if (is_object)
			json_end_object(w);
		else
			json_end_array(w);
	} else if (json_to_str(value, &text)) {
		json_str(w, name, text);
	} else if (json_to_bool(value, &flag)) {
		json_bool(w, name, flag);
	} else if (json_is_null(value)) {
		json_null(w, name);
	} else {
		copy_number(w, name, value);
	}
}
