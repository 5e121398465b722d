/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/get-video-jobs?limit=1..100&offset=N | &before=JOB -- a
 * user's generations, newest first.
 *
 *   200 {"jobs":[…],"next_before":…}
 *   400 invalid_request    limit, offset or before is not what it must be
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 */

#include "app/app.h"
#include "app/view.h"

#define LIMIT_STANDARD 20

/* A page this deep by offset reads what it skips; `before` does not. */
#define OFFSET_MAX 10000

struct page {
	const struct app *app;
	const struct request *req;
	struct response *res;
	struct uuid last;
	int64_t count;
};

static enum err
write_job(void *arg, const struct job *job)
{
	struct page *page = arg;

	json_begin_object(&page->res->json, NULL);
	view_job(page->app, page->req, &page->res->json, job, false);
	json_end_object(&page->res->json);
	page->last = job->id;
	page->count++;
	return OK;
}

static enum err
get_video_jobs(struct app *app, const struct request *req, struct response *res)
{
	struct page page = { .app = app, .req = req, .res = res };
	int64_t limit = LIMIT_STANDARD, offset = 0;
	struct uuid before;
	struct str text;
	const bool has_before = http_query_get(&req->query, "before", &text);
	enum err err;

	if (!query_int64(req, "limit", 1, JOBS_PAGE_MAX, &limit) ||
	    !query_int64(req, "offset", 0, INT64_MAX, &offset) ||
	    (has_before && !uuid_parse(text, &before)))
		return ERR_INVALID_REQUEST;

	json_begin_object(&res->json, NULL);
	json_begin_array(&res->json, "jobs");
	if (offset <= OFFSET_MAX) {
		err = jobs_list(app->db, &req->user_id,
		    has_before ? &before : NULL, offset, limit, write_job,
		    &page);
		if (err != OK)
			return err;
	}
	json_end_array(&res->json);
	if (page.count == limit)
		json_uuid(&res->json, "next_before", &page.last);
	else
		json_null(&res->json, "next_before");
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "get-video-jobs",
		.path = "/functions/v1/get-video-jobs",
		.methods = HTTP_GET,
		.auth = AUTH_USER,
		.is_read_only = true,
		.handle = get_video_jobs,
	};

	return app_serve(&endpoint, argc, argv);
}
