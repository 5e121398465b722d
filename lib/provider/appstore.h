/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPSTORE_H
#define PROVIDER_APPSTORE_H

#include "base/arena.h"
#include "base/config.h"
#include "base/uuid.h"

/*
 * The App Store: what a signed transaction, renewal or notification says,
 * once it is certain that Apple says it, about our app, in an environment
 * that we serve.  provider/appstore_api.h asks Apple's server.
 *
 * Everything here is decided offline.  The roots are Apple Root CA - G3, or
 * those of RENDIO_APPLE_ROOT_CA_FILE.  In sandbox mode a root of our own
 * (provider/appstore_sandbox.h) is trusted besides, and only for the
 * environment Sandbox.  Live mode needs RENDIO_APPLE_BUNDLE_ID and
 * RENDIO_APPLE_APP_ID.
 *
 * What is verified is not yet honoured: product, quantity, ownership, owner,
 * refunds and the policy for Sandbox purchases are for the caller to judge.
 *
 * Roots, and chains that were verified before, are kept by the process, which
 * has one configuration.
 */

enum appstore_verdict {
	APPSTORE_OK,
	APPSTORE_BAD_FORM, /* not the compact JWS we take, or not ES256 */
	APPSTORE_BAD_CHAIN_LENGTH, /* x5c has not three certificates */
	APPSTORE_BAD_CERTIFICATE, /* unreadable, or not valid at that date */
	APPSTORE_BAD_CHAIN, /* no root of ours stands behind it */
	APPSTORE_DENIED_LEAF, /* its key is on the operator's list */
	APPSTORE_BAD_SIGNATURE,
	APPSTORE_BAD_DATE, /* when it was signed is absent or absurd */
	APPSTORE_BAD_PAYLOAD, /* a member is mistyped, or of another kind */
	APPSTORE_WRONG_APP,
	APPSTORE_WRONG_ENVIRONMENT,
	APPSTORE_BAD_NESTED, /* a notification's own proof fails */
	/* Proven, but without what we need to act on it, or out of bounds. */
	APPSTORE_INCOMPLETE,
	APPSTORE_UNAVAILABLE, /* our configuration; the cause is logged */
};

/* A stable word for logs and `rendio verify-jws`, "ok" for APPSTORE_OK. */
const char *appstore_verdict_name(enum appstore_verdict verdict);

/* Verification answers only the first two. */
enum appstore_environment {
	APPSTORE_PRODUCTION,
	APPSTORE_SANDBOX,
	APPSTORE_OTHER_ENVIRONMENT, /* Xcode, LocalTesting */
};

/* "Production", "Sandbox", "Other". */
const char *appstore_environment_name(enum appstore_environment environment);

/* A notification has 10 to 25 kB with all that it nests. */
#define APPSTORE_JWS_BYTES_MAX ((size_t)256 * 1024)

/* What an arena must hold for the largest notification and all it nests. */
#define APPSTORE_ARENA_BYTES ((size_t)8 * 1024 * 1024)

enum appstore_product_type {
	APPSTORE_CONSUMABLE,
	APPSTORE_NON_CONSUMABLE,
	APPSTORE_AUTO_RENEWABLE,
	APPSTORE_NON_RENEWING,
	APPSTORE_OTHER_PRODUCT_TYPE, /* of a kind that did not exist yet */
};

enum appstore_ownership {
	APPSTORE_PURCHASED,
	APPSTORE_FAMILY_SHARED,
	APPSTORE_OTHER_OWNERSHIP, /* ASSIGNED by an organisation, or later */
};

enum appstore_revocation_type {
	APPSTORE_NOT_REVOKED, /* or not said: see revocation_date_ms */
	APPSTORE_REFUND_FULL,
	APPSTORE_REFUND_PRORATED,
	APPSTORE_FAMILY_REVOKE,
	APPSTORE_OTHER_REVOCATION,
};

enum appstore_reason {
	APPSTORE_PURCHASE, /* also when Apple does not say */
	APPSTORE_RENEWAL,
	APPSTORE_OTHER_REASON,
};

/* No percentage or reason was given: both may truly be 0. */
#define APPSTORE_ABSENT INT64_C(-1)

/* A percentage is counted in thousandths of a percent. */
#define APPSTORE_WHOLE INT64_C(100000)

/* Apple lets an app ask for 1 to 10; more than that is not honoured. */
#define APPSTORE_QUANTITY_MAX 10

/* A transaction id is 1 to 32 digits. */
#define APPSTORE_ID_BYTES_MAX 32

/*
 * A transaction.  Texts live in the arena and are "" when absent, dates are
 * UNIX milliseconds and 0 when absent.  Always there: environment,
 * transaction_id, original_transaction_id, bundle_id, product_id, type,
 * ownership, quantity, purchase_date_ms, signed_date_ms.
 */
struct appstore_transaction {
	enum appstore_environment environment;
	struct str transaction_id; /* digits */
	struct str original_transaction_id; /* digits */
	struct str web_order_line_item_id;
	struct str app_transaction_id; /* one per Apple account and app */
	struct str bundle_id;
	struct str product_id;
	struct str subscription_group_id;
	enum appstore_product_type type;
	enum appstore_ownership in_app_ownership_type;
	enum appstore_reason transaction_reason;
	int64_t quantity; /* 1 to APPSTORE_QUANTITY_MAX */
	bool has_app_account_token;
	struct uuid app_account_token;
	int64_t purchase_date_ms;
	int64_t original_purchase_date_ms;
	int64_t signed_date_ms;
	int64_t expires_date_ms; /* of a subscription's period */
	int64_t revocation_date_ms; /* not 0: refunded or revoked */
	int64_t revocation_reason; /* 0 other, 1 the app; or ABSENT */
	enum appstore_revocation_type revocation_type;
	int64_t revocation_percentage; /* 0 to APPSTORE_WHOLE, or ABSENT */
	bool is_upgraded;
	int64_t offer_type; /* 1 to 4; 0 = none */
	struct str offer_identifier;
	struct str offer_discount_type;
	bool has_price;
	int64_t price_milliunits; /* of the currency, for the whole quantity */
	struct str currency; /* ISO 4217 */
	struct str storefront; /* ISO 3166 alpha-3 */
};

/*
 * What is to become of a subscription.  It names no app: it is only worth
 * something beside a transaction or notification of the same original id.
 * Always there: environment, original_transaction_id, signed_date_ms.
 */
struct appstore_renewal {
	enum appstore_environment environment;
	struct str original_transaction_id; /* digits */
	struct str product_id;
	struct str auto_renew_product_id;
	bool will_renew;
	int64_t expiration_intent; /* 1 to 5; 0 = none */
	bool is_in_billing_retry;
	int64_t price_increase_status; /* 0 or 1, or ABSENT */
	int64_t grace_period_expires_date_ms;
	int64_t renewal_date_ms;
	int64_t recent_subscription_start_date_ms;
	int64_t signed_date_ms;
	bool has_app_account_token;
	struct uuid app_account_token;
	struct str app_transaction_id;
	bool has_renewal_price;
	int64_t renewal_price_milliunits;
	struct str currency;
};

enum appstore_notification_type {
	APPSTORE_NOTE_CONSUMPTION_REQUEST,
	APPSTORE_NOTE_DID_CHANGE_RENEWAL_PREF,
	APPSTORE_NOTE_DID_CHANGE_RENEWAL_STATUS,
	APPSTORE_NOTE_DID_FAIL_TO_RENEW,
	APPSTORE_NOTE_DID_RENEW,
	APPSTORE_NOTE_EXPIRED,
	APPSTORE_NOTE_EXTERNAL_PURCHASE_TOKEN,
	APPSTORE_NOTE_GRACE_PERIOD_EXPIRED,
	APPSTORE_NOTE_OFFER_REDEEMED,
	APPSTORE_NOTE_ONE_TIME_CHARGE,
	APPSTORE_NOTE_PRICE_INCREASE,
	APPSTORE_NOTE_REFUND,
	APPSTORE_NOTE_REFUND_DECLINED,
	APPSTORE_NOTE_REFUND_REVERSED,
	APPSTORE_NOTE_RENEWAL_EXTENDED,
	APPSTORE_NOTE_RENEWAL_EXTENSION,
	APPSTORE_NOTE_RESCIND_CONSENT,
	APPSTORE_NOTE_REVOKE,
	APPSTORE_NOTE_SUBSCRIBED,
	APPSTORE_NOTE_TEST,
	APPSTORE_NOTE_OTHER, /* of a kind that did not exist yet */
};

/* Which of its four bodies a notification has. */
enum appstore_body {
	APPSTORE_BODY_DATA,
	APPSTORE_BODY_SUMMARY,
	APPSTORE_BODY_EXTERNAL_PURCHASE_TOKEN,
	APPSTORE_BODY_APP_DATA,
};

/*
 * A notification.  Always there: type (with its word), uuid, signed_date_ms,
 * environment, bundle_id, body.  A nested transaction or renewal was verified
 * on its own, is of the same environment, and the two of the same original
 * id; its text is kept because it is the proof.
 */
struct appstore_notification {
	enum appstore_notification_type type;
	struct str type_name; /* as Apple wrote it */
	struct str subtype;
	struct str uuid; /* the same when it is sent again */
	struct str version;
	int64_t signed_date_ms;
	enum appstore_body body;
	enum appstore_environment environment;
	struct str bundle_id;
	int64_t app_id; /* 0 = not given, as in Sandbox */
	int64_t status; /* of a subscription, 1 to 5; 0 = none */
	struct str consumption_request_reason;
	struct str signed_transaction; /* "" = none */
	struct appstore_transaction transaction;
	struct str signed_renewal; /* "" = none */
	struct appstore_renewal renewal;
};

/* The app's own receipt.  Always there: all but app_transaction_id. */
struct appstore_app_transaction {
	enum appstore_environment environment;
	struct str bundle_id;
	struct str app_transaction_id;
	int64_t app_id; /* 0 = not given, as in Sandbox */
	int64_t receipt_creation_date_ms;
};

/*
 * Verify and decode.  now_ms only bounds how far in the future a signature
 * may lie: nothing is ever too old.  The struct borrows from the arena (give
 * it APPSTORE_ARENA_BYTES) and from `jws`, and is written only on
 * APPSTORE_OK.
 */
enum appstore_verdict appstore_verify_transaction(const struct config *config,
    struct arena *arena, struct str jws, int64_t now_ms,
    struct appstore_transaction *ret_transaction);
enum appstore_verdict
appstore_verify_renewal(const struct config *config, struct arena *arena,
    struct str jws, int64_t now_ms, struct appstore_renewal *ret_renewal);
enum appstore_verdict appstore_verify_notification(const struct config *config,
    struct arena *arena, struct str jws, int64_t now_ms,
    struct appstore_notification *ret_notification);
enum appstore_verdict
appstore_verify_app_transaction(const struct config *config,
    struct arena *arena, struct str jws, int64_t now_ms,
    struct appstore_app_transaction *ret_app_transaction);

/*
 * Takes the JWS out of a notification's HTTP body {"signedPayload":"..."}.
 * False when the body is not that.
 */
bool appstore_read_body(struct arena *arena, struct str body,
    struct str *ret_signed_payload);

/*
 * Is there all that verifying needs?  If not, `problem` says in one line what
 * is wrong with the configuration.
 */
bool appstore_is_ready(const struct config *config, struct buf *problem);

/* The bundle id we stand for; "" when none is configured in live mode. */
const char *appstore_bundle_id(const struct config *config);

/* Forgets what the process keeps: the configuration is another now. */
void appstore_forget(void);

#endif
