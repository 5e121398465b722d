/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_STORAGE_H
#define DOMAIN_STORAGE_H

#include "store/db.h"

/*
 * Storage: how much of the disk our files take, and whether there is room for
 * more.  The worker measures; everybody else reads one row.
 */

enum storage_level {
	STORAGE_OK,
	STORAGE_WARNING, /* four fifths of what may be used */
	STORAGE_ALARM, /* nine tenths */
	STORAGE_FULL, /* nothing new is taken on */
	STORAGE_LEVEL_MAX,
};

const char *storage_level_name(enum storage_level level);

/* What all files take by their rows, and what may be used in all. */
struct storage_use {
	enum storage_level level;
	int64_t used_bytes;
	int64_t limit_bytes;
	int64_t measured_at_ms;
};

/* A level that stays bad is said again this often. */
#define STORAGE_REMIND_MS (INT64_C(15) * 60 * 1000)

/*
 * Adds up the rows and stores the level that follows.  The limit is the quota
 * (0 = none), or less when the disk's free bytes, but for the reserve, do not
 * allow as much.  *ret_is_news: the level is another one than before, or a bad
 * one still, and another quarter of an hour has begun.
 */
enum err storage_measure(struct db *db, int64_t quota_bytes, int64_t free_bytes,
    int64_t reserve_bytes, int64_t now_ms, struct storage_use *ret_use,
    bool *ret_is_news);

/* What was measured last. */
enum err storage_read(struct db *db, struct storage_use *ret_use);

/* ERR_SERVICE_UNAVAILABLE when it is full: before anything is charged. */
enum err storage_check_room(struct db *db);

#endif
