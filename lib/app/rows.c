/* SPDX-License-Identifier: MIT */
#include "app/rows.h"

/* The most of a client's own words that an error repeats, in bytes. */
#define ECHO_BYTES_MAX 64

static bool
is_ours(struct str schema)
{
	return schema.len == 0 || str_equal(schema, STR("public"));
}

bool
rows_refuse_schema(const struct app *app, const struct request *req,
    struct response *res)
{
	if (is_ours(req->accept_profile) && is_ours(req->content_profile))
		return false;
	(void)app_error(app, req, res, 406, "PGRST106",
	    "The schema must be one of the following: public");
	return true;
}

enum err
rows_refuse_query(const struct app *app, const struct request *req,
    struct response *res, enum rest_verdict verdict, struct str bad)
{
	const int echo =
	    bad.len < ECHO_BYTES_MAX ? (int)bad.len : ECHO_BYTES_MAX;
	char text[ECHO_BYTES_MAX + 64];

	switch (verdict) {
	case REST_UNKNOWN_COLUMN:
		(void)snprintf(text, sizeof(text), "column %.*s does not exist",
		    echo, bad.ptr);
		return app_error(app, req, res, 400, "42703", text);
	case REST_BAD_VALUE:
		(void)snprintf(text, sizeof(text),
		    "invalid input syntax for the column's type: %.*s", echo,
		    bad.ptr);
		return app_error(app, req, res, 400, "22P02", text);
	case REST_UNREADABLE:
	case REST_OK:
		break;
	}
	(void)snprintf(text, sizeof(text), "failed to parse: %.*s", echo,
	    bad.ptr);
	return app_error(app, req, res, 400, "PGRST100", text);
}

enum err
rows_refuse_object(const struct app *app, const struct request *req,
    struct response *res)
{
	return app_error(app, req, res, 406, "PGRST116",
	    "Cannot coerce the result to a single JSON object");
}

void
rows_say_range(struct response *res, size_t first, size_t end)
{
	if (first == end)
		(void)snprintf(res->content_range, sizeof(res->content_range),
		    "*/*");
	else
		(void)snprintf(res->content_range, sizeof(res->content_range),
		    "%zu-%zu/*", first, end - 1);
}
