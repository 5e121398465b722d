/* SPDX-License-Identifier: MIT */
#ifndef REALTIME_WATCHDOG_H
#define REALTIME_WATCHDOG_H

/*
 * The supervisor's watchdog, as sd_notify(3) tells it: who does not say for
 * WatchdogSec that its loop goes round is killed and started anew.
 */

/* The way to the supervisor; -1 when none watches. */
int watchdog_open(void);

/* The loop went round.  A word that cannot be said now is said next time. */
void watchdog_feed(int fd);

#endif
