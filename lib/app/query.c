/* SPDX-License-Identifier: MIT */
#include "app/app.h"

/*
 * Members of a query string, as handlers want them.
 */

bool
query_uuid(const struct request *req, const char *name, struct uuid *ret_uuid)
{
	struct str text;

	return http_query_get(&req->query, name, &text) &&
	    uuid_parse(text, ret_uuid);
}

bool
query_int64(const struct request *req, const char *name, int64_t min,
    int64_t max, int64_t *value)
{
	struct str text;

	return !http_query_get(&req->query, name, &text) ||
	    str_to_int64(text, min, max, value);
}
