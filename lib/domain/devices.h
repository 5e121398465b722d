/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_DEVICES_H
#define DOMAIN_DEVICES_H

#include "domain/sessions.h"

/*
 * Devices: a phone's way in, and its one gift of free credits.
 *
 * Who the phone is, Apple says: DeviceCheck keeps a bit that survives
 * reinstalling.  The order is: devices_enter() writes the account down with
 * its gift pending and, when Apple's bit was seen clear, marks the device;
 * then the caller sets the bit; then devices_grant() gives the credits.
 *
 * Dying between two of them neither burns nor doubles the gift: who finds the
 * bit set has had it, unless the device is marked, which says that the bit may
 * be its own doing.  Who came in while Apple could not be asked, or refused to
 * set the bit, is not, so that many such accounts do not become many gifts.
 */

#define DEVICE_HASH_BYTES 32

enum device_gift {
	GIFT_PENDING,
	GIFT_GRANTED, /* just now */
	GIFT_ALREADY_CLAIMED,
	GIFT_WITHHELD, /* the device is past its limits */
};

/* What a device id may have done and still have the gift. */
struct device_limits {
	int64_t accounts_max; /* opened */
	int64_t rejections_max; /* Apple did not vouch for who showed it */
	int64_t bit_changes_max; /* Apple's bit was not as it was left */
};

struct device_entry {
	/* Given by the caller: */
	uint8_t id_hash[DEVICE_HASH_BYTES]; /* keyed hash of the device id */
	bool is_secret; /* the id is a version 4 UUID */
	bool is_verified; /* DeviceCheck vouched for the phone */
	bool had_gift; /* verified, and Apple's bit is set already */
	bool must_wait; /* others that look new are before it: no gift yet */
	struct device_limits limits;
	enum lang lang;
	int64_t now_ms;
	/* Filled in: */
	struct session session;
	bool is_new; /* the account was made just now */
	bool must_set_bit; /* before devices_grant() is called */
	enum device_gift gift; /* pending: devices_grant(), if verified */
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
 * Gives the pending gift, unless it was given meanwhile; brings the entry's
 * gift and credits_remaining up to date.  amount_credits may be 0: then the
 * gift is none.
 */
enum err devices_grant(struct db *db, struct device_entry *entry,
    int64_t amount_credits);

/* Takes the mark back: the bit is certainly not set. */
enum err devices_unmark(struct db *db, const struct device_entry *entry);

/* Notes that Apple did not vouch for who shows this device id. */
enum err devices_note_rejection(struct db *db,
    const uint8_t id_hash[DEVICE_HASH_BYTES], int64_t now_ms);

/* Accounts that wait for their gift. */
enum err devices_pending_count(struct db *db, int64_t *ret_count);

#endif
