/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPSTORE_SANDBOX_H
#define PROVIDER_APPSTORE_SANDBOX_H

#include "provider/appstore.h"

/*
 * An App Store of our own, for sandbox mode: it sells, refunds and signs with
 * a chain of its own, in the environment Sandbox, in Apple's form.  The
 * verifier looks at it as it looks at Apple's.
 *
 * What was sold is kept below STATE_DIR/sandbox/purchases, a file a
 * transaction: its payload as it stands now.
 */

/* The chain with the leaf's key, below STATE_DIR; `rendio init` makes it. */
#define APPSTORE_SANDBOX_KEY "keys/sandbox-appstore.pem"
#define APPSTORE_SANDBOX_KEY_BYTES_MAX ((size_t)16 * 1024)

/*
 * Appends a new chain: leaf key, leaf, intermediate, root.  The keys of the
 * other two are forgotten, so that it never signs another leaf.
 */
void appstore_sandbox_generate(int64_t now_ms, struct buf *pem);

/* Appends the root's certificate; false when there is no chain. */
bool appstore_sandbox_root(const struct config *config, struct buf *pem);

struct appstore_sale {
	struct uuid user_id; /* becomes the appAccountToken */
	bool has_user_id; /* false: a sale without a token */
	struct str product_id;
	enum appstore_product_type type;
	int64_t quantity; /* 1 to APPSTORE_QUANTITY_MAX */
};

/* Sells, and appends the transaction as a JWS.  False: no chain, no disk. */
bool appstore_sandbox_sell(const struct config *config,
    const struct appstore_sale *sale, int64_t now_ms, struct buf *out);

/*
 * Appends the transaction that was sold under this id as it stands now, as a
 * JWS.  False when none was.
 */
bool
appstore_sandbox_transaction(const struct config *config, struct arena *arena,
    struct str transaction_id, int64_t now_ms, struct buf *out);

struct appstore_event {
	struct str transaction_id;
	const char *type; /* "REFUND", "REFUND_REVERSED", ... */
	int64_t percentage; /* of a refund; APPSTORE_WHOLE for all of it */
};

/*
 * Makes an event of a transaction that was sold and appends the notification
 * about it, {"signedPayload":"..."}.  A REFUND takes the transaction back and
 * REFUND_REVERSED undoes that; other types change nothing.  False when it was
 * never sold.
 */
bool appstore_sandbox_notify(const struct config *config, struct arena *arena,
    const struct appstore_event *event, int64_t now_ms, struct buf *out);

#endif
