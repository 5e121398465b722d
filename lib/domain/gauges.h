/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_GAUGES_H
#define DOMAIN_GAUGES_H

#include "domain/jobs.h"

/*
 * Gauges: how it stands just now, as whoever watches us wants to know it.
 * Each reads no more than what is open.
 */

struct gauge_jobs {
	enum job_state state;
	int64_t count;
	int64_t oldest_at_ms; /* when the oldest was ordered */
};

/* Calls `each` for the states in which there are open jobs. */
typedef void gauges_each(void *arg, const struct gauge_jobs *jobs);
enum err gauges_jobs(struct db *db, gauges_each *each, void *arg);

#endif
