/* SPDX-License-Identifier: MIT */
#ifndef WIRE_REST_H
#define WIRE_REST_H

#include "base/uuid.h"
#include "wire/http.h"

/*
 * The part of PostgREST's query language that our clients speak:
 *
 *	select=*  or  select=id,name
 *	column=eq.value			for REST_UUID, REST_TEXT and REST_BOOL
 *	order=column[.asc|.desc][.nullsfirst|.nullslast],…
 *	limit=N, offset=N
 *
 * A query is read against a table of the columns that exist, so nothing else
 * can be named, and then applied to rows in memory: structs of the caller in
 * which each column has its place.  Nothing here allocates; a query borrows
 * the columns and the text it was read from.
 */

enum rest_type {
	REST_UUID, /* struct uuid */
	REST_TEXT, /* a terminated array of char; "" is the absent value */
	REST_BOOL, /* bool */
	REST_INT64, /* int64_t; may be ordered by, not filtered */
	REST_JSON, /* may be selected, nothing else */
};

struct rest_column {
	const char *name;
	enum rest_type type;
	size_t offset; /* of the value in a row */
	unsigned member; /* the one bit that stands for it in a selection */
};

struct rest_table {
	const char *name;
	const struct rest_column *column;
	size_t columns;
};

/* More keys than a table of ours has columns that tell rows apart. */
#define REST_ORDERS_MAX 8

struct rest_query {
	unsigned members; /* what was selected, by rest_column.member */
	struct {
		const struct rest_column *column;
		struct str text;
		struct uuid uuid;
		bool flag;
	} filter[HTTP_QUERY_FIELDS_MAX];
	size_t filters;
	struct rest_order {
		const struct rest_column *column;
		bool is_descending;
		bool nulls_first;
	} order[REST_ORDERS_MAX];
	size_t orders;
	int64_t offset; /* >= 0 */
	int64_t limit; /* >= 0; INT64_MAX when not given */
};

enum rest_verdict {
	REST_OK,
	REST_UNREADABLE, /* not of the language above */
	REST_UNKNOWN_COLUMN,
	REST_BAD_VALUE, /* not a value of the column's type */
};

/*
 * Reads the parameters of a request.  Without select= all columns are
 * selected.  On failure *ret_bad is the piece of text at fault.
 */
enum rest_verdict
rest_parse(const struct rest_table *table, const struct http_query *parameters,
    struct rest_query *ret_query, struct str *ret_bad);

/* Do all filters let this row through?  Nothing equals an absent value. */
bool rest_matches(const struct rest_query *query, const void *row);

/*
 * Puts rows into the wanted order; those that are alike in it stay as they
 * stood.  Absent values come last, or first when descending, unless the query
 * says otherwise.  Time grows with count squared: for hundreds of rows.
 */
void rest_sort(const struct rest_query *query, const void **rows, size_t count);

#endif
