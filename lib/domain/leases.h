/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_LEASES_H
#define DOMAIN_LEASES_H

#include "domain/attempts.h"

/*
 * Leases: finding what is due (attempts_lease and attempts_renew of
 * domain/attempts.h), and the moves that finding it and telling what came of
 * it have in common.  The caller holds a write transaction.
 */

/* Makes an open job due at this time; one that has ended is left alone. */
enum err
leases_set_due(struct db *db, const struct uuid *job_id, int64_t due_at_ms);

/* sending -> unknown; in any other state nothing happens. */
enum err leases_mark_unknown(struct db *db, const struct uuid *id);

/* Moves an attempt into one of its last states. */
enum err leases_end_attempt(struct db *db, const struct uuid *id,
    const char *state, const char *error_code, int64_t now_ms);

/*
 * Another attempt for a job after `last` came to nothing, at the fallback of
 * its model if that is available and can be asked, else at the same model.
 */
enum err leases_add_attempt(struct db *db, const struct uuid *job_id,
    const struct uuid *last, const struct attempt_failure *failure,
    int64_t now_ms);

#endif
