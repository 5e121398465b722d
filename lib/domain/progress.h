/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_PROGRESS_H
#define DOMAIN_PROGRESS_H

#include "domain/jobs.h"

/*
 * Progress: what became of jobs, credits and money, told to the log and the
 * metrics when it is committed, and not at all when it is rolled back.
 *
 * The caller of each holds a write transaction.
 */

/* A job came into a state: one line. error_code may be NULL. */
void progress_job(struct db *db, const struct uuid *job_id,
    enum job_state state, const char *error_code);

/* Credits were moved by an entry of this kind. */
void progress_credits(struct db *db, const char *kind, int64_t credits);

/* A sale was credited. */
void progress_revenue(struct db *db, const char *currency, int64_t price_milli);

/* A generation may cost so much; or does not after all, which is less than 0. */
void progress_cost(struct db *db, int64_t micro_usd);

#endif
