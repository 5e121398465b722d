/* SPDX-License-Identifier: MIT */
/*
 * GET, HEAD, PATCH /rest/v1/users -- one's own row, in PostgREST's language as
 * far as wire/rest.h reads it.  Nobody sees or changes another's.
 *
 * PATCH {"language":"tr","theme_preference":"dark"} with a filter changes
 * these two columns and no other.
 *
 *   200 [{…}]              the row, or [] if the filters name another; one
 *                          bare object if Accept is
 *                          application/vnd.pgrst.object+json
 *   204                    PATCH without Prefer: return=representation
 *   400 PGRST100, 42703, 22P02   as for the other tables
 *   400 PGRST102           the body is not a JSON object
 *   400 PGRST204           no such column in the body
 *   400 21000              PATCH without a filter
 *   400 23514              a value that the column does not take
 *   401 42501              no bearer token
 *   401 invalid_api_key, PGRST301
 *   403 42501              the column is not for the client to write
 *   405 PGRST117
 *   406 PGRST106, PGRST116
 */

#include "app/app.h"
#include "app/rows.h"
#include "app/view.h"

static const struct rest_column columns[] = {
	{ "id", REST_UUID, offsetof(struct account, id), VIEW_USER_ID },
	{ "email", REST_TEXT, offsetof(struct account, email),
	    VIEW_USER_EMAIL },
	{ "device_id", REST_JSON, 0, VIEW_USER_DEVICE_ID },
	{ "apple_sub", REST_TEXT, offsetof(struct account, apple_sub),
	    VIEW_USER_APPLE_SUB },
	{ "is_guest", REST_BOOL, offsetof(struct account, is_guest),
	    VIEW_USER_IS_GUEST },
	{ "tier", REST_JSON, 0, VIEW_USER_TIER },
	{ "credits_remaining", REST_INT64,
	    offsetof(struct account, credits_remaining),
	    VIEW_USER_CREDITS_REMAINING },
	{ "credits_total", REST_INT64, offsetof(struct account, credits_total),
	    VIEW_USER_CREDITS_TOTAL },
	{ "initial_grant_claimed", REST_JSON, 0,
	    VIEW_USER_INITIAL_GRANT_CLAIMED },
	{ "language", REST_TEXT, offsetof(struct account, language),
	    VIEW_USER_LANGUAGE },
	{ "theme_preference", REST_TEXT,
	    offsetof(struct account, theme_preference),
	    VIEW_USER_THEME_PREFERENCE },
	{ "app_account_token", REST_UUID,
	    offsetof(struct account, app_account_token),
	    VIEW_USER_APP_ACCOUNT_TOKEN },
	{ "created_at", REST_INT64, offsetof(struct account, created_at_ms),
	    VIEW_USER_CREATED_AT },
	{ "updated_at", REST_INT64, offsetof(struct account, updated_at_ms),
	    VIEW_USER_UPDATED_AT },
};

#define COLUMNS_COUNT (sizeof(columns) / sizeof(columns[0]))

static const struct rest_table table = { "users", columns, COLUMNS_COUNT };

/* Columns that nobody sees, and whom to try gets the same word as the rest. */
static const char *const hidden_columns[] = { "is_admin", "status",
	"grant_state" };

static bool
exists(struct str name)
{
	for (size_t i = 0; i < COLUMNS_COUNT; i++)
		if (str_equal(name, str_from(columns[i].name)))
			return true;
	for (size_t i = 0;
	     i < sizeof(hidden_columns) / sizeof(hidden_columns[0]); i++)
		if (str_equal(name, str_from(hidden_columns[i])))
			return true;
	return false;
}

enum change_verdict {
	CHANGE_OK,
	CHANGE_UNKNOWN_COLUMN,
	CHANGE_FORBIDDEN,
	CHANGE_BAD_VALUE,
};

static enum change_verdict
read_change(const struct json *member, struct account_settings *settings)
{
	const struct str name = json_name(member);
	struct str value;

	if (str_equal(name, STR("language")))
		return json_to_str(member, &value) &&
			accounts_language_ok(value) &&
			str_copy(value, settings->language,
			    sizeof(settings->language)) ?
		    CHANGE_OK :
		    CHANGE_BAD_VALUE;
	if (str_equal(name, STR("theme_preference")))
		return json_to_str(member, &value) &&
			accounts_theme_preference_ok(value) &&
			str_copy(value, settings->theme_preference,
			    sizeof(settings->theme_preference)) ?
		    CHANGE_OK :
		    CHANGE_BAD_VALUE;
	return exists(name) ? CHANGE_FORBIDDEN : CHANGE_UNKNOWN_COLUMN;
}

/* All members are judged before anything changes; the worst verdict counts. */
static enum change_verdict
read_changes(const struct json *body, struct account_settings *settings)
{
	enum change_verdict worst = CHANGE_OK;

	for (const struct json *member = json_first(body); member != NULL;
	     member = json_next(member)) {
		const enum change_verdict verdict =
		    read_change(member, settings);

		if (verdict == CHANGE_FORBIDDEN)
			return verdict;
		if (worst == CHANGE_OK)
			worst = verdict;
	}
	return worst;
}

static enum err
refuse_change(const struct app *app, const struct request *req,
    struct response *res, enum change_verdict verdict)
{
	switch (verdict) {
	case CHANGE_UNKNOWN_COLUMN:
		return app_error(app, req, res, 400, "PGRST204",
		    "Could not find a column of the body in table users");
	case CHANGE_FORBIDDEN:
		return app_error(app, req, res, 403, "42501",
		    "permission denied for table users");
	case CHANGE_BAD_VALUE:
	case CHANGE_OK:
		break;
	}
	return app_error(app, req, res, 400, "23514",
	    "new row for relation users violates a check constraint");
}

static enum err
answer(const struct app *app, const struct request *req, struct response *res,
    const struct rest_query *query, const struct account *account,
    bool is_found)
{
	const bool is_shown =
	    is_found && query->offset == 0 && query->limit > 0;

	if (http_content_type_is(req->accept, STR(ROWS_ONE_OBJECT))) {
		if (!is_shown)
			return rows_refuse_object(app, req, res);
		view_user(&res->json, account, query->members);
		res->content_type = ROWS_ONE_OBJECT;
	} else {
		json_begin_array(&res->json, NULL);
		if (is_shown)
			view_user(&res->json, account, query->members);
		json_end_array(&res->json);
	}
	rows_say_range(res, 0, is_shown ? 1 : 0);
	return OK;
}

/* RFC 7240: preferences stand in a list. */
static bool
wants_representation(struct str prefer)
{
	struct str word;
	bool more;

	do {
		more = str_cut(prefer, ',', &word, &prefer);
		if (str_equal(str_trim(word), STR("return=representation")))
			return true;
	} while (more);
	return false;
}

static enum err
patch(struct app *app, const struct request *req, struct response *res,
    const struct rest_query *query, struct account *account)
{
	struct account_settings settings = { 0 };
	const bool is_found = rest_matches(query, account);
	enum change_verdict verdict;
	enum err err;

	if (query->filters == 0)
		return app_error(app, req, res, 400, "21000",
		    "UPDATE requires a WHERE clause");
	verdict = read_changes(req->json, &settings);
	if (verdict != CHANGE_OK)
		return refuse_change(app, req, res, verdict);
	/* Who wants one object wants nothing changed when there is none. */
	if (!is_found &&
	    http_content_type_is(req->accept, STR(ROWS_ONE_OBJECT)))
		return rows_refuse_object(app, req, res);
	if (is_found) {
		err = accounts_change_settings(app->db, &req->user_id,
		    &settings, req->now_ms, account);
		if (err != OK)
			return err;
	}
	if (wants_representation(req->prefer))
		return answer(app, req, res, query, account, is_found);
	res->status = 204;
	return OK;
}

static enum err
rest_users(struct app *app, const struct request *req, struct response *res)
{
	struct rest_query query;
	struct account account;
	enum rest_verdict verdict;
	struct str bad;
	enum err err;

	if (rows_refuse_schema(app, req, res))
		return OK;
	if (!req->has_user)
		return app_error(app, req, res, 401, "42501",
		    "permission denied for table users");
	verdict = rest_parse(&table, &req->query, &query, &bad);
	if (verdict != REST_OK)
		return rows_refuse_query(app, req, res, verdict, bad);
	err = accounts_get(app->db, &req->user_id, &account);
	if (err != OK)
		return err;
	if (req->method == HTTP_PATCH)
		return patch(app, req, res, &query, &account);
	return answer(app, req, res, &query, &account,
	    rest_matches(&query, &account));
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "rest-users",
		.path = "/rest/v1/users",
		.methods = HTTP_GET | HTTP_HEAD | HTTP_PATCH,
		.auth = AUTH_OPTIONAL,
		.dialect = DIALECT_REST,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = rest_users,
	};

	return app_serve(&endpoint, argc, argv);
}
