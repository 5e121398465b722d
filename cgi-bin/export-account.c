/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/export-account -- everything we hold about oneself, as one
 * JSON document: a list of rows for each kind of thing.
 *
 *   200 {"exported_at":…,"users":[{…}],"merged_accounts":[…],
 *        "sessions":[…],"devices":[…],"apple_consents":[…],"jobs":[…],
 *        "attempts":[…],"requests":[…],"ledger_entries":[…],
 *        "credit_lots":[…],"objects":[…],"hold_lots":[…],"events":[…]}
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 *   503 service_unavailable  the disk has no room for it
 *
 * The videos themselves are fetched like any other (get-video-jobs).
 */

#include "app/app.h"
#include "app/files.h"
#include "app/section_writer.h"
#include "domain/exports.h"

/* Some hundred thousand jobs with prompts of usual length. */
#define EXPORT_BYTES_MAX ((size_t)512 * 1024 * 1024)

/* Kept in memory of it; one more row fits above this into an answer. */
#define EXPORT_PART_BYTES ((size_t)256 * 1024)

struct document {
	const struct app *app;
	struct response *res;
	bool has_failed; /* to be written down: what follows is dropped */
};

static void
row_written(void *arg)
{
	struct document *document = arg;

	if (document->res->body.len < EXPORT_PART_BYTES)
		return;
	if (document->has_failed ||
	    !app_spool(document->app, document->res, EXPORT_BYTES_MAX)) {
		document->has_failed = true;
		buf_clear(&document->res->body);
	}
}

static enum err
export_account(struct app *app, const struct request *req, struct response *res)
{
	struct document document = { .app = app, .res = res };
	struct section_writer writer = { &res->json, row_written, &document };
	const struct section_reader reader = section_writer_reader(&writer);
	struct json_writer *w = &res->json;
	enum err err;

	json_begin_object(w, NULL);
	json_time(w, "exported_at", req->now_ms);
	err = exports_read(app->db, &req->user_id, &reader);
	if (err != OK)
		return err;
	if (document.has_failed)
		return ERR_SERVICE_UNAVAILABLE;
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
		.is_read_only = true,
		.handle = export_account,
	};

	return app_serve(&endpoint, argc, argv);
}
