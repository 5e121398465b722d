/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/cancel-video-job {"job_id":UUID} -- gives up a video that
 * is not being made yet.
 *
 *   200 {"success":true,"status":"failed","credits_refunded":4}
 *       it had not been sent: it is over and its credits are back
 *   200 {"success":true,"status":"pending","credits_refunded":0}
 *       it waits at the provider, which is being asked; get-video-status
 *       tells what came of that
 *   400 invalid_request    job_id is missing or not a UUID
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 *   404 job_not_found      there is none, or it is somebody else's
 *   409 job_not_cancelable it is being made, or has ended
 *
 * Cancelling twice answers the same.
 */

#include "app/app.h"
#include "domain/jobs.h"

struct body {
	struct uuid job_id;
	struct str user_id; /* was compared with the token's */
};

static enum err
cancel_video_job(struct app *app, const struct request *req,
    struct response *res)
{
	static const struct json_field fields[] = {
		{ "job_id", JSON_UUID, offsetof(struct body, job_id), 0,
		    JSON_REQUIRED },
		{ "user_id", JSON_STR, offsetof(struct body, user_id), 0, 0 },
	};
	struct job_cancellation cancellation;
	struct body body = { 0 };
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_REFUSE_UNKNOWN, &body, &bad_field))
		return ERR_INVALID_REQUEST;
	err = jobs_cancel(app->db, &req->user_id, &body.job_id, req->now_ms,
	    &cancellation);
	if (err != OK)
		return err;
	app_nudge(app);

	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "success", true);
	json_text(&res->json, "status", job_public_status(cancellation.state));
	json_int64(&res->json, "credits_refunded",
	    cancellation.refunded_credits);
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "cancel-video-job",
		.path = "/functions/v1/cancel-video-job",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = cancel_video_job,
	};

	return app_serve(&endpoint, argc, argv);
}
