/* SPDX-License-Identifier: MIT */
#ifndef APP_ROWS_H
#define APP_ROWS_H

#include "app/app.h"
#include "wire/rest.h"

/*
 * Rows: what the tables of /rest/v1 have in common when they are asked for and
 * answered in PostgREST's form.
 */

/* Accept: one bare object, not an array. */
#define ROWS_ONE_OBJECT "application/vnd.pgrst.object+json"

/* Is another schema than ours wanted?  Then the answer says so. */
bool rows_refuse_schema(const struct app *app, const struct request *req,
    struct response *res);

/* A query that cannot be read; returns OK, so that a handler ends with it. */
enum err rows_refuse_query(const struct app *app, const struct request *req,
    struct response *res, enum rest_verdict verdict, struct str bad);

/* One object was wanted, and not one row was found. */
enum err rows_refuse_object(const struct app *app, const struct request *req,
    struct response *res);

/* Content-Range for rows first to end (not included). */
void rows_say_range(struct response *res, size_t first, size_t end);

#endif
