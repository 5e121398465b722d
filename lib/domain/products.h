/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_PRODUCTS_H
#define DOMAIN_PRODUCTS_H

#include "domain/purchases.h"

/*
 * Products: what the App Store sells for us.  A consumable brings credits
 * once, a subscription (of premium) brings some each period, or none.
 */

/* Longer ones Apple does not take; they are letters, digits, '.', '_', '-'. */
#define PRODUCT_ID_BYTES_MAX 100

struct product {
	char id[PURCHASE_PRODUCT_BYTES];
	enum purchase_kind kind;
	int64_t credits; /* 1 to CREDITS_AMOUNT_MAX; 0 too of a subscription */
};

typedef enum err products_each(void *arg, const struct product *product);

/* Consumables, then subscriptions, each by id.  Needs no transaction. */
enum err products_list(struct db *db, products_each *each, void *arg);

bool products_id_ok(struct str id);

/* What one brings now; false in *ret_found when we do not sell it so. */
enum err products_find(struct db *db, struct str id, enum purchase_kind kind,
    bool *ret_found, int64_t *ret_credits);

/*
 * Sells a product, or for other credits than so far.  What was credited stays;
 * what waits for this product is tried again at once.  The caller holds a write
 * transaction.  Errors: ERR_CONFLICT when the id is of the other kind.
 */
enum err
products_set(struct db *db, const struct product *product, int64_t now_ms);

/*
 * Sells it no more; *ret_was is what it was.  What was credited stays; what
 * Apple goes on selling of it waits.  The caller holds a write transaction.
 * Errors: ERR_NOT_FOUND.
 */
enum err products_remove(struct db *db, struct str id, struct product *ret_was);

#endif
