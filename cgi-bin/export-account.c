/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/export-account -- everything we hold about oneself, as one
 * JSON document: a list of rows for each kind of thing.
 *
 *   200 {"exported_at":…,"users":[{…}],"sessions":[…],"devices":[…],
 *        "apple_consents":[…],"jobs":[…],"attempts":[…],"requests":[…],"ledger_entries":[…],
 *        "credit_lots":[…],"objects":[…],"events":[…]}
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 *
 * The videos themselves are fetched like any other (get-video-jobs).
 */

#include "app/app.h"
#include "app/files.h"
#include "domain/exports.h"

/* Some hundred thousand jobs with prompts of usual length. */
#define EXPORT_BYTES_MAX ((size_t)64 * 1024 * 1024)

static void
begin_section(void *arg, const char *name)
{
	json_begin_array(arg, name);
}

static void
end_section(void *arg)
{
	json_end_array(arg);
}

static void
begin_row(void *arg)
{
	json_begin_object(arg, NULL);
}

static void
end_row(void *arg)
{
	json_end_object(arg);
}

static void
write_value(void *arg, const struct export_value *value)
{
	struct json_writer *w = arg;

	if (value->is_null) {
		json_null(w, value->name);
		return;
	}
	switch (value->type) {
	case EXPORT_TEXT:
		json_str(w, value->name, value->text);
		break;
	case EXPORT_NUMBER:
		json_int64(w, value->name, value->number);
		break;
	case EXPORT_FLAG:
		json_bool(w, value->name, value->number != 0);
		break;
	case EXPORT_ID:
		json_uuid(w, value->name, &value->id);
		break;
	case EXPORT_TIME:
		json_time(w, value->name, value->number);
		break;
	}
}

static enum err
export_account(struct app *app, const struct request *req, struct response *res)
{
	struct json_writer *w = &res->json;
	const struct export_reader reader = { w, begin_section, begin_row,
		write_value, end_row, end_section };
	enum err err;

	json_begin_object(w, NULL);
	json_time(w, "exported_at", req->now_ms);
	err = exports_read(app->db, &req->user_id, &reader);
	if (err != OK)
		return err;
	json_end_object(w);
	app_attach(res, STR("account.json"));
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "export-account",
		.path = "/functions/v1/export-account",
		.methods = HTTP_GET,
		.auth = AUTH_USER,
		.processes = 1,
		.read_timeout_s = 60,
		.response_bytes_max = EXPORT_BYTES_MAX,
		.is_read_only = true,
		.handle = export_account,
	};

	return app_serve(&endpoint, argc, argv);
}
