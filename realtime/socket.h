/* SPDX-License-Identifier: MIT */
#ifndef REALTIME_SOCKET_H
#define REALTIME_SOCKET_H

#include "engine.h"
#include "wire/phoenix.h"

/*
 * Supabase's websocket: several channels over one connection, each with a
 * token of its own, each hearing of rows of video_jobs that belong to the
 * token's user.  A channel without a user is joined and hears nothing.
 */

/* A client's message: a join with a long token and sixteen wishes. */
#define SOCKET_FRAME_BYTES_MAX ((size_t)64 * 1024)

/* Screens of one app. */
#define SOCKET_CHANNELS_MAX 32

/* Codes of RFC 6455, section 7.4.1. */
enum {
	CLOSE_GOING_AWAY = 1001,
	CLOSE_UNSUPPORTED = 1003,
	CLOSE_INVALID = 1007,
	CLOSE_POLICY = 1008,
	CLOSE_TOO_BIG = 1009,
};

void socket_open(struct conn *conn, enum phoenix_version version);
void socket_free(struct conn *conn);

/* A part of a message arrived. */
void socket_receive(struct engine *engine, struct conn *conn, struct str part,
    bool is_binary, bool is_last);

/* Tells a channel of an event of its user's. */
void socket_tell(struct watch *watch, struct news *news);

/* Closes a channel, and says why. */
void socket_end_watch(struct watch *watch, const char *message);

/* Closes the whole connection: another one takes its place. */
void socket_drop(struct conn *conn);

/* Expired tokens, and peers that have fallen silent. */
void socket_tick(struct engine *engine, struct conn *conn);

#endif
