/* SPDX-License-Identifier: MIT */
#ifndef APP_NUDGE_H
#define APP_NUDGE_H

#include "base/config.h"

/*
 * Nudges: one datagram that says "look now".  It carries nothing and may get
 * lost: whoever is nudged looks by itself, only a little later.
 */

#define NUDGE_WORKER "worker.sock" /* there is work */
#define NUDGE_REALTIME "realtime-nudge.sock" /* there are events */

/* A socket for sending; -1 when there is none to be had. */
int nudge_sender(void);
void nudge_send(int fd, const struct config *config, const char *socket_name);

/*
 * The socket at which nudges arrive; one that is there is replaced.  -1 with
 * errno set.
 */
int nudge_receiver(const struct config *config, const char *socket_name);

/* Takes all that have arrived. */
void nudge_swallow(int fd);

#endif
