/* SPDX-License-Identifier: MIT */
/*
 * GET, HEAD /rest/v1/themes, /rest/v1/models -- the catalogue as rows, asked
 * for in PostgREST's language as far as wire/rest.h reads it.  Everybody with
 * the app's key sees the rows that are available, and no others.
 *
 *   200 [{…},…]            with Content-Range; one bare object if Accept is
 *                          application/vnd.pgrst.object+json
 *   400 PGRST100           a parameter cannot be read
 *   400 42703              no such column
 *   400 22P02              the value is not of the column's type
 *   401 invalid_api_key, PGRST301
 *   404 PGRST205           no such table, whatever the method
 *   405 PGRST117
 *   406 PGRST106           Accept-Profile names a schema that is not ours
 *   406 PGRST116           one object was wanted, and not one row was found
 */

#include "app/app.h"
#include "app/rows.h"
#include "app/view.h"

#include <assert.h>

struct rows {
	struct arena *arena;
	const struct rest_query *query;
	const void *row[CATALOG_ROWS_MAX];
	size_t count;
};

static void
keep(struct rows *rows, const void *row, size_t bytes)
{
	if (!rest_matches(rows->query, row))
		return;
	assert(rows->count < CATALOG_ROWS_MAX);
	rows->row[rows->count++] =
	    memcpy(arena_alloc(rows->arena, bytes), row, bytes);
}

static enum err
keep_model(void *arg, const struct model *model)
{
	if (model->is_available)
		keep(arg, model, sizeof(*model));
	return OK;
}

static enum err
keep_theme(void *arg, const struct theme *theme)
{
	if (theme->is_available)
		keep(arg, theme, sizeof(*theme));
	return OK;
}

static enum err
read_models(struct db *db, struct rows *rows)
{
	return catalog_models(db, keep_model, rows);
}

static enum err
read_themes(struct db *db, struct rows *rows)
{
	return catalog_themes(db, keep_theme, rows);
}

static void
write_model(struct json_writer *w, const void *row, unsigned members)
{
	view_model(w, row, members);
}

static void
write_theme(struct json_writer *w, const void *row, unsigned members)
{
	view_theme(w, row, members);
}

static const struct rest_column model_columns[] = {
	{ "id", REST_UUID, offsetof(struct model, id), VIEW_ID },
	{ "name", REST_TEXT, offsetof(struct model, name), VIEW_NAME },
	{ "category", REST_TEXT, offsetof(struct model, category),
	    VIEW_CATEGORY },
	{ "description", REST_TEXT, offsetof(struct model, description),
	    VIEW_DESCRIPTION },
	{ "thumbnail_url", REST_TEXT, offsetof(struct model, thumbnail_url),
	    VIEW_THUMBNAIL_URL },
	{ "is_featured", REST_BOOL, offsetof(struct model, is_featured),
	    VIEW_IS_FEATURED },
	{ "is_active", REST_BOOL, offsetof(struct model, is_active),
	    VIEW_IS_ACTIVE },
	{ "is_available", REST_BOOL, offsetof(struct model, is_available),
	    VIEW_IS_AVAILABLE },
	{ "cost_per_generation", REST_INT64,
	    offsetof(struct model, cost_per_generation_credits), VIEW_COST },
	{ "required_fields", REST_JSON, 0, VIEW_REQUIRED_FIELDS },
};

static const struct rest_column theme_columns[] = {
	{ "id", REST_UUID, offsetof(struct theme, id), VIEW_ID },
	{ "name", REST_TEXT, offsetof(struct theme, name), VIEW_NAME },
	{ "description", REST_TEXT, offsetof(struct theme, description),
	    VIEW_DESCRIPTION },
	{ "thumbnail_url", REST_TEXT, offsetof(struct theme, thumbnail_url),
	    VIEW_THUMBNAIL_URL },
	{ "prompt", REST_TEXT, offsetof(struct theme, prompt), VIEW_PROMPT },
	{ "is_featured", REST_BOOL, offsetof(struct theme, is_featured),
	    VIEW_IS_FEATURED },
	{ "is_available", REST_BOOL, offsetof(struct theme, is_available),
	    VIEW_IS_AVAILABLE },
	{ "default_settings", REST_JSON, 0, VIEW_DEFAULT_SETTINGS },
	{ "created_at", REST_INT64, offsetof(struct theme, created_at_ms),
	    VIEW_CREATED_AT },
};

static const struct source {
	struct rest_table table;
	enum err (*read)(struct db *db, struct rows *rows);
	void (*write)(struct json_writer *w, const void *row, unsigned members);
} sources[] = {
	{ { "models", model_columns,
	      sizeof(model_columns) / sizeof(model_columns[0]) },
	    read_models, write_model },
	{ { "themes", theme_columns,
	      sizeof(theme_columns) / sizeof(theme_columns[0]) },
	    read_themes, write_theme },
};

static const struct source *
find_source(struct str name)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (str_equal(name, str_from(sources[i].table.name)))
			return &sources[i];
	return NULL;
}

static bool
has(struct str name)
{
	return find_source(name) != NULL;
}

/* Rows first to end (not included) of what was found. */
static void
write_rows(struct response *res, const struct source *source,
    const struct rows *rows, size_t first, size_t end)
{
	json_begin_array(&res->json, NULL);
	for (size_t i = first; i < end; i++)
		source->write(&res->json, rows->row[i], rows->query->members);
	json_end_array(&res->json);
}

static size_t
lesser(int64_t wanted, size_t there)
{
	return wanted < (int64_t)there ? (size_t)wanted : there;
}

static enum err
rest(struct app *app, const struct request *req, struct response *res)
{
	const struct source *source = find_source(req->tail);
	struct rest_query query;
	struct rows rows = { .arena = req->arena, .query = &query };
	enum rest_verdict verdict;
	struct str bad;
	size_t first, end;
	enum err err;

	if (rows_refuse_schema(app, req, res))
		return OK;
	if (source == NULL)
		return ERR_NOT_FOUND;
	verdict = rest_parse(&source->table, &req->query, &query, &bad);
	if (verdict != REST_OK)
		return rows_refuse_query(app, req, res, verdict, bad);
	err = source->read(app->db, &rows);
	if (err != OK)
		return err;

	rest_sort(&query, rows.row, rows.count);
	first = lesser(query.offset, rows.count);
	end = first + lesser(query.limit, rows.count - first);
	if (http_content_type_is(req->accept, STR(ROWS_ONE_OBJECT))) {
		if (end - first != 1)
			return rows_refuse_object(app, req, res);
		source->write(&res->json, rows.row[first], query.members);
		res->content_type = ROWS_ONE_OBJECT;
	} else
		write_rows(res, source, &rows, first, end);
	rows_say_range(res, first, end);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "rest",
		.path = "/rest/v1/",
		.methods = HTTP_GET | HTTP_HEAD,
		.auth = AUTH_OPTIONAL,
		.dialect = DIALECT_REST,
		/* Who tries to write is told so, not that it was too much. */
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.is_read_only = true,
		.has = has,
		.handle = rest,
	};

	return app_serve(&endpoint, argc, argv);
}
