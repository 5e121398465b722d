/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/sandbox-backstage/ACT -- what happens outside of a
 * phone, at the push of a button: for the playground, in sandbox mode only.
 *
 *	device {"name"}             200 {"device_token"} of a pretended phone
 *	purchase {"product_id"}     200 {"signed_transaction"}: the App Store
 *	                            sold it to this user
 *	refund {"transaction_id"}   200 {"signedPayload"}: the App Store took
 *	                            a purchase of this user back
 *	fail {"job_id"}             200 {"success":true}: the provider fails now
 *	silence {"job_id"}          200 {"silent_for_ms"}: until then nothing is
 *	                            heard of the job, as if webhooks were lost
 *	kill-worker {}              200 {"pid"} of the worker that was killed
 *
 *   400 invalid_request      a member is missing, unknown or not its kind
 *   401 unauthorized         but for device: no valid bearer token
 *   404 not_found            no such act; a transaction that is not credited
 *                            to this user; or, for all of them, a company is
 *                            configured that takes money for a generation
 *   404 job_not_found        not one of this user's
 *   409 conflict             the job is not at the provider, or is over there
 *   429 rate_limited         too often, with Retry-After
 *   503 service_unavailable  no worker that we may kill, no disk, no key
 *
 * What is signed here is still to be posted where the phone and the App Store
 * post it, and is verified there.  An act touches its own user's jobs and
 * purchases only, but for the worker, whom cron replaces.
 */

#include "app/rates.h"
#include "base/cleanup.h"
#include "base/lockfile.h"
#include "domain/jobs.h"
#include "domain/purchases.h"
#include "provider/appstore_sandbox.h"
#include "provider/devicecheck.h"
#include "provider/sandbox_server.h"
#include "wire/address.h"

#include <signal.h>
#include <sodium.h>

/* Each purchase is a file, and each act a row or two. */
#define ACTS_PER_HOUR_MAX 120

/* Whoever kills the worker stops everybody's videos for a moment. */
#define KILLS_PER_HOUR_MAX 6

#define SILENCE_MS INT64_C(5000)

/* "4194304\n" */
#define PID_BYTES_MAX ((size_t)16)

struct body {
	struct str name;
	struct str product_id;
	struct str transaction_id;
	struct uuid job_id;
	bool has_job_id;
};

struct act {
	struct app *app;
	const struct request *req;
	struct response *res;
	struct body body;
};

/* "sandbox:" and a user's id or "kill"; no device id holds a colon. */
#define SUBJECT_BYTES_MAX 64

/* One use of what a subject may do so often. */
static enum err
count(struct act *act, struct str subject, int64_t per_hour)
{
	struct limit limit = {
		.kind = LIMIT_BACKSTAGE,
		.subject_bytes = crypto_auth_hmacsha256_BYTES,
		.per_hour = per_hour,
	};
	struct limit_state state = { 0 };
	size_t index;
	enum err err;

	/* This machine itself is not limited, as in nginx/limits.conf. */
	if (address_is_local(act->req->remote_address))
		return OK;
	(void)crypto_auth_hmacsha256(limit.subject,
	    (const unsigned char *)subject.ptr, subject.len,
	    act->app->keys.device);
	err = limits_use(act->app->db, &limit, 1, act->req->now_ms, &state,
	    &index);
	rates_tell(act->app, act->req, act->res, &limit, &state, err);
	return err;
}

static void
answer_text(struct response *res, const char *name, struct str text)
{
	json_begin_object(&res->json, NULL);
	json_str(&res->json, name, text);
	json_end_object(&res->json);
}

static enum err
device(struct act *act)
{
	CLEANUP(buf_free) struct buf token = { 0 };

	buf_init(&token, DEVICECHECK_TOKEN_BYTES_MAX);
	if (!devicecheck_sandbox_token(act->app->keys.sandbox, act->body.name,
		&token))
		return ERR_INVALID_REQUEST;
	answer_text(act->res, "device_token", buf_str(&token));
	return OK;
}

static enum err
purchase(struct act *act)
{
	const struct appstore_sale sale = {
		.user_id = act->req->user_id,
		.has_user_id = true,
		.product_id = act->body.product_id,
		.type = APPSTORE_CONSUMABLE,
		.quantity = 1,
	};
	CLEANUP(buf_free) struct buf jws = { 0 };

	if (sale.product_id.len == 0 ||
	    sale.product_id.len > CATALOG_TEXT_BYTES)
		return ERR_INVALID_REQUEST;
	buf_init(&jws, APPSTORE_JWS_BYTES_MAX);
	if (!appstore_sandbox_sell(&act->app->config, &sale, act->req->now_ms,
		&jws))
		return ERR_SERVICE_UNAVAILABLE;
	answer_text(act->res, "signed_transaction", buf_str(&jws));
	return OK;
}

static enum err
refund(struct act *act)
{
	const struct appstore_event event = {
		.transaction_id = act->body.transaction_id,
		.type = "REFUND",
		.percentage = APPSTORE_WHOLE,
	};
	struct purchase_receipt receipt;
	struct arena arena;
	bool found;
	enum err err;

	err = purchases_find(act->app->db, &act->req->user_id,
	    event.transaction_id, &found, &receipt);
	if (err != OK)
		return err;
	if (!found)
		return ERR_NOT_FOUND;
	arena_init(&arena, APPSTORE_ARENA_BYTES);
	if (!appstore_sandbox_notify(&act->app->config, &arena, &event,
		act->req->now_ms, &act->res->body))
		err = ERR_NOT_FOUND;
	arena_free(&arena);
	return err;
}

/* The job as the sandbox's provider knows it. */
static enum err
find_request(struct act *act, struct sandbox_request *ret_request)
{
	struct uuid attempt_id;
	enum err err;

	if (!act->body.has_job_id)
		return ERR_INVALID_REQUEST;
	err = jobs_open_attempt(act->app->db, &act->req->user_id,
	    &act->body.job_id, &attempt_id);
	if (err != OK)
		return err;
	err = sandbox_lookup(&act->app->config, act->req->arena, &attempt_id,
	    ret_request);
	return err == ERR_NOT_FOUND ? ERR_CONFLICT : err;
}

static enum err
fail(struct act *act)
{
	struct sandbox_request request;
	enum err err = find_request(act, &request);

	if (err == OK)
		err =
		    sandbox_fail(&act->app->config, &request, act->req->now_ms);
	if (err != OK)
		return err;
	json_begin_object(&act->res->json, NULL);
	json_bool(&act->res->json, "success", true);
	json_end_object(&act->res->json);
	return OK;
}

static enum err
silence(struct act *act)
{
	struct sandbox_request request;
	enum err err = find_request(act, &request);

	if (err == OK)
		err = sandbox_silence(&act->app->config, &request,
		    act->req->now_ms + SILENCE_MS);
	if (err != OK)
		return err;
	json_begin_object(&act->res->json, NULL);
	json_int64(&act->res->json, "silent_for_ms", SILENCE_MS);
	json_end_object(&act->res->json);
	return OK;
}

/* The process that holds the worker's place; false when none does. */
static bool
find_worker(const struct config *config, int64_t *ret_pid)
{
	CLEANUP(buf_free) struct buf content = { 0 };
	CLEANUP(cleanup_fd) int place = -1;
	char path[CONFIG_VALUE_BYTES_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/run/worker.lock",
	    config_text(config, CONFIG_STATE_DIR));
	/* What a dead worker left there may be another process by now. */
	if (lockfile_take(path, 0, &place))
		return false;
	buf_init(&content, PID_BYTES_MAX);
	return config_read_file(path, true, &content) &&
	    str_to_int64(buf_str(&content), 2, INT32_MAX, ret_pid);
}

static enum err
kill_worker(struct act *act)
{
	int64_t pid;
	const enum err err =
	    count(act, STR("sandbox:kill"), KILLS_PER_HOUR_MAX);

	if (err != OK)
		return err;
	if (!find_worker(&act->app->config, &pid) ||
	    kill((pid_t)pid, SIGKILL) != 0)
		return ERR_SERVICE_UNAVAILABLE;
	json_begin_object(&act->res->json, NULL);
	json_int64(&act->res->json, "pid", pid);
	json_end_object(&act->res->json);
	return OK;
}

static enum err
perform(struct act *act, enum err (*run)(struct act *act))
{
	char subject[SUBJECT_BYTES_MAX] = "sandbox:";
	enum err err;

	if (!act->req->has_user)
		return ERR_UNAUTHORIZED;
	uuid_format(&act->req->user_id, subject + strlen(subject));
	err = count(act, str_from(subject), ACTS_PER_HOUR_MAX);
	return err == OK ? run(act) : err;
}

static enum err
sandbox_backstage(struct app *app, const struct request *req,
    struct response *res)
{
	static const struct json_field fields[] = {
		{ "name", JSON_STR, offsetof(struct body, name), 0,
		    JSON_OPTIONAL },
		{ "product_id", JSON_STR, offsetof(struct body, product_id), 0,
		    JSON_OPTIONAL },
		{ "transaction_id", JSON_STR,
		    offsetof(struct body, transaction_id), 0, JSON_OPTIONAL },
		{ "job_id", JSON_UUID, offsetof(struct body, job_id),
		    offsetof(struct body, has_job_id), JSON_OPTIONAL },
	};
	static const struct {
		const char *name;
		enum err (*run)(struct act *act);
	} acts[] = {
		{ "purchase", purchase },
		{ "refund", refund },
		{ "fail", fail },
		{ "silence", silence },
		{ "kill-worker", kill_worker },
	};
	struct act act = { .app = app, .req = req, .res = res };
	struct str bad_field;

	/* Pretended phones and purchases must not pay for real videos. */
	if (!config_is_sandbox(&app->config) ||
	    config_is_set(&app->config, CONFIG_FAL_KEY) ||
	    config_is_set(&app->config, CONFIG_REPLICATE_TOKEN))
		return ERR_NOT_FOUND;
	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_REFUSE_UNKNOWN, &act.body, &bad_field))
		return ERR_INVALID_REQUEST;
	if (str_equal(req->tail, STR("device")))
		return device(&act);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (str_equal(req->tail, str_from(acts[i].name)))
			return perform(&act, acts[i].run);
	return ERR_NOT_FOUND;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "sandbox-backstage",
		.path = "/functions/v1/sandbox-backstage/",
		.methods = HTTP_POST,
		.auth = AUTH_OPTIONAL,
		.dialect = DIALECT_FUNCTIONS,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.is_sandbox_only = true,
		.handle = sandbox_backstage,
	};

	return app_serve(&endpoint, argc, argv);
}
