/* SPDX-License-Identifier: MIT */
#include "provider/appstore.h"

#include "base/clock.h"
#include "provider/appstore_api.h"
#include "provider/appstore_read.h"
#include "provider/appstore_sandbox.h"
#include "wire/x509_issue.h"

#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MODELS "tests/vectors/apple/models/"
#define LIVE \
	"RENDIO_MODE=live\nRENDIO_APPLE_BUNDLE_ID=com.example\n" \
	"RENDIO_APPLE_APP_ID=1234\n"

static char state_dir[] = "/tmp/rendio-appstore-XXXXXX";
static char identity_path[128];
static struct arena arena;
static struct buf identity; /* of the sandbox */
static struct config config; /* of the sandbox */
static int64_t now_ms;

static void
parse_config(struct config *c, const char *lines)
{
	char text[128];
	char *environment[] = { text, NULL };
	struct buf problem;

	(void)snprintf(text, sizeof(text), "RENDIO_STATE_DIR=%s", state_dir);
	buf_init(&problem, 512);
	assert_true(config_parse(c, str_from(lines), environment, &problem));
	buf_free(&problem);
	appstore_forget();
}

static int
set_up(void **state)
{
	char keys[128];
	FILE *file;

	(void)state;
	now_ms = clock_now_ms();
	if (mkdtemp(state_dir) == NULL)
		return -1;
	arena_init(&arena, APPSTORE_ARENA_BYTES);
	buf_init(&identity, APPSTORE_SANDBOX_KEY_BYTES_MAX);
	appstore_sandbox_generate(now_ms, &identity);
	(void)snprintf(keys, sizeof(keys), "%s/keys", state_dir);
	(void)snprintf(identity_path, sizeof(identity_path), "%s/%s", state_dir,
	    APPSTORE_SANDBOX_KEY);
	if (mkdir(keys, 0700) != 0)
		return -1;
	file = fopen(identity_path, "we");
	if (file == NULL ||
	    fwrite(identity.ptr, 1, identity.len, file) != identity.len)
		return -1;
	(void)fclose(file);
	parse_config(&config, "");
	return 0;
}

static int
remove_one(const char *path, const struct stat *info, int type,
    struct FTW *place)
{
	(void)info;
	(void)type;
	(void)place;
	return remove(path);
}

static int
tear_down(void **state)
{
	(void)state;
	appstore_forget();
	config_free(&config);
	buf_free(&identity);
	arena_free(&arena);
	return nftw(state_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A payload in the sandbox's hand; each @ is the present time. */
static struct str
sign_payload(const char *payload)
{
	struct buf text, jws;
	struct str signed_text;

	buf_init(&text, 16384);
	buf_init(&jws, APPSTORE_JWS_BYTES_MAX);
	for (const char *at = payload; *at != '\0'; at++) {
		if (*at == '@')
			buf_append_int64(&text, now_ms);
		else
			buf_append_char(&text, *at);
	}
	assert_true(jws_sign(buf_str(&identity), buf_str(&text), &jws));
	signed_text =
	    (struct str){ arena_strdup(&arena, buf_str(&jws)), jws.len };
	buf_free(&text);
	buf_free(&jws);
	return signed_text;
}

static enum appstore_verdict
verify(const struct config *c, const char *payload)
{
	struct appstore_transaction t;

	return appstore_verify_transaction(c, &arena, sign_payload(payload),
	    now_ms, &t);
}

static const struct appstore_sale sale = {
	.user_id = { { 1, 2, 3 } },
	.has_user_id = true,
	.product_id = { "com.rendioai.credits.starter.25", 31 },
	.type = APPSTORE_CONSUMABLE,
	.quantity = 3,
};

static struct appstore_transaction
sell(void)
{
	struct appstore_transaction t;
	struct buf jws;

	buf_init(&jws, APPSTORE_JWS_BYTES_MAX);
	assert_true(appstore_sandbox_sell(&config, &sale, now_ms, &jws));
	assert_int_equal(appstore_verify_transaction(&config, &arena,
			     buf_str(&jws), now_ms, &t),
	    APPSTORE_OK);
	buf_free(&jws);
	return t;
}

static void
what_the_sandbox_sells_says_who_bought_what(void **state)
{
	struct appstore_transaction t = sell();

	(void)state;
	assert_int_equal(t.environment, APPSTORE_SANDBOX);
	assert_int_equal(t.transaction_id.len, 16);
	assert_true(str_equal(t.transaction_id, t.original_transaction_id));
	assert_true(str_equal(t.product_id, sale.product_id));
	assert_true(str_equal(t.bundle_id, STR("app.rendio.sandbox")));
	assert_int_equal(t.type, APPSTORE_CONSUMABLE);
	assert_int_equal(t.in_app_ownership_type, APPSTORE_PURCHASED);
	assert_int_equal(t.transaction_reason, APPSTORE_PURCHASE);
	assert_int_equal(t.quantity, 3);
	assert_true(t.has_app_account_token);
	assert_true(uuid_equal(&t.app_account_token, &sale.user_id));
	assert_int_equal(t.purchase_date_ms, now_ms);
	assert_int_equal(t.signed_date_ms, now_ms);
	assert_int_equal(t.expires_date_ms, 0);
	assert_int_equal(t.revocation_date_ms, 0);
	assert_int_equal(t.revocation_type, APPSTORE_NOT_REVOKED);
	assert_int_equal(t.revocation_reason, APPSTORE_ABSENT);
	assert_int_equal(t.revocation_percentage, APPSTORE_ABSENT);
	assert_true(t.has_price);
	assert_int_equal(t.price_milliunits, 2970);
	assert_true(str_equal(t.currency, STR("USD")));
}

static struct appstore_notification
notify(const struct appstore_transaction *t, const char *type,
    int64_t percentage)
{
	const struct appstore_event event = { t->transaction_id, type,
		percentage };
	struct appstore_notification n;
	struct buf body;
	struct str jws;

	buf_init(&body, APPSTORE_JWS_BYTES_MAX);
	assert_true(appstore_sandbox_notify(&config, &arena, &event, now_ms + 1,
	    &body));
	assert_true(appstore_read_body(&arena, buf_str(&body), &jws));
	assert_int_equal(appstore_verify_notification(&config, &arena, jws,
			     now_ms, &n),
	    APPSTORE_OK);
	buf_free(&body);
	assert_true(str_equal(n.transaction.transaction_id, t->transaction_id));
	assert_int_equal(n.uuid.len, 36);
	assert_int_equal(n.body, APPSTORE_BODY_DATA);
	assert_int_equal(n.app_id, 0);
	return n;
}

static void
a_refund_takes_the_transaction_back_and_its_reversal_undoes_it(void **state)
{
	const struct appstore_transaction t = sell();
	struct appstore_notification n;

	(void)state;
	n = notify(&t, "REFUND", APPSTORE_WHOLE);
	assert_int_equal(n.type, APPSTORE_NOTE_REFUND);
	assert_int_equal(n.transaction.revocation_date_ms, now_ms + 1);
	assert_int_equal(n.transaction.revocation_type, APPSTORE_REFUND_FULL);
	assert_int_equal(n.transaction.quantity, 3);
	n = notify(&t, "REFUND", 50000);
	assert_int_equal(n.transaction.revocation_type,
	    APPSTORE_REFUND_PRORATED);
	assert_int_equal(n.transaction.revocation_percentage, 50000);
	n = notify(&t, "CONSUMPTION_REQUEST", APPSTORE_WHOLE);
	assert_int_equal(n.type, APPSTORE_NOTE_CONSUMPTION_REQUEST);
	assert_true(str_equal(n.consumption_request_reason,
	    STR("UNINTENDED_PURCHASE")));
	assert_int_not_equal(n.transaction.revocation_date_ms, 0);
	n = notify(&t, "REFUND_REVERSED", APPSTORE_WHOLE);
	assert_int_equal(n.type, APPSTORE_NOTE_REFUND_REVERSED);
	assert_int_equal(n.transaction.revocation_date_ms, 0);
	assert_int_equal(n.transaction.revocation_percentage, APPSTORE_ABSENT);
	n = notify(&t, "SOMETHING_NEW", APPSTORE_WHOLE);
	assert_int_equal(n.type, APPSTORE_NOTE_OTHER);
	assert_true(str_equal(n.type_name, STR("SOMETHING_NEW")));
}

static void
what_was_never_sold_cannot_be_refunded(void **state)
{
	static const char *const ids[] = { "", "1", "../../keys/jwt", "x",
		"200000000000000000000000000000000000000" };
	struct buf out;

	(void)state;
	buf_init(&out, APPSTORE_JWS_BYTES_MAX);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		const struct appstore_event event = { str_from(ids[i]),
			"REFUND", APPSTORE_WHOLE };

		assert_false(appstore_sandbox_notify(&config, &arena, &event,
		    now_ms, &out));
		assert_false(appstore_sandbox_transaction(&config, &arena,
		    str_from(ids[i]), now_ms, &out));
	}
	assert_int_equal(out.len, 0);
	buf_free(&out);
}

static void
the_stand_in_is_asked_for_what_it_sold(void **state)
{
	const struct appstore_transaction t = sell();
	const struct appstore_consumption consumption = { APPSTORE_DELIVERED,
		false, 50000, APPSTORE_GRANT_PRORATED };
	struct appstore_transaction found;
	struct appstore_answer answer;
	struct appstore_page page;
	struct str jws;

	(void)state;
	assert_true(appstore_is_stand_in(&config));
	answer = appstore_get_transaction(&config, &arena, t.transaction_id,
	    now_ms, &jws, &found);
	assert_int_equal(answer.outcome, APPSTORE_DONE);
	assert_true(str_equal(found.product_id, t.product_id));
	answer = appstore_get_transaction(&config, &arena, STR("77"), now_ms,
	    &jws, &found);
	assert_int_equal(answer.outcome, APPSTORE_NOT_FOUND);
	assert_int_equal(answer.error_code, 4040010);
	answer = appstore_get_transaction(&config, &arena, STR("7/7"), now_ms,
	    &jws, &found);
	assert_int_equal(answer.outcome, APPSTORE_REFUSED);
	answer = appstore_send_consumption(&config, APPSTORE_SANDBOX,
	    t.transaction_id, &consumption, now_ms);
	assert_int_equal(answer.outcome, APPSTORE_DONE);
	answer = appstore_refund_history(&config, &arena, APPSTORE_SANDBOX,
	    t.transaction_id, STR(""), now_ms, &page);
	assert_int_equal(answer.outcome, APPSTORE_DONE);
	assert_int_equal(page.count, 0);
	assert_false(page.has_more);
}

#define PRODUCTION \
	"{\"environment\":\"Production\",\"bundleId\":\"app.rendio." \
	"sandbox\",\"signedDate\":@}"
#define SANDBOX \
	"{\"environment\":\"Sandbox\",\"bundleId\":\"app.rendio.sandbox\"," \
	"\"signedDate\":@}"

static void
our_own_root_vouches_for_the_sandbox_alone_and_never_in_live_mode(void **state)
{
	struct config live;

	(void)state;
	assert_int_equal(verify(&config, SANDBOX), APPSTORE_INCOMPLETE);
	assert_int_equal(verify(&config, PRODUCTION), APPSTORE_BAD_CHAIN);
	parse_config(&live, LIVE);
	assert_int_equal(verify(&live, SANDBOX), APPSTORE_BAD_CHAIN);
	assert_int_equal(verify(&live, PRODUCTION), APPSTORE_BAD_CHAIN);
	config_free(&live);
	appstore_forget();
}

static void
live_mode_needs_the_app_and_readable_lists(void **state)
{
	static const char *const bad[] = {
		"RENDIO_MODE=live\nRENDIO_APPLE_BUNDLE_ID=com.example\n",
		"RENDIO_MODE=live\nRENDIO_APPLE_APP_ID=1234\n",
		"RENDIO_MODE=live\nRENDIO_APPLE_BUNDLE_ID=com.example\n"
		"RENDIO_APPLE_APP_ID=x\n",
		LIVE "RENDIO_APPLE_ROOT_CA_FILE=/does/not/exist\n",
		LIVE "RENDIO_APPLE_ROOT_CA_FILE=Makefile\n",
		LIVE "RENDIO_APPLE_DENIED_LEAVES=abc\n",
	};
	struct buf problem;
	struct config c;

	(void)state;
	buf_init(&problem, 512);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		parse_config(&c, bad[i]);
		buf_clear(&problem);
		assert_false(appstore_is_ready(&c, &problem));
		assert_true(problem.len > 0);
		assert_int_equal(verify(&c, SANDBOX), APPSTORE_UNAVAILABLE);
		config_free(&c);
	}
	buf_clear(&problem);
	parse_config(&c, LIVE);
	assert_true(appstore_is_ready(&c, &problem));
	assert_int_equal(problem.len, 0);
	config_free(&c);
	buf_free(&problem);
	appstore_forget();
}

/* The identity's file has three certificates; the last one is the root. */
static void
configured_roots_vouch_for_both_environments(void **state)
{
	char lines[1024], path[160];
	struct config c;
	FILE *file;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/root.pem", state_dir);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(
	    fputs(x509_identity_root(buf_str(&identity)).ptr, file) >= 0);
	assert_int_equal(fclose(file), 0);
	(void)snprintf(lines, sizeof(lines),
	    "RENDIO_MODE=live\nRENDIO_APPLE_BUNDLE_ID=app.rendio.sandbox\n"
	    "RENDIO_APPLE_APP_ID=1234\n"
	    "RENDIO_APPLE_ROOT_CA_FILE=tests/vectors/apple/roots/"
	    "AppleRootCA-G3.der, %s\n",
	    path);
	parse_config(&c, lines);
	assert_int_equal(verify(&c, SANDBOX), APPSTORE_INCOMPLETE);
	assert_int_equal(verify(&c, PRODUCTION), APPSTORE_INCOMPLETE);
	assert_int_equal(verify(&c,
			     "{\"environment\":\"Xcode\",\"bundleId\":"
			     "\"app.rendio.sandbox\",\"signedDate\":@}"),
	    APPSTORE_WRONG_ENVIRONMENT);
	config_free(&c);
	appstore_forget();
}

#define MEMBERS \
	"\"transactionId\":\"5\",\"originalTransactionId\":\"5\"," \
	"\"bundleId\":\"app.rendio.sandbox\",\"productId\":\"p\"," \
	"\"type\":\"Consumable\",\"inAppOwnershipType\":\"PURCHASED\"," \
	"\"quantity\":1,\"purchaseDate\":@,\"environment\":\"Sandbox\""

static void
a_signature_may_lie_five_minutes_ahead_and_not_more(void **state)
{
	const int64_t true_now_ms = now_ms;

	(void)state;
	for (int64_t ahead_ms = 299999; ahead_ms <= 300001; ahead_ms++) {
		char payload[512];

		(void)snprintf(payload, sizeof(payload),
		    "{" MEMBERS ",\"signedDate\":%" PRId64 "}",
		    now_ms + ahead_ms);
		assert_int_equal(verify(&config, payload),
		    ahead_ms <= 300000 ? APPSTORE_OK : APPSTORE_BAD_DATE);
	}
	/* A year ago is not too old. */
	now_ms -= INT64_C(360) * 24 * 3600 * 1000;
	assert_int_equal(verify(&config, "{" MEMBERS ",\"signedDate\":@}"),
	    APPSTORE_OK);
	now_ms = true_now_ms;
}

/* Every letter counts, of header, chain, payload and signature. */
static void
a_changed_or_cut_transaction_is_refused(void **state)
{
	const struct str good = sign_payload("{" MEMBERS ",\"signedDate\":@}");
	struct appstore_transaction t;
	struct arena own;
	struct buf text;

	(void)state;
	arena_init(&own, APPSTORE_ARENA_BYTES);
	buf_init(&text, APPSTORE_JWS_BYTES_MAX);
	buf_append(&text, good);
	for (size_t i = 0; i < good.len; i += 5) {
		const char old = text.ptr[i];

		text.ptr[i] = old == 'A' ? 'B' : 'A';
		assert_int_not_equal(appstore_verify_transaction(&config, &own,
					 buf_str(&text), now_ms, &t),
		    APPSTORE_OK);
		text.ptr[i] = old;
		assert_int_not_equal(appstore_verify_transaction(&config, &own,
					 (struct str){ good.ptr, i }, now_ms,
					 &t),
		    APPSTORE_OK);
		arena_reset(&own);
	}
	assert_int_equal(appstore_verify_transaction(&config, &own,
			     buf_str(&text), now_ms, &t),
	    APPSTORE_OK);
	buf_free(&text);
	arena_free(&own);
}

static void
a_notification_stands_or_falls_with_what_it_nests(void **state)
{
	static const char *const nested[] = {
		"{" MEMBERS ",\"signedDate\":@}",
		"{" MEMBERS ",\"signedDate\":1}",
		SANDBOX,
		PRODUCTION,
	};
	static const enum appstore_verdict verdicts[] = { APPSTORE_OK,
		APPSTORE_BAD_NESTED, APPSTORE_INCOMPLETE, APPSTORE_BAD_NESTED };

	(void)state;
	for (size_t i = 0; i < sizeof(nested) / sizeof(nested[0]); i++) {
		struct appstore_notification n;
		struct buf payload;

		buf_init(&payload, 16384);
		buf_appendf(&payload,
		    "{\"notificationType\":\"ONE_TIME_CHARGE\","
		    "\"notificationUUID\":\"u\",\"signedDate\":@,\"data\":{"
		    "\"bundleId\":\"app.rendio.sandbox\","
		    "\"environment\":\"Sandbox\","
		    "\"signedTransactionInfo\":\"%s\"}}",
		    sign_payload(nested[i]).ptr);
		assert_int_equal(appstore_verify_notification(&config, &arena,
				     sign_payload(payload.ptr), now_ms, &n),
		    verdicts[i]);
		buf_free(&payload);
	}
}

/* Apple's payloads, read without their proof. */

static const struct json *
read_model(const char *name)
{
	const struct json *payload;
	struct buf text;
	char path[128];

	buf_init(&text, 65536);
	(void)snprintf(path, sizeof(path), MODELS "%s", name);
	assert_true(config_read_file(path, false, &text));
	payload = json_parse(&arena, buf_str(&text));
	assert_non_null(payload);
	buf_free(&text);
	return payload;
}

static void
apples_transaction_is_read_member_by_member(void **state)
{
	struct appstore_transaction t;

	(void)state;
	assert_int_equal(
	    appstore_read_transaction(read_model("signedTransaction.json"), &t),
	    APPSTORE_OK);
	assert_int_equal(t.environment, APPSTORE_OTHER_ENVIRONMENT);
	assert_true(str_equal(t.transaction_id, STR("23456")));
	assert_true(str_equal(t.original_transaction_id, STR("12345")));
	assert_true(str_equal(t.web_order_line_item_id, STR("34343")));
	assert_true(str_equal(t.app_transaction_id, STR("71134")));
	assert_true(str_equal(t.bundle_id, STR("com.example")));
	assert_true(str_equal(t.product_id, STR("com.example.product")));
	assert_true(str_equal(t.subscription_group_id, STR("55555")));
	assert_int_equal(t.type, APPSTORE_AUTO_RENEWABLE);
	assert_int_equal(t.purchase_date_ms, INT64_C(1698148900000));
	assert_int_equal(t.original_purchase_date_ms, INT64_C(1698148800000));
	assert_int_equal(t.expires_date_ms, INT64_C(1698149000000));
	assert_int_equal(t.signed_date_ms, INT64_C(1698148900000));
	assert_int_equal(t.revocation_date_ms, INT64_C(1698148950000));
	assert_int_equal(t.revocation_reason, 1);
	assert_true(t.is_upgraded);
	assert_int_equal(t.offer_type, 1);
	assert_true(str_equal(t.offer_identifier, STR("abc.123")));
	assert_true(str_equal(t.offer_discount_type, STR("PAY_AS_YOU_GO")));
	assert_true(t.has_app_account_token);
	assert_int_equal(t.app_account_token.bytes[0], 0x7e);
	assert_int_equal(t.price_milliunits, 10990);
	assert_true(str_equal(t.storefront, STR("USA")));

	assert_int_equal(appstore_read_transaction(
			     read_model("signedTransactionWithRevocation.json"),
			     &t),
	    APPSTORE_OK);
	assert_int_equal(t.revocation_type, APPSTORE_REFUND_PRORATED);
	assert_int_equal(t.revocation_percentage, 50000);
}

static void
apples_renewal_info_is_read_member_by_member(void **state)
{
	struct appstore_renewal r;

	(void)state;
	assert_int_equal(appstore_read_renewal(read_model(
						   "signedRenewalInfo.json"),
			     &r),
	    APPSTORE_OK);
	assert_true(str_equal(r.original_transaction_id, STR("12345")));
	assert_true(
	    str_equal(r.auto_renew_product_id, STR("com.example.product.2")));
	assert_true(r.will_renew);
	assert_int_equal(r.expiration_intent, 1);
	assert_true(r.is_in_billing_retry);
	assert_int_equal(r.price_increase_status, 0);
	assert_int_equal(r.grace_period_expires_date_ms,
	    INT64_C(1698148900000));
	assert_int_equal(r.renewal_date_ms, INT64_C(1698148850000));
	assert_int_equal(r.renewal_price_milliunits, 9990);
	/* A transaction is no renewal info, though it looks alike. */
	assert_int_equal(appstore_read_renewal(read_model(
						   "signedTransaction.json"),
			     &r),
	    APPSTORE_BAD_PAYLOAD);
}

static void
apples_notifications_are_read_whatever_their_body(void **state)
{
	struct appstore_app_transaction a;
	struct appstore_notification *n;
	struct appstore_outer outer;

	(void)state;
	n = &outer.notification;
	assert_int_equal(appstore_read_notification(
			     read_model("signedNotification.json"), &outer),
	    APPSTORE_OK);
	assert_int_equal(n->type, APPSTORE_NOTE_SUBSCRIBED);
	assert_true(str_equal(n->subtype, STR("INITIAL_BUY")));
	assert_true(
	    str_equal(n->uuid, STR("002e14d5-51f5-4503-b5a8-c3a1af68eb20")));
	assert_int_equal(n->app_id, 41234);
	assert_int_equal(n->status, 1);
	assert_true(
	    str_equal(n->signed_renewal, STR("signed_renewal_info_value")));

	assert_int_equal(appstore_read_notification(read_model(
							"signedConsumptionReque"
							"stNotification.json"),
			     &outer),
	    APPSTORE_OK);
	assert_int_equal(n->type, APPSTORE_NOTE_CONSUMPTION_REQUEST);
	assert_true(str_equal(n->consumption_request_reason,
	    STR("UNINTENDED_PURCHASE")));

	assert_int_equal(appstore_read_notification(
			     read_model("signedSummaryNotification.json"),
			     &outer),
	    APPSTORE_OK);
	assert_int_equal(n->type, APPSTORE_NOTE_RENEWAL_EXTENSION);
	assert_int_equal(n->body, APPSTORE_BODY_SUMMARY);

	assert_int_equal(
	    appstore_read_notification(read_model("signedExternalPurchaseTokenN"
						  "otification.json"),
		&outer),
	    APPSTORE_OK);
	assert_int_equal(n->app_id, 55555);
	assert_int_equal(n->environment, APPSTORE_PRODUCTION);
	assert_int_equal(
	    appstore_read_notification(read_model("signedExternalPurchaseTokenS"
						  "andboxNotification.json"),
		&outer),
	    APPSTORE_OK);
	assert_int_equal(n->environment, APPSTORE_SANDBOX);

	assert_int_equal(appstore_read_notification(read_model(
							"signedRescindConsentNo"
							"tification.json"),
			     &outer),
	    APPSTORE_OK);
	assert_int_equal(n->type, APPSTORE_NOTE_RESCIND_CONSENT);
	assert_int_equal(n->body, APPSTORE_BODY_APP_DATA);
	assert_true(outer.signed_app_transaction.len > 0);

	assert_int_equal(appstore_read_app_transaction(
			     read_model("appTransaction.json"), &a),
	    APPSTORE_OK);
	assert_int_equal(a.app_id, 531412);
	assert_true(str_equal(a.app_transaction_id, STR("71134")));
}

static void
a_fraction_of_a_millisecond_is_cut_off(void **state)
{
	int64_t ms = 7;

	(void)state;
	assert_true(
	    appstore_read_date(json_parse(&arena, STR("1697679936056.985")),
		&ms));
	assert_int_equal(ms, INT64_C(1697679936056));
	assert_true(appstore_read_date(json_parse(&arena, STR("0")), &ms));
	assert_int_equal(ms, 0);
	assert_true(
	    appstore_read_date(json_parse(&arena, STR("253402300799999")),
		&ms));
	assert_int_equal(ms, CLOCK_MS_MAX);
	assert_false(
	    appstore_read_date(json_parse(&arena, STR("253402300800000")),
		&ms));
	assert_false(appstore_read_date(json_parse(&arena, STR("-1")), &ms));
	assert_false(appstore_read_date(json_parse(&arena, STR("\"1\"")), &ms));
	assert_int_equal(ms, CLOCK_MS_MAX);
}

static void
a_body_is_an_object_with_one_text(void **state)
{
	static const char *const bad[] = { "", "x", "[]", "{}",
		"{\"signedPayload\":1}", "{\"signedPayload\":null}",
		"{\"signedPayload\":\"a\",\"signedPayload\":\"b\"}" };
	struct str jws = STR("untouched");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(
		    appstore_read_body(&arena, str_from(bad[i]), &jws));
	assert_true(str_equal(jws, STR("untouched")));
	assert_true(appstore_read_body(&arena,
	    STR("{\"x\":1,\"signedPayload\":\"a.b.c\"}"), &jws));
	assert_true(str_equal(jws, STR("a.b.c")));
}

static int
reset(void **state)
{
	(void)state;
	arena_reset(&arena);
	appstore_forget();
	return 0;
}

#define TEST(function) cmocka_unit_test_setup(function, reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_sandbox_sells_says_who_bought_what),
		TEST(
		    a_refund_takes_the_transaction_back_and_its_reversal_undoes_it),
		TEST(what_was_never_sold_cannot_be_refunded),
		TEST(the_stand_in_is_asked_for_what_it_sold),
		TEST(
		    our_own_root_vouches_for_the_sandbox_alone_and_never_in_live_mode),
		TEST(live_mode_needs_the_app_and_readable_lists),
		TEST(configured_roots_vouch_for_both_environments),
		TEST(a_signature_may_lie_five_minutes_ahead_and_not_more),
		TEST(a_changed_or_cut_transaction_is_refused),
		TEST(a_notification_stands_or_falls_with_what_it_nests),
		TEST(apples_transaction_is_read_member_by_member),
		TEST(apples_renewal_info_is_read_member_by_member),
		TEST(apples_notifications_are_read_whatever_their_body),
		TEST(a_fraction_of_a_millisecond_is_cut_off),
		TEST(a_body_is_an_object_with_one_text),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
