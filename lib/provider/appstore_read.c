/* SPDX-License-Identifier: MIT */
#include "provider/appstore_read.h"

#include "base/clock.h"

#include <math.h>

/*
 * A payload's members.  A number has bounds; a date is 0 to CLOCK_MS_MAX.
 * What we do not use is still looked at, because a payload with a member of
 * another type is not of Apple's making.
 */
enum kind { TEXT, DIGITS, TOKEN, DATE, NUMBER, FLAG, TEXTS, OBJECT };

#define NOWHERE SIZE_MAX

struct member {
	const char *name;
	enum kind kind;
	size_t offset; /* of a struct str, uuid, int64_t or bool */
	size_t offset_present; /* of a bool; 0 = not wanted */
	int64_t min;
	int64_t max;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
is_digits(struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	return text.len > 0 && text.len <= APPSTORE_ID_BYTES_MAX;
}

bool
appstore_read_date(const struct json *value, int64_t *ret_ms)
{
	double ms;

	/* Apple writes whole numbers, Xcode does not. */
	if (!json_to_double(value, &ms) || !(ms >= 0) ||
	    !(ms <= (double)CLOCK_MS_MAX))
		return false;
	*ret_ms = (int64_t)floor(ms);
	return true;
}

static bool
is_texts(const struct json *value)
{
	struct str text;

	for (const struct json *v = json_first(value); v; v = json_next(v))
		if (!json_to_str(v, &text))
			return false;
	return json_is_array(value);
}

static bool
read_value(const struct member *member, const struct json *value, void *at)
{
	struct str text;

	switch (member->kind) {
	case TEXT:
		return json_to_str(value, at);
	case DIGITS:
		if (!json_to_str(value, &text) || !is_digits(text))
			return false;
		memcpy(at, &text, sizeof(text));
		return true;
	case TOKEN:
		return json_to_uuid(value, at);
	case DATE:
		return appstore_read_date(value, at);
	case NUMBER:
		return json_to_int64(value, member->min, member->max, at);
	case FLAG:
		return json_to_bool(value, at);
	case TEXTS:
		return is_texts(value);
	case OBJECT:
		return json_is_object(value);
	}
	abort();
}

static bool
read_members(const struct json *object, const struct member *members,
    size_t count, void *into)
{
	/* Large enough for each kind, for what has no place in the struct. */
	union {
		struct str text;
		struct uuid token;
		int64_t number;
		bool flag;
	} ignored;
	char *const base = into;

	for (size_t i = 0; i < count; i++) {
		const struct member *m = &members[i];
		const struct json *value = json_member(object, m->name);
		const bool yes = true;

		if (value == NULL || json_is_null(value))
			continue;
		if (!read_value(m, value,
			m->offset == NOWHERE ? (void *)&ignored :
					       base + m->offset))
			return false;
		if (m->offset_present != 0)
			memcpy(base + m->offset_present, &yes, sizeof(yes));
	}
	return true;
}

struct word {
	const char *name;
	int value;
};

static int
find_word(struct str name, const struct word *words, size_t count, int other)
{
	for (size_t i = 0; i < count; i++)
		if (str_equal(name, str_from(words[i].name)))
			return words[i].value;
	return other;
}

enum appstore_environment
appstore_read_environment(struct str name)
{
	static const struct word words[] = {
		{ "Production", APPSTORE_PRODUCTION },
		{ "Sandbox", APPSTORE_SANDBOX },
	};

	return find_word(name, words, COUNT(words), APPSTORE_OTHER_ENVIRONMENT);
}

/* The words of a transaction, before they are understood. */
struct transaction_text {
	struct appstore_transaction transaction;
	struct str environment;
	struct str type;
	struct str ownership;
	struct str reason;
	struct str revocation_type;
};

#define AT(field) offsetof(struct transaction_text, field)
#define OF(field) AT(transaction.field)

static const struct member transaction_members[] = {
	{ "transactionId", DIGITS, OF(transaction_id), 0, 0, 0 },
	{ "originalTransactionId", DIGITS, OF(original_transaction_id), 0, 0,
	    0 },
	{ "webOrderLineItemId", TEXT, OF(web_order_line_item_id), 0, 0, 0 },
	{ "appTransactionId", TEXT, OF(app_transaction_id), 0, 0, 0 },
	{ "bundleId", TEXT, OF(bundle_id), 0, 0, 0 },
	{ "productId", TEXT, OF(product_id), 0, 0, 0 },
	{ "subscriptionGroupIdentifier", TEXT, OF(subscription_group_id), 0, 0,
	    0 },
	{ "purchaseDate", DATE, OF(purchase_date_ms), 0, 0, 0 },
	{ "originalPurchaseDate", DATE, OF(original_purchase_date_ms), 0, 0,
	    0 },
	{ "signedDate", DATE, OF(signed_date_ms), 0, 0, 0 },
	{ "expiresDate", DATE, OF(expires_date_ms), 0, 0, 0 },
	{ "quantity", NUMBER, OF(quantity), 0, 1, APPSTORE_QUANTITY_MAX },
	{ "type", TEXT, AT(type), 0, 0, 0 },
	{ "appAccountToken", TOKEN, OF(app_account_token),
	    OF(has_app_account_token), 0, 0 },
	{ "inAppOwnershipType", TEXT, AT(ownership), 0, 0, 0 },
	{ "revocationDate", DATE, OF(revocation_date_ms), 0, 0, 0 },
	{ "revocationReason", NUMBER, OF(revocation_reason), 0, 0,
	    JSON_INT_MAX },
	{ "revocationType", TEXT, AT(revocation_type), 0, 0, 0 },
	{ "revocationPercentage", NUMBER, OF(revocation_percentage), 0, 0,
	    APPSTORE_WHOLE },
	{ "isUpgraded", FLAG, OF(is_upgraded), 0, 0, 0 },
	{ "offerType", NUMBER, OF(offer_type), 0, 0, JSON_INT_MAX },
	{ "offerIdentifier", TEXT, OF(offer_identifier), 0, 0, 0 },
	{ "offerPeriod", TEXT, NOWHERE, 0, 0, 0 },
	{ "offerDiscountType", TEXT, OF(offer_discount_type), 0, 0, 0 },
	{ "environment", TEXT, AT(environment), 0, 0, 0 },
	{ "storefront", TEXT, OF(storefront), 0, 0, 0 },
	{ "storefrontId", TEXT, NOWHERE, 0, 0, 0 },
	{ "transactionReason", TEXT, AT(reason), 0, 0, 0 },
	{ "currency", TEXT, OF(currency), 0, 0, 0 },
	{ "price", NUMBER, OF(price_milliunits), OF(has_price), 0,
	    JSON_INT_MAX },
	{ "billingPlanType", TEXT, NOWHERE, 0, 0, 0 },
	{ "commitmentInfo", OBJECT, NOWHERE, 0, 0, 0 },
	{ "advancedCommerceInfo", OBJECT, NOWHERE, 0, 0, 0 },
	{ "previousOriginalTransactionId", TEXT, NOWHERE, 0, 0, 0 },
};

#undef OF
#undef AT

static void
understand(struct transaction_text *text)
{
	static const struct word types[] = {
		{ "Consumable", APPSTORE_CONSUMABLE },
		{ "Non-Consumable", APPSTORE_NON_CONSUMABLE },
		{ "Auto-Renewable Subscription", APPSTORE_AUTO_RENEWABLE },
		{ "Non-Renewing Subscription", APPSTORE_NON_RENEWING },
	};
	static const struct word ownerships[] = {
		{ "PURCHASED", APPSTORE_PURCHASED },
		{ "FAMILY_SHARED", APPSTORE_FAMILY_SHARED },
	};
	static const struct word reasons[] = {
		{ "", APPSTORE_PURCHASE },
		{ "PURCHASE", APPSTORE_PURCHASE },
		{ "RENEWAL", APPSTORE_RENEWAL },
	};
	static const struct word revocations[] = {
		{ "", APPSTORE_NOT_REVOKED },
		{ "REFUND_FULL", APPSTORE_REFUND_FULL },
		{ "REFUND_PRORATED", APPSTORE_REFUND_PRORATED },
		{ "FAMILY_REVOKE", APPSTORE_FAMILY_REVOKE },
	};
	struct appstore_transaction *t = &text->transaction;

	t->environment = appstore_read_environment(text->environment);
	t->type = find_word(text->type, types, COUNT(types),
	    APPSTORE_OTHER_PRODUCT_TYPE);
	t->in_app_ownership_type = find_word(text->ownership, ownerships,
	    COUNT(ownerships), APPSTORE_OTHER_OWNERSHIP);
	t->transaction_reason = find_word(text->reason, reasons, COUNT(reasons),
	    APPSTORE_OTHER_REASON);
	t->revocation_type = find_word(text->revocation_type, revocations,
	    COUNT(revocations), APPSTORE_OTHER_REVOCATION);
}

enum appstore_verdict
appstore_read_transaction(const struct json *payload,
    struct appstore_transaction *ret_transaction)
{
	struct transaction_text text = {
		.transaction.revocation_reason = APPSTORE_ABSENT,
		.transaction.revocation_percentage = APPSTORE_ABSENT,
	};
	const struct appstore_transaction *t = &text.transaction;

	if (!read_members(payload, transaction_members,
		COUNT(transaction_members), &text))
		return APPSTORE_BAD_PAYLOAD;
	understand(&text);
	*ret_transaction = *t;
	if (text.environment.len == 0 || t->transaction_id.len == 0 ||
	    t->original_transaction_id.len == 0 || t->bundle_id.len == 0 ||
	    t->product_id.len == 0 || text.type.len == 0 ||
	    text.ownership.len == 0 || t->quantity == 0 ||
	    t->purchase_date_ms == 0 || t->signed_date_ms == 0)
		return APPSTORE_INCOMPLETE;
	return APPSTORE_OK;
}

struct renewal_text {
	struct appstore_renewal renewal;
	struct str environment;
	int64_t auto_renew_status;
};

#define AT(field) offsetof(struct renewal_text, field)
#define OF(field) AT(renewal.field)

static const struct member renewal_members[] = {
	{ "environment", TEXT, AT(environment), 0, 0, 0 },
	{ "originalTransactionId", DIGITS, OF(original_transaction_id), 0, 0,
	    0 },
	{ "productId", TEXT, OF(product_id), 0, 0, 0 },
	{ "autoRenewProductId", TEXT, OF(auto_renew_product_id), 0, 0, 0 },
	{ "autoRenewStatus", NUMBER, AT(auto_renew_status), 0, 0, 1 },
	{ "expirationIntent", NUMBER, OF(expiration_intent), 0, 0,
	    JSON_INT_MAX },
	{ "isInBillingRetryPeriod", FLAG, OF(is_in_billing_retry), 0, 0, 0 },
	{ "priceIncreaseStatus", NUMBER, OF(price_increase_status), 0, 0,
	    JSON_INT_MAX },
	{ "gracePeriodExpiresDate", DATE, OF(grace_period_expires_date_ms), 0,
	    0, 0 },
	{ "renewalDate", DATE, OF(renewal_date_ms), 0, 0, 0 },
	{ "recentSubscriptionStartDate", DATE,
	    OF(recent_subscription_start_date_ms), 0, 0, 0 },
	{ "signedDate", DATE, OF(signed_date_ms), 0, 0, 0 },
	{ "offerType", NUMBER, NOWHERE, 0, 0, JSON_INT_MAX },
	{ "offerIdentifier", TEXT, NOWHERE, 0, 0, 0 },
	{ "offerDiscountType", TEXT, NOWHERE, 0, 0, 0 },
	{ "offerPeriod", TEXT, NOWHERE, 0, 0, 0 },
	{ "eligibleWinBackOfferIds", TEXTS, NOWHERE, 0, 0, 0 },
	{ "currency", TEXT, OF(currency), 0, 0, 0 },
	{ "renewalPrice", NUMBER, OF(renewal_price_milliunits),
	    OF(has_renewal_price), 0, JSON_INT_MAX },
	{ "appAccountToken", TOKEN, OF(app_account_token),
	    OF(has_app_account_token), 0, 0 },
	{ "appTransactionId", TEXT, OF(app_transaction_id), 0, 0, 0 },
	{ "renewalBillingPlanType", TEXT, NOWHERE, 0, 0, 0 },
	{ "commitmentInfo", OBJECT, NOWHERE, 0, 0, 0 },
	{ "advancedCommerceInfo", OBJECT, NOWHERE, 0, 0, 0 },
};

#undef OF
#undef AT

enum appstore_verdict
appstore_read_renewal(const struct json *payload,
    struct appstore_renewal *ret_renewal)
{
	struct renewal_text text = {
		.renewal.price_increase_status = APPSTORE_ABSENT,
	};
	struct appstore_renewal *r = &text.renewal;

	/* A transaction has nearly the same members, and is none. */
	if (json_member(payload, "bundleId") != NULL ||
	    json_member(payload, "transactionId") != NULL ||
	    !read_members(payload, renewal_members, COUNT(renewal_members),
		&text))
		return APPSTORE_BAD_PAYLOAD;
	r->environment = appstore_read_environment(text.environment);
	r->will_renew = text.auto_renew_status == 1;
	*ret_renewal = *r;
	if (text.environment.len == 0 || r->original_transaction_id.len == 0 ||
	    r->signed_date_ms == 0)
		return APPSTORE_INCOMPLETE;
	return APPSTORE_OK;
}

struct app_transaction_text {
	struct appstore_app_transaction app_transaction;
	struct str receipt_type;
};

#define AT(field) offsetof(struct app_transaction_text, field)
#define OF(field) AT(app_transaction.field)

static const struct member app_transaction_members[] = {
	{ "receiptType", TEXT, AT(receipt_type), 0, 0, 0 },
	{ "appAppleId", NUMBER, OF(app_id), 0, 0, JSON_INT_MAX },
	{ "bundleId", TEXT, OF(bundle_id), 0, 0, 0 },
	{ "applicationVersion", TEXT, NOWHERE, 0, 0, 0 },
	{ "versionExternalIdentifier", NUMBER, NOWHERE, 0, 0, JSON_INT_MAX },
	{ "receiptCreationDate", DATE, OF(receipt_creation_date_ms), 0, 0, 0 },
	{ "originalApplicationVersion", TEXT, NOWHERE, 0, 0, 0 },
	{ "deviceVerification", TEXT, NOWHERE, 0, 0, 0 },
	{ "deviceVerificationNonce", TEXT, NOWHERE, 0, 0, 0 },
	{ "appTransactionId", TEXT, OF(app_transaction_id), 0, 0, 0 },
	{ "originalPlatform", TEXT, NOWHERE, 0, 0, 0 },
};

#undef OF
#undef AT

enum appstore_verdict
appstore_read_app_transaction(const struct json *payload,
    struct appstore_app_transaction *ret_app_transaction)
{
	struct app_transaction_text text = { 0 };
	struct appstore_app_transaction *a = &text.app_transaction;

	if (!read_members(payload, app_transaction_members,
		COUNT(app_transaction_members), &text))
		return APPSTORE_BAD_PAYLOAD;
	a->environment = appstore_read_environment(text.receipt_type);
	*ret_app_transaction = *a;
	if (text.receipt_type.len == 0 || a->bundle_id.len == 0 ||
	    a->receipt_creation_date_ms == 0)
		return APPSTORE_INCOMPLETE;
	return APPSTORE_OK;
}

struct outer_text {
	struct appstore_outer outer;
	struct str environment;
	struct str external_purchase_id;
};

#define AT(field) offsetof(struct outer_text, field)
#define OF(field) AT(outer.notification.field)

static const struct member outer_members[] = {
	{ "notificationType", TEXT, OF(type_name), 0, 0, 0 },
	{ "subtype", TEXT, OF(subtype), 0, 0, 0 },
	{ "notificationUUID", TEXT, OF(uuid), 0, 0, 0 },
	{ "version", TEXT, OF(version), 0, 0, 0 },
	{ "signedDate", DATE, OF(signed_date_ms), 0, 0, 0 },
	{ "data", OBJECT, NOWHERE, 0, 0, 0 },
	{ "summary", OBJECT, NOWHERE, 0, 0, 0 },
	{ "externalPurchaseToken", OBJECT, NOWHERE, 0, 0, 0 },
	{ "appData", OBJECT, NOWHERE, 0, 0, 0 },
};

/* Of all four bodies: what has the same name has the same meaning. */
static const struct member body_members[] = {
	{ "appAppleId", NUMBER, OF(app_id), 0, 0, JSON_INT_MAX },
	{ "bundleId", TEXT, OF(bundle_id), 0, 0, 0 },
	{ "bundleVersion", TEXT, NOWHERE, 0, 0, 0 },
	{ "environment", TEXT, AT(environment), 0, 0, 0 },
	{ "signedTransactionInfo", TEXT, OF(signed_transaction), 0, 0, 0 },
	{ "signedRenewalInfo", TEXT, OF(signed_renewal), 0, 0, 0 },
	{ "signedAppTransactionInfo", TEXT, AT(outer.signed_app_transaction), 0,
	    0, 0 },
	{ "status", NUMBER, OF(status), 0, 0, JSON_INT_MAX },
	{ "consumptionRequestReason", TEXT, OF(consumption_request_reason), 0,
	    0, 0 },
	{ "requestIdentifier", TEXT, NOWHERE, 0, 0, 0 },
	{ "productId", TEXT, NOWHERE, 0, 0, 0 },
	{ "storefrontCountryCodes", TEXTS, NOWHERE, 0, 0, 0 },
	{ "succeededCount", NUMBER, NOWHERE, 0, 0, JSON_INT_MAX },
	{ "failedCount", NUMBER, NOWHERE, 0, 0, JSON_INT_MAX },
	{ "externalPurchaseId", TEXT, AT(external_purchase_id), 0, 0, 0 },
	{ "tokenCreationDate", DATE, NOWHERE, 0, 0, 0 },
	{ "tokenExpirationDate", DATE, NOWHERE, 0, 0, 0 },
	{ "tokenType", TEXT, NOWHERE, 0, 0, 0 },
};

#undef OF
#undef AT

/* The one body there must be; more than one is nobody's. */
static bool
find_body(const struct json *payload, struct appstore_notification *n,
    const struct json **ret_body)
{
	static const struct word bodies[] = {
		{ "data", APPSTORE_BODY_DATA },
		{ "summary", APPSTORE_BODY_SUMMARY },
		{ "externalPurchaseToken",
		    APPSTORE_BODY_EXTERNAL_PURCHASE_TOKEN },
		{ "appData", APPSTORE_BODY_APP_DATA },
	};
	const struct json *body = NULL;

	for (size_t i = 0; i < COUNT(bodies); i++) {
		const struct json *found = json_member(payload, bodies[i].name);

		if (found == NULL || json_is_null(found))
			continue;
		if (body != NULL)
			return false;
		body = found;
		n->body = (enum appstore_body)bodies[i].value;
	}
	*ret_body = body;
	return true;
}

static enum appstore_notification_type
find_type(struct str name)
{
#define TYPE(word) \
	{ \
#word, APPSTORE_NOTE_##word \
	}
	static const struct word types[] = {
		TYPE(CONSUMPTION_REQUEST),
		TYPE(DID_CHANGE_RENEWAL_PREF),
		TYPE(DID_CHANGE_RENEWAL_STATUS),
		TYPE(DID_FAIL_TO_RENEW),
		TYPE(DID_RENEW),
		TYPE(EXPIRED),
		TYPE(EXTERNAL_PURCHASE_TOKEN),
		TYPE(GRACE_PERIOD_EXPIRED),
		TYPE(OFFER_REDEEMED),
		TYPE(ONE_TIME_CHARGE),
		TYPE(PRICE_INCREASE),
		TYPE(REFUND),
		TYPE(REFUND_DECLINED),
		TYPE(REFUND_REVERSED),
		TYPE(RENEWAL_EXTENDED),
		TYPE(RENEWAL_EXTENSION),
		TYPE(RESCIND_CONSENT),
		TYPE(REVOKE),
		TYPE(SUBSCRIBED),
		TYPE(TEST),
	};
#undef TYPE

	return find_word(name, types, COUNT(types), APPSTORE_NOTE_OTHER);
}

/* An external purchase's token names its environment in its id. */
static enum appstore_environment
environment_of(const struct outer_text *text)
{
	if (text->outer.notification.body !=
	    APPSTORE_BODY_EXTERNAL_PURCHASE_TOKEN)
		return appstore_read_environment(text->environment);
	return str_starts_with(text->external_purchase_id, STR("SANDBOX")) ?
	    APPSTORE_SANDBOX :
	    APPSTORE_PRODUCTION;
}

enum appstore_verdict
appstore_read_notification(const struct json *payload,
    struct appstore_outer *ret_outer)
{
	struct outer_text text = { 0 };
	struct appstore_notification *n = &text.outer.notification;
	const struct json *body;

	if (!read_members(payload, outer_members, COUNT(outer_members),
		&text) ||
	    !find_body(payload, n, &body) ||
	    (body != NULL &&
		!read_members(body, body_members, COUNT(body_members), &text)))
		return APPSTORE_BAD_PAYLOAD;
	n->type = find_type(n->type_name);
	n->environment =
	    body == NULL ? APPSTORE_OTHER_ENVIRONMENT : environment_of(&text);
	*ret_outer = text.outer;
	if (body == NULL || n->type_name.len == 0 || n->uuid.len == 0 ||
	    n->signed_date_ms == 0 || n->bundle_id.len == 0)
		return APPSTORE_INCOMPLETE;
	return APPSTORE_OK;
}
