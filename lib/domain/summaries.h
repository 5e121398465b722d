/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_SUMMARIES_H
#define DOMAIN_SUMMARIES_H

#include "store/db.h"

/*
 * Summaries: what goes well, told to the operator by notices: each sale, how
 * many came, and once a day how the day was.  Each is called often, writes
 * when there is something to tell, and tells it once.
 */

/* Sales that were credited within the last hour. */
enum err summaries_tell_sales(struct db *db, int64_t now_ms);

/* One notice for all who came in an interval of that length. */
enum err
summaries_tell_users(struct db *db, int64_t interval_ms, int64_t now_ms);

/* The last whole day in UTC, once that hour of the next one has come. */
enum err summaries_tell_day(struct db *db, int64_t hour, int64_t now_ms);

#endif
