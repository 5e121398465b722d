/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_RESTORES_H
#define DOMAIN_RESTORES_H

#include "store/db.h"

/*
 * Restores: what a copy of the database must not do again.
 */

/*
 * What waited to be sent when the copy was made may have been sent since.  It
 * is not sent again; the jobs end and their credits go back.  *ret_count counts
 * them.  In a transaction of its own.
 */
enum err
restores_give_up_queued(struct db *db, int64_t now_ms, int64_t *ret_count);

#endif
