/* SPDX-License-Identifier: MIT */
#ifndef REALTIME_POWER_H
#define REALTIME_POWER_H

/*
 * What this process never needs: a root's powers, programs with more rights
 * than its own, a core file with keys in it.  It wants every descriptor that
 * it may have, one a phone.
 */
void power_give_up(void);

#endif
