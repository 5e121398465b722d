/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_SWITCHES_H
#define DOMAIN_SWITCHES_H

#include "store/db.h"

/*
 * Switches: what an operator turns on for a while.  (Not to send to a
 * provider is a breaker's matter: domain/breakers.h.)
 *
 * Maintenance: no orders and no uploads are taken, and nothing is charged.
 * All else goes on: who is signed in sees what he has, what was ordered is
 * made, what Apple sold is credited.
 */

enum err switches_maintenance(struct db *db, bool *ret_is_on);

/* The caller holds a write transaction. */
enum err switches_set_maintenance(struct db *db, bool is_on, int64_t now_ms);

/* ERR_SERVICE_UNAVAILABLE during maintenance. */
enum err switches_check_open(struct db *db);

#endif
