/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/get-video-status?job_id=UUID -- how a generation stands.
 *
 *   200 {"job_id":…,"status":"processing","poll_after_ms":2000,…}
 *   400 invalid_request    job_id is missing or not a UUID
 *   401 unauthorized       no valid bearer token
 *   404 job_not_found      there is none, or it is somebody else's
 *
 * Reads only: no provider is asked, however often a phone asks us.
 */

#include "app/app.h"
#include "app/view.h"
#include "domain/credits.h"

struct page {
	const struct app *app;
	const struct request *req;
	struct response *res;
};

static enum err
write_status(void *arg, const struct job *job)
{
	const struct page *page = arg;

	int64_t balance = 0;
	enum err err = OK;

	json_begin_object(&page->res->json, NULL);
	view_job(page->app, page->req, &page->res->json, job, true);
	/* The end also says what it came to. */
	if (job_is_over(job->state))
		err = credits_balance(page->app->db, &page->req->user_id,
		    &balance);
	if (job_is_over(job->state))
		json_int64(&page->res->json, "credits_remaining", balance);
	else
		json_null(&page->res->json, "credits_remaining");
	json_end_object(&page->res->json);
	return err;
}

static enum err
get_video_status(struct app *app, const struct request *req,
    struct response *res)
{
	struct page page = { app, req, res };
	struct uuid job_id;

	if (!query_uuid(req, "job_id", &job_id))
		return ERR_INVALID_REQUEST;
	return jobs_get(app->db, &req->user_id, &job_id, write_status, &page);
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "get-video-status",
		.path = "/functions/v1/get-video-status",
		.methods = HTTP_GET,
		.auth = AUTH_USER,
		.is_read_only = true,
		.handle = get_video_status,
	};

	return app_serve(&endpoint, argc, argv);
}
