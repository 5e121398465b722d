/* SPDX-License-Identifier: MIT */
#include "app/purchasing.h"
#include "base/arena.h"

_Static_assert(PURCHASE_ID_BYTES == APPSTORE_ID_BYTES_MAX + 1,
    "a transaction id fits");
_Static_assert(PURCHASE_QUANTITY_MAX == APPSTORE_QUANTITY_MAX,
    "a quantity fits");
_Static_assert(PURCHASE_WHOLE == APPSTORE_WHOLE, "parts are counted alike");

/* What App Review and testers need, in a year. */
#define SANDBOX_CREDITS_MAX_LIVE 1000

struct purchase_policy
purchasing_policy(const struct config *config)
{
	struct purchase_policy policy = {
		.sandbox_credits_max =
		    config_number(config, CONFIG_SANDBOX_CREDITS_MAX),
		.forgives_debt =
		    config_number(config, CONFIG_FORGIVE_REFUND_DEBT) == 1,
	};

	if (policy.sandbox_credits_max < 0)
		policy.sandbox_credits_max = config_is_sandbox(config) ?
		    INT64_MAX :
		    SANDBOX_CREDITS_MAX_LIVE;
	return policy;
}

/* How much of it was paid back. */
static int64_t
refund_millipercent(const struct appstore_transaction *t)
{
	if (t->revocation_date_ms == 0)
		return 0;
	/* Whatever part of a period was paid back, the period is over. */
	if (t->type == APPSTORE_CONSUMABLE &&
	    t->revocation_type == APPSTORE_REFUND_PRORATED &&
	    t->revocation_percentage != APPSTORE_ABSENT)
		return t->revocation_percentage;
	return PURCHASE_WHOLE;
}

static bool
is_sold_by_us(const struct appstore_transaction *t)
{
	return (t->type == APPSTORE_CONSUMABLE ||
		   t->type == APPSTORE_AUTO_RENEWABLE) &&
	    t->in_app_ownership_type == APPSTORE_PURCHASED;
}

bool
purchasing_fact(const struct appstore_transaction *t,
    struct purchase_fact *ret_fact)
{
	struct purchase_fact fact = {
		.is_sandbox = t->environment != APPSTORE_PRODUCTION,
		.kind = t->type == APPSTORE_CONSUMABLE ? PURCHASE_CONSUMABLE :
							 PURCHASE_SUBSCRIPTION,
		.quantity = t->quantity,
		.has_account_token = t->has_app_account_token,
		.account_token = t->app_account_token,
		.price_milli = t->price_milliunits,
		.purchased_at_ms = t->purchase_date_ms,
		.signed_at_ms = t->signed_date_ms,
		.refund_millipercent = refund_millipercent(t),
		.is_upgraded = t->is_upgraded,
	};

	if (t->type == APPSTORE_AUTO_RENEWABLE)
		fact.expires_at_ms = t->expires_date_ms;
	fact.has_price = t->has_price && t->price_milliunits >= 0 &&
	    str_copy(t->currency, fact.currency, sizeof(fact.currency));
	if (!is_sold_by_us(t) ||
	    !str_copy(t->transaction_id, fact.transaction_id,
		sizeof(fact.transaction_id)) ||
	    !str_copy(t->original_transaction_id, fact.original_transaction_id,
		sizeof(fact.original_transaction_id)) ||
	    !str_copy(t->product_id, fact.product_id, sizeof(fact.product_id)))
		return false;
	/* An odd one is none: then refunds are asked by the transaction. */
	if (!str_copy(t->app_transaction_id, fact.payer_id,
		sizeof(fact.payer_id)))
		fact.payer_id[0] = '\0';
	*ret_fact = fact;
	return true;
}

bool
purchasing_refund(const struct appstore_transaction *t,
    struct purchase_fact *ret_fact)
{
	if (t->revocation_date_ms == 0 || !purchasing_fact(t, ret_fact))
		return false;
	ret_fact->signed_at_ms = t->revocation_date_ms;
	return true;
}

/* The type says what the transaction beside it may have left out. */
static void
complete_fact(const struct appstore_notification *from,
    struct purchase_fact *fact)
{
	const bool takes = from->type == APPSTORE_NOTE_REFUND ||
	    from->type == APPSTORE_NOTE_REVOKE;

	fact->notified_at_ms = from->signed_date_ms;
	if (takes && from->transaction.revocation_date_ms == 0)
		fact->refund_millipercent = PURCHASE_WHOLE;
	if (from->type == APPSTORE_NOTE_REFUND_REVERSED)
		fact->refund_millipercent = 0;
}

static void
read_renewal(const struct appstore_renewal *r, struct renewal_fact *fact)
{
	*fact = (struct renewal_fact){
		.is_sandbox = r->environment != APPSTORE_PRODUCTION,
		.signed_at_ms = r->signed_date_ms,
		.grace_until_ms = r->grace_period_expires_date_ms,
		.renews = r->will_renew,
	};
	(void)str_copy(r->original_transaction_id,
	    fact->original_transaction_id,
	    sizeof(fact->original_transaction_id));
	(void)str_copy(r->auto_renew_product_id.len > 0 ?
		r->auto_renew_product_id :
		r->product_id,
	    fact->product_id, sizeof(fact->product_id));
}

bool
purchasing_notification(const struct appstore_notification *from,
    struct notification *ret_notification)
{
	struct notification n = {
		.signed_at_ms = from->signed_date_ms,
		.is_sandbox = from->environment != APPSTORE_PRODUCTION,
	};

	if (!uuid_parse(from->uuid, &n.id))
		return false;
	/* Words of the future may be longer; they mean nothing to us. */
	(void)str_copy(from->type_name, n.type, sizeof(n.type));
	(void)str_copy(from->subtype, n.subtype, sizeof(n.subtype));
	(void)str_copy(from->consumption_request_reason, n.reason,
	    sizeof(n.reason));
	if (from->signed_transaction.len > 0 &&
	    purchasing_fact(&from->transaction, &n.purchase)) {
		n.has_purchase = true;
		complete_fact(from, &n.purchase);
	}
	/* Without a transaction of ours beside it, it names no app. */
	if (n.has_purchase && n.purchase.kind == PURCHASE_SUBSCRIPTION &&
	    from->signed_renewal.len > 0) {
		n.has_renewal = true;
		read_renewal(&from->renewal, &n.renewal);
	}
	*ret_notification = n;
	return true;
}

enum appstore_verdict
purchasing_receive(const struct config *config, struct db *db,
    struct str signed_payload, int64_t now_ms,
    struct notification *ret_notification, bool *ret_is_new, enum err *ret_err)
{
	const struct purchase_policy policy = purchasing_policy(config);
	struct appstore_notification from;
	enum appstore_verdict verdict;
	struct arena arena;

	arena_init(&arena, APPSTORE_ARENA_BYTES);
	verdict = appstore_verify_notification(config, &arena, signed_payload,
	    now_ms, &from);
	if (verdict == APPSTORE_OK &&
	    !purchasing_notification(&from, ret_notification))
		verdict = APPSTORE_BAD_PAYLOAD;
	arena_free(&arena);
	if (verdict == APPSTORE_OK)
		*ret_err = notifications_receive(db, ret_notification, &policy,
		    now_ms, ret_is_new);
	return verdict;
}
