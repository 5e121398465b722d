/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_ALARMS_H
#define DOMAIN_ALARMS_H

#include "store/db.h"

/*
 * Alarms: conditions that the operator must know of before users write.
 *
 * Whoever watches a condition says what is wrong now, as often as it looks:
 * what was not wrong before is raised, what was raised and has been well for a
 * while is cleared.  The notice of each (domain/notices.h) is written in the
 * same transaction, so that there is one when it begins and one when it is
 * over, whoever dies between them.
 */

#define ALARM_LIST(X) \
	X(PROVIDER_DOWN, "provider_down", "Provider does not answer") \
	X(APPLE_DOWN, "apple_down", "Apple does not answer") \
	X(BREAKER_OPEN, "breaker_open", "Nothing is sent to a provider") \
	X(DISK_80, "disk_80", "Storage over 80 %") \
	X(DISK_90, "disk_90", "Storage over 90 %") \
	X(LOG_GROWS, "log_grows", "The database's log is not emptied") \
	X(SPEND_NEAR, "spend_near", "Spend cap is near") \
	X(PURCHASE_WAITS, "purchase_waits", "Paid, and not credited") \
	X(BACKUP_FAILED, "backup_failed", "Backup failed") \
	X(BACKUP_STALE, "backup_stale", "Backup is too old") \
	X(AUDIT_FAILED, "audit_failed", "Audit found violations") \
	X(ERROR_BURST, "error_burst", "Many errors of ours") \
	X(LIMIT_REPEATED, "limit_repeated", "Limits refuse somebody on and on")

#define ALARM_ENUM_ROW(symbol, name, title) ALARM_##symbol,
enum alarm { ALARM_LIST(ALARM_ENUM_ROW) ALARM_MAX };
#undef ALARM_ENUM_ROW

/* "disk_90": stable, stored. */
const char *alarm_name(enum alarm alarm);

/* What of it is wrong: "fal", "fal/fal-ai/veo3.1", or "". */
#define ALARM_SUBJECT_BYTES 128
#define ALARM_DETAIL_BYTES 256

struct alarm_finding {
	char subject[ALARM_SUBJECT_BYTES];
	char detail[ALARM_DETAIL_BYTES]; /* how bad, for people; may be "" */
};

struct alarm_rules {
	int64_t hold_ms; /* well for so long before it is over */
	bool tells; /* somebody is there to be told */
};

/* More than these are not told of; those that are left out stay as they are. */
#define ALARM_FINDINGS_MAX 64

/*
 * All that is wrong now of this kind, up to ALARM_FINDINGS_MAX: findings are
 * raised, everything else of the kind is well.  With as many as that nothing
 * is taken to be well, for it may have been left out.  A raised one that nobody could be told of is told of
 * when somebody can.  In a transaction of its own; when nothing has changed it
 * only reads.
 */
enum err alarms_watch(struct db *db, enum alarm alarm,
    const struct alarm_finding *findings, size_t count,
    const struct alarm_rules *rules, int64_t now_ms);

/* Is it raised? */
enum err alarms_is_raised(struct db *db, enum alarm alarm, const char *subject,
    bool *ret_is_raised);

struct alarm_row {
	const char *name;
	const char *subject;
	const char *detail;
	int64_t raised_at_ms;
};

/* Those that are raised, oldest first. */
typedef void alarms_each(void *arg, const struct alarm_row *row);
enum err alarms_list(struct db *db, alarms_each *each, void *arg);

/* Deletes up to `limit` that were cleared before before_ms. */
enum err alarms_purge(struct db *db, int64_t before_ms, int64_t limit);

#endif
