/* SPDX-License-Identifier: MIT */
#include "wire/rest.h"

#include <assert.h>

/* Could a column be called so?  If not, the text means something else. */
static bool
is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		const char c = s.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return s.len > 0;
}

static enum rest_verdict
find_column(const struct rest_table *table, struct str name,
    const struct rest_column **ret_column)
{
	for (size_t i = 0; i < table->columns; i++) {
		if (str_equal(name, str_from(table->column[i].name))) {
			*ret_column = &table->column[i];
			return REST_OK;
		}
	}
	return is_name(name) ? REST_UNKNOWN_COLUMN : REST_UNREADABLE;
}

static unsigned
all_members(const struct rest_table *table)
{
	unsigned members = 0;

	for (size_t i = 0; i < table->columns; i++)
		members |= table->column[i].member;
	return members;
}

static enum rest_verdict
parse_select(const struct rest_table *table, struct str list,
    struct rest_query *query, struct str *ret_bad)
{
	const struct rest_column *column;
	enum rest_verdict verdict;
	struct str name;
	bool more;

	query->members = 0;
	do {
		more = str_cut(list, ',', &name, &list);
		name = str_trim(name);
		if (str_equal(name, STR("*"))) {
			query->members |= all_members(table);
			continue;
		}
		verdict = find_column(table, name, &column);
		if (verdict != REST_OK) {
			*ret_bad = name;
			return verdict;
		}
		query->members |= column->member;
	} while (more);
	return REST_OK;
}

/* What follows the column's name: "desc", "asc.nullsfirst", "nullslast" … */
static bool
parse_direction(struct str words, struct rest_order *order)
{
	struct str word, rest;
	const bool more = str_cut(words, '.', &word, &rest);

	if (str_equal(word, STR("asc")) || str_equal(word, STR("desc"))) {
		order->is_descending = str_equal(word, STR("desc"));
		order->nulls_first = order->is_descending;
		if (!more)
			return true;
		words = rest;
	}
	order->nulls_first = str_equal(words, STR("nullsfirst"));
	return order->nulls_first || str_equal(words, STR("nullslast"));
}

static enum rest_verdict
parse_order(const struct rest_table *table, struct str list,
    struct rest_query *query, struct str *ret_bad)
{
	enum rest_verdict verdict;
	struct str key, name, words;
	bool more, has_words;

	do {
		struct rest_order order = { .column = NULL };

		more = str_cut(list, ',', &key, &list);
		key = str_trim(key);
		*ret_bad = key;
		has_words = str_cut(key, '.', &name, &words);
		verdict = find_column(table, name, &order.column);
		if (verdict == REST_UNKNOWN_COLUMN)
			*ret_bad = name;
		if (verdict != REST_OK)
			return verdict;
		if (order.column->type == REST_JSON ||
		    query->orders == REST_ORDERS_MAX ||
		    (has_words && !parse_direction(words, &order)))
			return REST_UNREADABLE;
		query->order[query->orders++] = order;
	} while (more);
	return REST_OK;
}

static enum rest_verdict
parse_filter(const struct rest_table *table, struct str name, struct str value,
    struct rest_query *query, struct str *ret_bad)
{
	const struct str equals = STR("eq.");
	const struct rest_column *column;
	enum rest_verdict verdict;
	struct str text;

	*ret_bad = name;
	verdict = find_column(table, name, &column);
	if (verdict != REST_OK)
		return verdict;
	*ret_bad = value;
	if (!str_starts_with(value, equals))
		return REST_UNREADABLE;
	text = (struct str){ value.ptr + equals.len, value.len - equals.len };
	switch (column->type) {
	case REST_UUID:
		if (!uuid_parse(text, &query->filter[query->filters].uuid))
			verdict = REST_BAD_VALUE;
		break;
	case REST_TEXT:
		query->filter[query->filters].text = text;
		break;
	case REST_BOOL:
		query->filter[query->filters].flag =
		    str_equal_nocase(text, STR("true"));
		if (!str_equal_nocase(text, STR("true")) &&
		    !str_equal_nocase(text, STR("false")))
			verdict = REST_BAD_VALUE;
		break;
	case REST_INT64:
	case REST_JSON:
		return REST_UNREADABLE;
	}
	if (verdict != REST_OK) {
		*ret_bad = text;
		return verdict;
	}
	query->filter[query->filters++].column = column;
	return REST_OK;
}

static enum rest_verdict
parse_count(struct str value, int64_t *count, struct str *ret_bad)
{
	if (str_to_int64(value, 0, INT64_MAX, count))
		return REST_OK;
	*ret_bad = value;
	return REST_UNREADABLE;
}

enum rest_verdict
rest_parse(const struct rest_table *table, const struct http_query *parameters,
    struct rest_query *ret_query, struct str *ret_bad)
{
	struct rest_query query = {
		.members = all_members(table),
		.limit = INT64_MAX,
	};

	for (size_t i = 0; i < parameters->count; i++) {
		const struct str name = parameters->field[i].name;
		const struct str value = parameters->field[i].value;
		enum rest_verdict verdict;

		if (str_equal(name, STR("select")))
			verdict = parse_select(table, value, &query, ret_bad);
		else if (str_equal(name, STR("order")))
			verdict = parse_order(table, value, &query, ret_bad);
		else if (str_equal(name, STR("limit")))
			verdict = parse_count(value, &query.limit, ret_bad);
		else if (str_equal(name, STR("offset")))
			verdict = parse_count(value, &query.offset, ret_bad);
		else
			verdict =
			    parse_filter(table, name, value, &query, ret_bad);
		if (verdict != REST_OK)
			return verdict;
	}

	*ret_query = query;
	return REST_OK;
}

static const void *
value_of(const void *row, const struct rest_column *column)
{
	return (const char *)row + column->offset;
}

static bool
is_null(const void *row, const struct rest_column *column)
{
	return column->type == REST_TEXT &&
	    *(const char *)value_of(row, column) == '\0';
}

bool
rest_matches(const struct rest_query *query, const void *row)
{
	for (size_t i = 0; i < query->filters; i++) {
		const struct rest_column *column = query->filter[i].column;
		const void *value = value_of(row, column);
		bool is_equal = false;

		switch (column->type) {
		case REST_UUID:
			is_equal = uuid_equal(value, &query->filter[i].uuid);
			break;
		case REST_TEXT:
			is_equal = !is_null(row, column) &&
			    str_equal(str_from(value), query->filter[i].text);
			break;
		case REST_BOOL:
			is_equal =
			    *(const bool *)value == query->filter[i].flag;
			break;
		case REST_INT64:
		case REST_JSON:
			assert(!"parse_filter lets no such column pass");
		}
		if (!is_equal)
			return false;
	}
	return true;
}

static int
compare_values(enum rest_type type, const void *a, const void *b)
{
	switch (type) {
	case REST_UUID:
		return memcmp(a, b, UUID_BYTES);
	case REST_TEXT:
		return strcmp(a, b);
	case REST_BOOL:
		return *(const bool *)a - *(const bool *)b;
	case REST_INT64:
		return (*(const int64_t *)a > *(const int64_t *)b) -
		    (*(const int64_t *)a < *(const int64_t *)b);
	case REST_JSON:
		break;
	}
	assert(!"parse_order lets no such column pass");
	return 0;
}

static int
compare_rows(const struct rest_query *query, const void *a, const void *b)
{
	for (size_t i = 0; i < query->orders; i++) {
		const struct rest_order *order = &query->order[i];
		const struct rest_column *column = order->column;
		int n;

		if (is_null(a, column) != is_null(b, column))
			return is_null(b, column) == order->nulls_first ? 1 :
									  -1;
		n = compare_values(column->type, value_of(a, column),
		    value_of(b, column));
		if (n != 0)
			return order->is_descending ? -n : n;
	}
	return 0;
}

void
rest_sort(const struct rest_query *query, const void **rows, size_t count)
{
	/* By insertion: qsort() may exchange rows that are alike. */
	for (size_t i = 1; i < count; i++) {
		const void *row = rows[i];
		size_t j = i;

		for (; j > 0 && compare_rows(query, rows[j - 1], row) > 0; j--)
			rows[j] = rows[j - 1];
		rows[j] = row;
	}
}
