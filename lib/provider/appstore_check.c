/* SPDX-License-Identifier: MIT */
#include "provider/appstore_check.h"

#include "wire/jws.h"

/* No signature of this form is older, and no clock of Apple's later. */
#define DATE_MS_MIN INT64_C(1500000000000)
#define DATE_MS_MAX INT64_C(4102444800000)

/* So far our clock may lag behind Apple's. */
#define FUTURE_MS_MAX (INT64_C(5) * 60 * 1000)

const char *
appstore_verdict_name(enum appstore_verdict verdict)
{
	static const char *const names[] = {
		[APPSTORE_OK] = "ok",
		[APPSTORE_BAD_FORM] = "bad_form",
		[APPSTORE_BAD_CHAIN_LENGTH] = "bad_chain_length",
		[APPSTORE_BAD_CERTIFICATE] = "bad_certificate",
		[APPSTORE_BAD_CHAIN] = "bad_chain",
		[APPSTORE_DENIED_LEAF] = "denied_leaf",
		[APPSTORE_BAD_SIGNATURE] = "bad_signature",
		[APPSTORE_BAD_DATE] = "bad_date",
		[APPSTORE_BAD_PAYLOAD] = "bad_payload",
		[APPSTORE_WRONG_APP] = "wrong_app",
		[APPSTORE_WRONG_ENVIRONMENT] = "wrong_environment",
		[APPSTORE_BAD_NESTED] = "bad_nested",
		[APPSTORE_INCOMPLETE] = "incomplete",
		[APPSTORE_UNAVAILABLE] = "unavailable",
	};

	return names[verdict];
}

const char *
appstore_environment_name(enum appstore_environment environment)
{
	switch (environment) {
	case APPSTORE_PRODUCTION:
		return "Production";
	case APPSTORE_SANDBOX:
		return "Sandbox";
	case APPSTORE_OTHER_ENVIRONMENT:
		break;
	}
	return "Other";
}

/* What a payload says about itself, whatever its kind. */
struct claim {
	enum appstore_environment environment;
	struct str bundle_id;
	int64_t app_id;
	bool names_app; /* kinds that a bundle id is asked of */
	bool names_app_id;
};

static enum appstore_verdict
read_claim(enum appstore_kind kind, const struct json *payload,
    struct appstore_proof *proof, struct appstore_outer *outer,
    struct claim *claim)
{
	enum appstore_verdict verdict = APPSTORE_BAD_PAYLOAD;

	switch (kind) {
	case APPSTORE_KIND_TRANSACTION:
		verdict =
		    appstore_read_transaction(payload, &proof->transaction);
		claim->environment = proof->transaction.environment;
		claim->bundle_id = proof->transaction.bundle_id;
		claim->names_app = true;
		break;
	case APPSTORE_KIND_RENEWAL:
		verdict = appstore_read_renewal(payload, &proof->renewal);
		claim->environment = proof->renewal.environment;
		break;
	case APPSTORE_KIND_NOTIFICATION:
		verdict = appstore_read_notification(payload, outer);
		proof->notification = outer->notification;
		claim->environment = outer->notification.environment;
		claim->bundle_id = outer->notification.bundle_id;
		claim->app_id = outer->notification.app_id;
		claim->names_app = true;
		claim->names_app_id = true;
		break;
	case APPSTORE_KIND_APP_TRANSACTION:
		verdict = appstore_read_app_transaction(payload,
		    &proof->app_transaction);
		claim->environment = proof->app_transaction.environment;
		claim->bundle_id = proof->app_transaction.bundle_id;
		claim->app_id = proof->app_transaction.app_id;
		claim->names_app = true;
		claim->names_app_id = true;
		break;
	}
	return verdict;
}

static enum appstore_verdict
check_chain(struct x509_trust *trust, const struct jws *jws, int64_t at_ms)
{
	const struct x509_leaf *leaf;

	switch (x509_verify(trust, jws->x5c, at_ms, &leaf)) {
	case X509_GOOD:
		return x509_leaf_signed(leaf, jws->signed_text,
			   jws->signature) ?
		    APPSTORE_OK :
		    APPSTORE_BAD_SIGNATURE;
	case X509_UNREADABLE:
	case X509_NOT_VALID_THEN:
		return APPSTORE_BAD_CERTIFICATE;
	case X509_DENIED:
		return APPSTORE_DENIED_LEAF;
	case X509_UNTRUSTED:
		break;
	}
	return APPSTORE_BAD_CHAIN;
}

static enum appstore_verdict
check_signature(const struct appstore_rules *rules, enum appstore_kind kind,
    const struct jws *jws, enum appstore_environment environment,
    int64_t now_ms)
{
	const char *name = kind == APPSTORE_KIND_APP_TRANSACTION ?
	    "receiptCreationDate" :
	    "signedDate";
	enum appstore_verdict verdict = APPSTORE_BAD_CHAIN;
	int64_t at_ms;

	if (!appstore_read_date(json_member(jws->payload, name), &at_ms) ||
	    at_ms < DATE_MS_MIN || at_ms > DATE_MS_MAX ||
	    at_ms > now_ms + FUTURE_MS_MAX)
		return APPSTORE_BAD_DATE;
	/* The signature covers the environment that this choice rests on. */
	if (rules->sandbox_trust != NULL && environment == APPSTORE_SANDBOX)
		verdict = check_chain(rules->sandbox_trust, jws, at_ms);
	if (verdict == APPSTORE_BAD_CHAIN)
		verdict = check_chain(rules->trust, jws, at_ms);
	return verdict;
}

static enum appstore_verdict
check_identity(const struct appstore_rules *rules, const struct claim *claim)
{
	if (claim->names_app &&
	    (rules->bundle_id.len == 0 ||
		!str_equal(claim->bundle_id, rules->bundle_id)))
		return APPSTORE_WRONG_APP;
	/* Apple's sandbox does not know the app's number. */
	if (claim->names_app_id &&
	    (claim->environment == APPSTORE_PRODUCTION ||
		!rules->takes_sandbox) &&
	    (rules->app_id == 0 || claim->app_id != rules->app_id))
		return APPSTORE_WRONG_APP;
	if ((claim->environment == APPSTORE_PRODUCTION &&
		rules->takes_production) ||
	    (claim->environment == APPSTORE_SANDBOX && rules->takes_sandbox))
		return APPSTORE_OK;
	return APPSTORE_WRONG_ENVIRONMENT;
}

static enum appstore_verdict
check_one(const struct appstore_rules *rules, struct arena *arena,
    enum appstore_kind kind, struct str text, int64_t now_ms,
    struct appstore_proof *proof, struct appstore_outer *outer)
{
	struct claim claim = { .environment = APPSTORE_OTHER_ENVIRONMENT };
	enum appstore_verdict verdict, content;
	struct jws jws;

	switch (jws_parse(arena, text, &jws)) {
	case JWS_OK:
		break;
	case JWS_BAD_CHAIN_LENGTH:
		return APPSTORE_BAD_CHAIN_LENGTH;
	case JWS_BAD_FORM:
	case JWS_BAD_ALGORITHM:
		return APPSTORE_BAD_FORM;
	}
	*proof = (struct appstore_proof){ .payload_text = jws.payload_text };
	content = read_claim(kind, jws.payload, proof, outer, &claim);
	verdict = check_signature(rules, kind, &jws, claim.environment, now_ms);
	if (verdict != APPSTORE_OK)
		return verdict;
	if (content == APPSTORE_BAD_PAYLOAD)
		return content;
	verdict = check_identity(rules, &claim);
	return verdict != APPSTORE_OK ? verdict : content;
}

/* One nested proof of the notification's own environment; "" is none. */
static bool
check_part(const struct appstore_rules *rules, struct arena *arena,
    enum appstore_kind kind, struct str text, int64_t now_ms,
    enum appstore_environment environment, struct appstore_proof *proof,
    bool *is_complete)
{
	struct appstore_outer unused = { 0 };
	enum appstore_verdict verdict;

	*proof = (struct appstore_proof){ 0 };
	if (text.len == 0)
		return true;
	verdict = check_one(rules, arena, kind, text, now_ms, proof, &unused);
	if (verdict == APPSTORE_INCOMPLETE)
		*is_complete = false;
	else if (verdict != APPSTORE_OK)
		return false;
	switch (kind) {
	case APPSTORE_KIND_TRANSACTION:
		return proof->transaction.environment == environment;
	case APPSTORE_KIND_RENEWAL:
		return proof->renewal.environment == environment;
	case APPSTORE_KIND_APP_TRANSACTION:
		return proof->app_transaction.environment == environment;
	case APPSTORE_KIND_NOTIFICATION:
		break;
	}
	abort();
}

/* What a notification carries is proven on its own, and fits together. */
static enum appstore_verdict
check_nested(const struct appstore_rules *rules, struct arena *arena,
    const struct appstore_outer *outer, int64_t now_ms,
    struct appstore_notification *n)
{
	struct appstore_proof transaction, renewal, app_transaction;
	bool is_complete = true;

	if (!check_part(rules, arena, APPSTORE_KIND_TRANSACTION,
		n->signed_transaction, now_ms, n->environment, &transaction,
		&is_complete) ||
	    !check_part(rules, arena, APPSTORE_KIND_RENEWAL, n->signed_renewal,
		now_ms, n->environment, &renewal, &is_complete) ||
	    !check_part(rules, arena, APPSTORE_KIND_APP_TRANSACTION,
		outer->signed_app_transaction, now_ms, n->environment,
		&app_transaction, &is_complete))
		return APPSTORE_BAD_NESTED;
	n->transaction = transaction.transaction;
	n->renewal = renewal.renewal;
	if (n->transaction.original_transaction_id.len > 0 &&
	    n->renewal.original_transaction_id.len > 0 &&
	    !str_equal(n->transaction.original_transaction_id,
		n->renewal.original_transaction_id))
		return APPSTORE_BAD_NESTED;
	return is_complete ? APPSTORE_OK : APPSTORE_INCOMPLETE;
}

enum appstore_verdict
appstore_check(const struct appstore_rules *rules, struct arena *arena,
    enum appstore_kind kind, struct str jws, int64_t now_ms,
    struct appstore_proof *ret_proof)
{
	enum appstore_verdict verdict, nested = APPSTORE_OK;
	struct appstore_outer outer = { 0 };
	struct appstore_proof proof;

	verdict = check_one(rules, arena, kind, jws, now_ms, &proof, &outer);
	if (verdict != APPSTORE_OK && verdict != APPSTORE_INCOMPLETE)
		return verdict;
	if (kind == APPSTORE_KIND_NOTIFICATION)
		nested = check_nested(rules, arena, &outer, now_ms,
		    &proof.notification);
	if (nested == APPSTORE_BAD_NESTED)
		return nested;
	*ret_proof = proof;
	return nested != APPSTORE_OK ? nested : verdict;
}
