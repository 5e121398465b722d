/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/get-credit-history?limit=1..100&before=ENTRY -- what moved
 * a user's credits, newest first.
 *
 *   200 {"entries":[{"id":…,"change":-4,"balance_after":6,"reason":"hold",
 *        "job_id":…,"created_at":…}],"next_before":…}
 *   400 invalid_request    limit or before is not what it must be
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 */

#include "app/app.h"
#include "domain/credits.h"

#define LIMIT_STANDARD 20

static enum err
get_credit_history(struct app *app, const struct request *req,
    struct response *res)
{
	struct json_writer *w = &res->json;
	struct ledger_entry *entries = arena_alloc(req->arena,
	    (CREDITS_HISTORY_MAX + 1) * sizeof(*entries));
	int64_t limit = LIMIT_STANDARD;
	struct uuid before;
	struct str text;
	size_t count;
	const bool has_before = http_query_get(&req->query, "before", &text);
	enum err err;

	if (!query_int64(req, "limit", 1, CREDITS_HISTORY_MAX, &limit) ||
	    (has_before && !uuid_parse(text, &before)))
		return ERR_INVALID_REQUEST;
	err = credits_history(app->db, &req->user_id,
	    has_before ? &before : NULL, limit, entries, &count);
	if (err != OK)
		return err;

	json_begin_object(w, NULL);
	json_begin_array(w, "entries");
	for (size_t i = 0; i < count; i++) {
		json_begin_object(w, NULL);
		json_uuid(w, "id", &entries[i].id);
		json_int64(w, "change", entries[i].change_credits);
		json_int64(w, "balance_after",
		    entries[i].balance_after_credits);
		json_text(w, "reason", entries[i].kind);
		if (entries[i].has_job)
			json_uuid(w, "job_id", &entries[i].job_id);
		else
			json_null(w, "job_id");
		json_time(w, "created_at", entries[i].created_at_ms);
		json_end_object(w);
	}
	json_end_array(w);
	if (count == (size_t)limit)
		json_uuid(w, "next_before", &entries[count - 1].id);
	else
		json_null(w, "next_before");
	json_end_object(w);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "get-credit-history",
		.path = "/functions/v1/get-credit-history",
		.methods = HTTP_GET,
		.auth = AUTH_USER,
		.processes = 1,
		.is_read_only = true,
		.handle = get_credit_history,
	};

	return app_serve(&endpoint, argc, argv);
}
