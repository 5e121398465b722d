/* SPDX-License-Identifier: MIT */
#include "provider/appstore_sandbox.h"

#include "base/cleanup.h"
#include "provider/appstore_check.h"
#include "provider/sandbox_file.h"
#include "wire/json.h"
#include "wire/x509_issue.h"

#include <inttypes.h>

#define FOLDER "purchases"

/* A transaction's payload has about 700 bytes. */
#define PAYLOAD_BYTES_MAX ((size_t)16 * 1024)

/* A year before it was made and ten after: old sales can be tried too. */
#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)
#define PERIOD_MS (INT64_C(30) * 24 * 3600 * 1000)

/* What everything costs here: 0.99 USD. */
#define PRICE_MILLIUNITS INT64_C(990)

#define PATH_BYTES (CONFIG_VALUE_BYTES_MAX + 64)

void
appstore_sandbox_generate(int64_t now_ms, struct buf *pem)
{
	x509_issue(
	    &(const struct x509_issue){
		.name = "Rendio Sandbox Store",
		.leaf_marker = APPSTORE_LEAF_MARKER,
		.intermediate_marker = APPSTORE_INTERMEDIATE_MARKER,
		.from_ms = now_ms - YEAR_MS,
		.to_ms = now_ms + 10 * YEAR_MS,
	    },
	    pem);
}

static bool
read_identity(const struct config *config, struct buf *pem)
{
	char path[PATH_BYTES];

	(void)snprintf(path, sizeof(path), "%s/%s",
	    config_text(config, CONFIG_STATE_DIR), APPSTORE_SANDBOX_KEY);
	return config_read_file(path, false, pem);
}

static void
wipe(struct buf *buf)
{
	if (buf->len > 0)
		explicit_bzero(buf->ptr, buf->len);
	buf_free(buf);
}

bool
appstore_sandbox_root(const struct config *config, struct buf *pem)
{
	CLEANUP(wipe) struct buf identity = { 0 };
	struct str root;

	buf_init(&identity, X509_IDENTITY_BYTES_MAX);
	if (!read_identity(config, &identity))
		return false;
	root = x509_identity_root(buf_str(&identity));
	buf_append(pem, root);
	return root.len > 0;
}

static bool
sign(const struct config *config, const struct buf *payload, struct buf *out)
{
	CLEANUP(wipe) struct buf identity = { 0 };

	buf_init(&identity, X509_IDENTITY_BYTES_MAX);
	return !payload->failed && read_identity(config, &identity) &&
	    jws_sign(buf_str(&identity), buf_str(payload), out);
}

static const char *
type_name(enum appstore_product_type type)
{
	switch (type) {
	case APPSTORE_NON_CONSUMABLE:
		return "Non-Consumable";
	case APPSTORE_AUTO_RENEWABLE:
		return "Auto-Renewable Subscription";
	case APPSTORE_NON_RENEWING:
		return "Non-Renewing Subscription";
	case APPSTORE_CONSUMABLE:
	case APPSTORE_OTHER_PRODUCT_TYPE:
		break;
	}
	return "Consumable";
}

/* Sixteen digits, as Apple's sandbox has them. */
#define ID_BYTES 17
static void
draw_id(char id[ID_BYTES])
{
	uint64_t number;

	random_bytes(&number, sizeof(number));
	(void)snprintf(id, ID_BYTES, "20%014" PRIu64,
	    number % UINT64_C(100000000000000));
}

static void
write_sale(const struct config *config, const struct appstore_sale *sale,
    const char *id, int64_t now_ms, struct buf *payload)
{
	struct json_writer w = json_writer(payload);

	json_begin_object(&w, NULL);
	json_text(&w, "transactionId", id);
	json_text(&w, "originalTransactionId", id);
	json_text(&w, "bundleId", appstore_bundle_id(config));
	json_str(&w, "productId", sale->product_id);
	json_int64(&w, "purchaseDate", now_ms);
	json_int64(&w, "originalPurchaseDate", now_ms);
	if (sale->type == APPSTORE_AUTO_RENEWABLE)
		json_int64(&w, "expiresDate", now_ms + PERIOD_MS);
	json_int64(&w, "quantity", sale->quantity);
	json_text(&w, "type", type_name(sale->type));
	if (sale->has_user_id)
		json_uuid(&w, "appAccountToken", &sale->user_id);
	json_text(&w, "inAppOwnershipType", "PURCHASED");
	json_int64(&w, "signedDate", now_ms);
	json_text(&w, "environment", "Sandbox");
	json_text(&w, "transactionReason", "PURCHASE");
	json_text(&w, "storefront", "USA");
	json_text(&w, "storefrontId", "143441");
	json_int64(&w, "price", PRICE_MILLIUNITS * sale->quantity);
	json_text(&w, "currency", "USD");
	json_end_object(&w);
}

bool
appstore_sandbox_sell(const struct config *config,
    const struct appstore_sale *sale, int64_t now_ms, struct buf *out)
{
	CLEANUP(buf_free) struct buf payload = { 0 };
	char id[ID_BYTES];

	buf_init(&payload, PAYLOAD_BYTES_MAX);
	draw_id(id);
	write_sale(config, sale, id, now_ms, &payload);
	/* Signed first: what cannot be shown was not sold. */
	return sign(config, &payload, out) &&
	    sandbox_file_replace(config, FOLDER, id, buf_str(&payload));
}

/* Ids are file names, so only digits are looked for. */
static bool
read_sold(const struct config *config, struct arena *arena, struct str id,
    const struct json **ret_payload)
{
	char name[APPSTORE_ID_BYTES_MAX + 1], path[SANDBOX_PATH_BYTES];
	CLEANUP(buf_free) struct buf content = { 0 };

	if (id.len == 0 || !str_copy(id, name, sizeof(name)) ||
	    strspn(name, "0123456789") != id.len)
		return false;
	buf_init(&content, PAYLOAD_BYTES_MAX);
	sandbox_path(config, FOLDER, name, path);
	if (!config_read_file(path, false, &content))
		return false;
	*ret_payload = json_parse(arena, buf_str(&content));
	return json_is_object(*ret_payload);
}

static bool
is_one_of(struct str name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (str_equal(name, str_from(*names)))
			return true;
	return false;
}

/* The payload again, signed now, with what the event changes of it. */
static void
rewrite(const struct json *sold, const struct appstore_event *event,
    int64_t now_ms, struct buf *payload)
{
	static const char *const revocation[] = { "revocationDate",
		"revocationReason", "revocationType", "revocationPercentage",
		NULL };
	const bool is_refund =
	    event != NULL && strcmp(event->type, "REFUND") == 0;
	const bool is_reversal =
	    event != NULL && strcmp(event->type, "REFUND_REVERSED") == 0;
	struct json_writer w = json_writer(payload);

	json_begin_object(&w, NULL);
	for (const struct json *m = json_first(sold); m; m = json_next(m)) {
		const struct str name = json_name(m);

		if (str_equal(name, STR("signedDate")) ||
		    ((is_refund || is_reversal) && is_one_of(name, revocation)))
			continue;
		json_copy(&w, name.ptr, m);
	}
	json_int64(&w, "signedDate", now_ms);
	if (is_refund) {
		json_int64(&w, "revocationDate", now_ms);
		json_int64(&w, "revocationReason", 0);
		json_text(&w, "revocationType",
		    event->percentage == APPSTORE_WHOLE ? "REFUND_FULL" :
							  "REFUND_PRORATED");
		json_int64(&w, "revocationPercentage", event->percentage);
	}
	json_end_object(&w);
}

bool
appstore_sandbox_transaction(const struct config *config, struct arena *arena,
    struct str transaction_id, int64_t now_ms, struct buf *out)
{
	CLEANUP(buf_free) struct buf payload = { 0 };
	const struct json *sold;

	buf_init(&payload, PAYLOAD_BYTES_MAX);
	if (!read_sold(config, arena, transaction_id, &sold))
		return false;
	rewrite(sold, NULL, now_ms, &payload);
	return sign(config, &payload, out);
}

static void
write_notification(const struct config *config,
    const struct appstore_event *event, struct str transaction, int64_t now_ms,
    struct buf *payload)
{
	const struct uuid uuid = uuid_random();
	struct json_writer w = json_writer(payload);

	json_begin_object(&w, NULL);
	json_text(&w, "notificationType", event->type);
	json_uuid(&w, "notificationUUID", &uuid);
	json_text(&w, "version", "2.0");
	json_int64(&w, "signedDate", now_ms);
	json_begin_object(&w, "data");
	json_text(&w, "bundleId", appstore_bundle_id(config));
	json_text(&w, "environment", "Sandbox");
	if (strcmp(event->type, "CONSUMPTION_REQUEST") == 0)
		json_text(&w, "consumptionRequestReason",
		    "UNINTENDED_PURCHASE");
	json_str(&w, "signedTransactionInfo", transaction);
	json_end_object(&w);
	json_end_object(&w);
}

bool
appstore_sandbox_notify(const struct config *config, struct arena *arena,
    const struct appstore_event *event, int64_t now_ms, struct buf *out)
{
	CLEANUP(buf_free) struct buf payload = { 0 };
	CLEANUP(buf_free) struct buf transaction = { 0 };
	CLEANUP(buf_free) struct buf outer = { 0 };
	CLEANUP(buf_free) struct buf jws = { 0 };
	char name[APPSTORE_ID_BYTES_MAX + 1];
	const struct json *sold;
	struct json_writer w;

	buf_init(&payload, PAYLOAD_BYTES_MAX);
	buf_init(&transaction, APPSTORE_JWS_BYTES_MAX);
	buf_init(&outer, APPSTORE_JWS_BYTES_MAX);
	buf_init(&jws, APPSTORE_JWS_BYTES_MAX);
	if (!read_sold(config, arena, event->transaction_id, &sold) ||
	    !str_copy(event->transaction_id, name, sizeof(name)))
		return false;
	rewrite(sold, event, now_ms, &payload);
	if (!sign(config, &payload, &transaction))
		return false;
	write_notification(config, event, buf_str(&transaction), now_ms,
	    &outer);
	if (!sign(config, &outer, &jws) ||
	    !sandbox_file_replace(config, FOLDER, name, buf_str(&payload)))
		return false;
	w = json_writer(out);
	json_begin_object(&w, NULL);
	json_str(&w, "signedPayload", buf_str(&jws));
	json_end_object(&w);
	return !out->failed;
}
