/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/update-credits {"signed_transaction":JWS} or
 * {"transaction_id":"2000000123456789"} -- credits a purchase.
 *
 *   200 {"success":true,"credits_added":25,"credits_remaining":35,
 *        "total_credits":35,"transaction_id":…,"already_processed":false}
 *   400 invalid_transaction  not signed by Apple for this app, not a purchase
 *                            of credits or premium, refunded, or unknown to
 *                            Apple's store
 *   400 unknown_product      signed, but we do not sell that (yet): kept
 *   401 unauthorized         no valid bearer token
 *   403 forbidden            user_id names somebody else; or a purchase in
 *                            Apple's sandbox above its cap: kept
 *   409 purchase_belongs_to_other_account  it names another account, which
 *                            has the credits, or one that we do not know
 *                            (kept), or another has posted it before
 *   409 conflict             the balance would become too large
 *   429 rate_limited         too many posts within an hour, or ids that we
 *                            had to ask Apple about
 *   503 service_unavailable  Apple cannot be asked now: it will be, and the
 *                            credits come by themselves
 *
 * The app finishes a transaction on 200 only.  A repeated post answers 200
 * and adds nothing.  A signed transaction is verified here, without asking
 * anybody; a bare id is looked up at Apple's.
 */

#include "app/purchasing.h"
#include "app/rates.h"
#include "base/log.h"

/* If we die while we ask, the worker asks after this. */
#define LOOKUP_LEASE_MS (INT64_C(30) * 1000)

struct body {
	struct str transaction_id;
	struct str signed_transaction;
};

static void
answer(struct response *res, struct str transaction_id,
    const struct purchase_receipt *receipt)
{
	struct json_writer *w = &res->json;

	json_begin_object(w, NULL);
	json_bool(w, "success", true);
	json_int64(w, "credits_added", receipt->added_credits);
	json_int64(w, "credits_remaining", receipt->balance);
	json_int64(w, "total_credits", receipt->balance);
	json_str(w, "transaction_id", transaction_id);
	json_bool(w, "already_processed", receipt->is_repeat);
	json_end_object(w);
}

static enum err
credit(const struct app *app, const struct request *req,
    const struct appstore_transaction *transaction, struct response *res)
{
	const struct purchase_policy policy = purchasing_policy(&app->config);
	struct purchase_receipt receipt;
	struct purchase_fact fact;
	enum err err;

	if (!purchasing_fact(transaction, &fact))
		return ERR_INVALID_TRANSACTION;
	err = purchases_post(app->db, &req->user_id, &fact, &policy,
	    req->now_ms, &receipt);
	if (err == OK)
		answer(res, transaction->transaction_id, &receipt);
	return err;
}

static void
log_refusal(const struct request *req, enum log_level level,
    const char *problem)
{
	struct log log = log_begin(level, "purchase");

	log_str(&log, "request_id", req->request_id);
	log_text(&log, "problem", problem);
	log_end(&log);
}

static enum err
credit_signed(const struct app *app, const struct request *req,
    struct arena *arena, struct str jws, struct response *res)
{
	struct appstore_transaction transaction;
	const enum appstore_verdict verdict =
	    appstore_verify_transaction(&app->config, arena, jws, req->now_ms,
		&transaction);

	if (verdict != APPSTORE_OK)
		log_refusal(req, LOG_WARNING, appstore_verdict_name(verdict));
	if (verdict == APPSTORE_UNAVAILABLE)
		return ERR_SERVICE_UNAVAILABLE;
	return verdict == APPSTORE_OK ? credit(app, req, &transaction, res) :
					ERR_INVALID_TRANSACTION;
}

static enum err
credit_id(const struct app *app, const struct request *req, struct str id,
    struct response *res)
{
	struct lookup lookup = { .user_id = req->user_id,
		.created_at_ms = req->now_ms };
	struct appstore_answer said;
	struct purchase_receipt receipt;
	bool found;
	enum err err;

	err = purchases_find(app->db, &req->user_id, id, &found, &receipt);
	if (err == OK && !found) {
		(void)str_copy(id, lookup.transaction_id,
		    sizeof(lookup.transaction_id));
		err = lookups_begin(app->db, &req->user_id, id,
		    req->now_ms + LOOKUP_LEASE_MS, req->now_ms);
		if (err == OK)
			err = purchasing_look_up(&app->config, app->db, &lookup,
			    req->now_ms, &said, &receipt);
	}
	if (err == OK)
		answer(res, id, &receipt);
	return err;
}

static bool
is_transaction_id(struct str id)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] < '0' || id.ptr[i] > '9')
			return false;
	return id.len >= 1 && id.len <= APPSTORE_ID_BYTES_MAX;
}

static enum err
update_credits(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "transaction_id", JSON_STR,
		    offsetof(struct body, transaction_id), 0, JSON_OPTIONAL },
		{ "signed_transaction", JSON_STR,
		    offsetof(struct body, signed_transaction), 0,
		    JSON_OPTIONAL },
	};
	struct body body = { 0 };
	struct str bad_field;
	struct arena arena;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field))
		return ERR_INVALID_REQUEST;
	if (body.signed_transaction.len == 0 &&
	    !is_transaction_id(body.transaction_id))
		return ERR_INVALID_TRANSACTION;
	/* Before it is verified: that is what takes time. */
	err = rates_use(app, req, res, LIMIT_PURCHASE);
	if (err != OK)
		return err;
	arena_init(&arena, APPSTORE_ARENA_BYTES);
	err = body.signed_transaction.len > 0 ?
	    credit_signed(app, req, &arena, body.signed_transaction, res) :
	    credit_id(app, req, body.transaction_id, res);
	arena_free(&arena);
	/* Paid, and not kept: only the operator can help. */
	if (err == ERR_CONFLICT)
		log_refusal(req, LOG_ERROR, "largest_balance");
	return err;
}

int
main(int argc, char **argv)
{
	static const int live_keys[] = { CONFIG_APPLE_BUNDLE_ID,
		CONFIG_APPLE_APP_ID, CONFIG_APPSTORE_KEY_ID,
		CONFIG_APPSTORE_ISSUER_ID, CONFIG_APPSTORE_KEY_FILE, -1 };
	static const struct endpoint endpoint = {
		.name = "update-credits",
		.path = "/functions/v1/update-credits",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APPSTORE_JWS_BYTES_MAX + 1024,
		.processes = 4,
		.read_timeout_s = 25,
		.live_keys = live_keys,
		.handle = update_credits,
	};

	return app_serve(&endpoint, argc, argv);
}
