/* SPDX-License-Identifier: MIT */
/*
 * What Apple answers and signs, once its form or signature is out of the way:
 * payloads of the App Store, answers of its API, of DeviceCheck and of Sign in
 * with Apple.  The first byte chooses, the second the status.
 */
#include "provider/appleid_token.h"
#include "provider/appstore_answer.h"
#include "provider/appstore_read.h"
#include "provider/devicecheck_apple.h"
#include "base/clock.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int statuses[] = { 200, 202, 204, 400, 401, 403, 404, 429, 500,
	503 };

#define NOW_MS INT64_C(1790000000000)

static void
check_date(int64_t ms)
{
	assert(ms >= 0);
	assert(ms <= CLOCK_MS_MAX);
}

static void
check_id(struct str id)
{
	assert(id.len >= 1);
	assert(id.len <= APPSTORE_ID_BYTES_MAX);
	for (size_t i = 0; i < id.len; i++)
		assert(id.ptr[i] >= '0' && id.ptr[i] <= '9');
}

static void
read_payload(const struct json *payload)
{
	struct appstore_transaction t;
	struct appstore_renewal r;
	struct appstore_app_transaction a;
	struct appstore_outer n;

	if (appstore_read_transaction(payload, &t) == APPSTORE_OK) {
		check_id(t.transaction_id);
		check_id(t.original_transaction_id);
		check_date(t.purchase_date_ms);
		check_date(t.signed_date_ms);
		assert(t.quantity >= 1);
		assert(t.quantity <= APPSTORE_QUANTITY_MAX);
		assert(t.revocation_percentage >= APPSTORE_ABSENT);
		assert(t.revocation_percentage <= APPSTORE_WHOLE);
		assert(t.product_id.len > 0);
		assert(t.bundle_id.len > 0);
	}
	if (appstore_read_renewal(payload, &r) == APPSTORE_OK) {
		check_id(r.original_transaction_id);
		check_date(r.signed_date_ms);
	}
	(void)appstore_read_app_transaction(payload, &a);
	if (appstore_read_notification(payload, &n) == APPSTORE_OK) {
		assert(n.notification.uuid.len > 0);
		check_date(n.notification.signed_date_ms);
	}
}

static void
read_api(struct arena *arena, const struct fetch_response *response)
{
	const struct json *body = NULL;
	struct appstore_page page;
	struct str text;

	(void)appstore_read_answer(arena, response, NOW_MS, &body);
	/* Only a success has a body to act on. */
	assert(body == NULL || response->status / 100 == 2);
	if (body == NULL)
		return;
	(void)appstore_read_text(body, "signedTransactionInfo", &text);
	(void)appstore_read_notifications(arena, body, &page);
	(void)appstore_read_refunds(arena, body, &page);
	(void)appstore_read_attempt(body, &text);
}

static void
read_devicecheck(const struct fetch_response *response)
{
	struct devicecheck_bits bits;

	/* No phone is vouched for by anything but a success. */
	if (devicecheck_apple_query_answer(response, &bits) == DEVICECHECK_OK)
		assert(response->status == 200);
	if (devicecheck_apple_update_answer(response) == DEVICECHECK_OK)
		assert(response->status == 200);
}

static void
read_appleid(struct arena *arena, const struct fetch_response *response)
{
	struct appleid_grant grant;

	if (appleid_grant_answer(arena, response, &grant) == APPLEID_OK) {
		assert(response->status == 200);
		assert(grant.refresh_token.len > 0);
	}
	if (appleid_revoke_answer(response) == APPLEID_OK)
		assert(response->status / 100 == 2 || response->status == 400);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fetch_response response = { .phase = FETCH_ANSWERED };
	static struct arena arena;

	if (size < 2)
		return 0;
	response.status =
	    statuses[data[1] % (sizeof(statuses) / sizeof(statuses[0]))];
	response.body = (struct str){ (const char *)data + 2, size - 2 };
	if (arena.base == NULL)
		arena_init(&arena, (size_t)64 * 1024 * 1024);
	arena_reset(&arena);
	switch (data[0] % 4) {
	case 0:
		read_payload(json_parse(&arena, response.body));
		break;
	case 1:
		read_api(&arena, &response);
		break;
	case 2:
		read_devicecheck(&response);
		break;
	default:
		read_appleid(&arena, &response);
		break;
	}
	return 0;
}
