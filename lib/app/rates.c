/* SPDX-License-Identifier: MIT */
#include "app/rates.h"
#include "base/metrics.h"
#include "wire/address.h"

#include <assert.h>
#include <sodium.h>

int64_t
rates_per_hour(const struct app *app, enum limit_kind kind)
{
	/* An order's is by who orders, the backstage's is not configured. */
	static const enum config_key keys[LIMIT_KIND_MAX] = {
		[LIMIT_DEVICE] = CONFIG_LIMIT_DEVICE_CHECK_PER_H,
		[LIMIT_ADDRESS] = CONFIG_LIMIT_ADDRESS_CHECK_PER_H,
		[LIMIT_FORGERY] = CONFIG_LIMIT_FORGERY_PER_H,
		[LIMIT_ADMIN] = CONFIG_LIMIT_ADMIN_SIGN_IN_PER_H,
		[LIMIT_PURCHASE] = CONFIG_LIMIT_PURCHASE_PER_H,
		[LIMIT_UPLOAD] = CONFIG_LIMIT_UPLOAD_PER_H,
		[LIMIT_REFRESH] = CONFIG_LIMIT_REFRESH_PER_H,
		[LIMIT_ACCOUNT] = CONFIG_LIMIT_ACCOUNT_PER_H,
	};

	assert(keys[kind] != 0);
	return config_number(&app->config, keys[kind]);
}

bool
rates_address(const struct app *app, const struct request *req,
    struct limit *limit)
{
	/* No device id holds a colon, so the two are never one subject. */
	uint8_t address[8 + ADDRESS_NETWORK_BYTES] = "address:";

	if (!address_network(req->remote_address, address + 8))
		return false;
	(void)crypto_auth_hmacsha256(limit->subject, address, sizeof(address),
	    app->keys.device);
	limit->subject_bytes = crypto_auth_hmacsha256_BYTES;
	return true;
}

static int64_t
seconds(int64_t ms)
{
	return (ms + 999) / 1000;
}

void
rates_tell(struct app *app, const struct request *req, struct response *res,
    const struct limit *limit, const struct limit_state *state, enum err err)
{
	if (state->max == 0)
		return;
	res->limit_max = state->max;
	res->limit_remaining = state->remaining;
	res->limit_reset_s = seconds(state->full_in_ms);
	if (err != ERR_RATE_LIMITED)
		return;
	res->retry_after_s = seconds(state->retry_in_ms);
	metric_add(metrics_find(METRIC_REFUSALS, limit_kind_name(limit->kind)),
	    0, 1);
	refusals_note(&app->refusals, limit, req->request_id, req->now_ms);
}

static enum err
use(struct app *app, const struct request *req, struct response *res,
    const struct limit *limit)
{
	struct limit_state state = { 0 };
	size_t index;
	const enum err err =
	    limits_use(app->db, limit, 1, req->now_ms, &state, &index);

	rates_tell(app, req, res, limit, &state, err);
	return err;
}

enum err
rates_use(struct app *app, const struct request *req, struct response *res,
    enum limit_kind kind)
{
	const struct limit limit =
	    limit_of_user(kind, &req->user_id, rates_per_hour(app, kind), 0);

	return use(app, req, res, &limit);
}

enum err
rates_use_address(struct app *app, const struct request *req,
    struct response *res, enum limit_kind kind)
{
	struct limit limit = { .kind = kind,
		.per_hour = rates_per_hour(app, kind) };

	if (address_is_local(req->remote_address))
		return OK;
	if (!rates_address(app, req, &limit))
		return ERR_INTERNAL;
	return use(app, req, res, &limit);
}
