/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_NOTICES_H
#define DOMAIN_NOTICES_H

#include "store/db.h"

/*
 * Notices: short texts for the operator, which wait here until they have been
 * sent, through every outage.
 *
 * A notice is written with the fact that it tells of and has a key, so that it
 * is told once however often the fact is looked at.  Those that wait go out
 * together, one message at a time: sending is leased, and whoever dies over it
 * is followed by one who sends again.  Then the message may have arrived
 * already, and says so, because Telegram does not know it again.
 */

/* A line on a phone's lock screen; characters. */
#define NOTICE_CHARS_MAX 500
#define NOTICE_BYTES_MAX (NOTICE_CHARS_MAX * 4)

/* In one message: a message of Telegram has at most 4096 characters. */
#define NOTICE_BATCH_MAX 20
#define NOTICE_BATCH_BYTES_MAX ((size_t)3600)

/* More than a week of trouble; the oldest give way to the newest. */
#define NOTICES_WAITING_MAX 1000

#define NOTICE_KEY_BYTES 160

/*
 * Writes it down unless its key is known.  The text is cut to what fits.  The
 * caller holds a write transaction.
 */
enum err
notices_add(struct db *db, const char *key, struct str text, int64_t now_ms);

struct notice {
	int64_t id;
	bool is_doubtful; /* it may have arrived already */
	char text[NOTICE_BYTES_MAX + 1];
};

struct notice_batch {
	struct notice notice[NOTICE_BATCH_MAX];
	size_t count;
};

/*
 * Takes what is to be sent as the next message; nobody else sends for lease_ms
 * or until it is told how it went.  *ret_count is 0 when nothing waits or it
 * is not the time.  In a transaction of its own.
 */
enum err notices_take(struct db *db, int64_t now_ms, int64_t lease_ms,
    struct notice_batch *ret_batch);

/* It arrived; the next message goes out no sooner than next_at_ms. */
enum err notices_sent(struct db *db, const struct notice_batch *batch,
    int64_t now_ms, int64_t next_at_ms);

/*
 * It did not, or nobody knows (is_doubtful).  The next try is after wait_ms,
 * doubled for each failure in a row, up to an hour; or at not_before_ms, which
 * is the service's own wish (0 = none).
 */
enum err notices_failed(struct db *db, const struct notice_batch *batch,
    bool is_doubtful, int64_t wait_ms, int64_t not_before_ms, int64_t now_ms);

/* How many wait. */
enum err notices_waiting_count(struct db *db, int64_t *ret_count);

/*
 * Deletes up to `limit` that are older than before_ms, sent or not, and what
 * waits beyond NOTICES_WAITING_MAX.
 */
enum err notices_purge(struct db *db, int64_t before_ms, int64_t limit);

#endif
