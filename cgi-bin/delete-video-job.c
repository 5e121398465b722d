/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/delete-video-job {"job_id":UUID} -- takes a generation
 * out of its user's sight, its files with it.
 *
 *   200 {"success":true}
 *   400 invalid_request    job_id is missing or not a UUID
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 *   404 job_not_found      there is none, or it is somebody else's
 *
 * A job that was not sent yet is cancelled and its credits go back; one that
 * is under way is hidden and still settled.
 */

#include "app/app.h"
#include "domain/jobs.h"

struct body {
	struct uuid job_id;
};

static enum err
delete_video_job(struct app *app, const struct request *req,
    struct response *res)
{
	static const struct json_field fields[] = {
		{ "job_id", JSON_UUID, offsetof(struct body, job_id), 0,
		    JSON_REQUIRED },
	};
	struct body body = { 0 };
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field))
		return ERR_INVALID_REQUEST;
	err = jobs_delete(app->db, &req->user_id, &body.job_id, req->now_ms);
	if (err != OK)
		return err;
	app_nudge(app);

	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "success", true);
	json_end_object(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "delete-video-job",
		.path = "/functions/v1/delete-video-job",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = delete_video_job,
	};

	return app_serve(&endpoint, argc, argv);
}
