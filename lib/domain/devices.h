/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_DEVICES_H
#define DOMAIN_DEVICES_H

#include "domain/sessions.h"

/*
 * Devices: a phone's way in, and its one gift of free credits.
 *
 * Who the phone is, Apple says: DeviceCheck keeps a bit that survives
 * reinstalling.  The order is: devices_enter() writes the account down with
 * its gift pending; then the caller sets Apple's bit; then devices_grant()
 * gives the credits.  Dying between two of them neither burns nor doubles the
 * gift: the same device finds its account again and its gift still pending.
 */

#define DEVICE_HASH_BYTES 32

struct device_entry {
	/* Given by the caller: */
	uint8_t id_hash[DEVICE_HASH_BYTES]; /* keyed hash of the device id */
	bool is_secret; /* the id is a version 4 UUID */
	bool is_verified; /* DeviceCheck vouched for the phone */
	bool had_gift; /* Apple's bit is set already */
	enum lang lang;
	int64_t now_ms;
	/* Filled in: */
	struct session session;
	bool is_new; /* the account was made just now */
	bool is_pending; /* set the bit, then call devices_grant() */
	int64_t credits_remaining;
};

/*
 * Finds or makes the account of a device and opens a session.
 *
 * A secret device id re-enters the guest account it came with; an account
 * that was linked or deleted is not re-entered, and other ids never do: they
 * get a new guest, without a second gift.
 * Errors: ERR_USER_BANNED; ERR_SERVICE_UNAVAILABLE when an account would be
 * re-entered but the phone is not verified.
 */
enum err devices_enter(struct db *db, struct device_entry *entry);

/*
 * Apple's bit is certainly not set: whoever finds it set later was somebody
 * else.  Without this a phone could open several accounts while Apple takes
 * no bits, and have a gift for each.
 */
enum err devices_unmark(struct db *db, struct device_entry *entry);

/*
 * Gives the pending gift; *ret_given is false when it was given already.
 * amount_credits may be 0: then the gift is none.
 */
enum err devices_grant(struct db *db, const struct device_entry *entry,
    int64_t amount_credits, bool *ret_given, int64_t *ret_balance);

#endif
