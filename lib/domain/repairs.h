/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_REPAIRS_H
#define DOMAIN_REPAIRS_H

#include "domain/purchases.h"

/*
 * Repairs: how far a walk through one of Apple's long lists has come.  A walk
 * goes from one moment to another, page by page; when it stops in the middle
 * (we died, Apple wants us to wait) it goes on at the page that it stopped at.
 * The next walk begins where this one ended.
 */

/* Apple's opaque texts; provider/appstore_api.h says so too. */
#define REPAIR_CURSOR_BYTES 1025

struct repair {
	char name[32];
	char cursor[REPAIR_CURSOR_BYTES]; /* "" = the first page */
	int64_t from_ms;
	int64_t until_ms;
	int64_t seen_count; /* in this walk */
	int64_t new_count;
};

/*
 * Takes a walk whose time has come, or begins the first one from `from_ms`;
 * *ret_found is false when it is not the time.  In a transaction of its own.
 */
enum err repairs_take(struct db *db, const char *name, int64_t from_ms,
    int64_t now_ms, bool *ret_found, struct repair *ret_repair);

/* A page is done; the walk goes on with this one, not before that time. */
enum err repairs_go_on(struct db *db, const struct repair *repair,
    int64_t next_run_at_ms);

/* The walk is done; the next one goes from its end on, at that time. */
enum err repairs_finish(struct db *db, const struct repair *repair,
    int64_t next_run_at_ms);

#endif
