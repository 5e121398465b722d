/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_CLOCKS_H
#define DOMAIN_CLOCKS_H

#include "store/db.h"

/*
 * Clocks: what one that was ahead leaves behind when it is set right.
 */

/* No job is ever left alone for longer: the longest wait is five minutes. */
#define CLOCKS_WAIT_MAX_MS (INT64_C(600) * 1000)

/*
 * Makes due the open jobs that are due later than that, which only a clock
 * that was ahead can have made so; their deadlines come as much nearer.  In a
 * transaction of its own.
 */
enum err clocks_follow(struct db *db, int64_t now_ms, int64_t *ret_count);

#endif
