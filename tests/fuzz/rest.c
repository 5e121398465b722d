/* SPDX-License-Identifier: MIT */
#include "wire/rest.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct row {
	struct uuid id;
	char name[8];
	bool flag;
	int64_t number;
};

enum { ID = 1, NAME = 2, FLAG = 4, NUMBER = 8, BLOB = 16, ALL = 31 };

static const struct rest_column columns[] = {
	{ "id", REST_UUID, offsetof(struct row, id), ID },
	{ "name", REST_TEXT, offsetof(struct row, name), NAME },
	{ "flag", REST_BOOL, offsetof(struct row, flag), FLAG },
	{ "number", REST_INT64, offsetof(struct row, number), NUMBER },
	{ "blob", REST_JSON, 0, BLOB },
};

static const struct rest_table table = { "table", columns,
	sizeof(columns) / sizeof(columns[0]) };

#define ROWS 4

static const struct row rows[ROWS] = {
	{ { { 2 } }, "b", true, INT64_MAX },
	{ { { 1 } }, "", false, INT64_MIN },
	{ { { 1 } }, "a", true, 0 },
	{ { { 3 } }, "", true, 0 },
};

static void
check_query(const struct rest_query *query, size_t parameters)
{
	assert(query->members != 0);
	assert((query->members & ~(unsigned)ALL) == 0);
	assert(query->filters <= parameters);
	assert(query->orders <= REST_ORDERS_MAX);
	assert(query->offset >= 0);
	assert(query->limit >= 0);
}

/* Whatever the order is, no row is lost, and a second time changes nothing. */
static void
check_sort(const struct rest_query *query)
{
	const void *once[ROWS], *twice[ROWS];
	unsigned seen = 0;

	for (size_t i = 0; i < ROWS; i++)
		once[i] = &rows[i];
	rest_sort(query, once, ROWS);
	for (size_t i = 0; i < ROWS; i++)
		seen |= 1U << ((const struct row *)once[i] - rows);
	assert(seen == (1U << ROWS) - 1);
	memcpy(twice, once, sizeof(once));
	rest_sort(query, twice, ROWS);
	assert(memcmp(once, twice, sizeof(once)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };
	static struct arena arena;
	struct http_query parameters;
	struct rest_query query;
	struct str bad = { NULL, 0 };

	if (arena.base == NULL)
		arena_init(&arena, (size_t)64 * 1024 * 1024);
	arena_reset(&arena);
	if (!http_query_parse(&arena, text, &parameters))
		return 0;
	if (rest_parse(&table, &parameters, &query, &bad) != REST_OK) {
		assert(bad.len <= size);
		assert(str_is_utf8(bad));
		return 0;
	}
	check_query(&query, parameters.count);
	check_sort(&query);
	for (size_t i = 0; i < ROWS; i++)
		assert(rest_matches(&query, &rows[i]) || query.filters > 0);
	return 0;
}
