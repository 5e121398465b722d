/* SPDX-License-Identifier: MIT */
#ifndef APP_TICKETS_H
#define APP_TICKETS_H

#include "app/tokens.h"

/*
 * Tickets: let a client that cannot set headers (EventSource) open one stream.
 *
 * A ticket is a JWT of ours for another audience than access tokens, so that
 * neither passes for the other.  It stands in for the access token it was
 * bought with, ends with it, and is taken once: whoever takes tickets keeps
 * the ids of those that he took as long as they live, and refuses all that
 * are older than himself.
 */

/* From the answer to the use of it: a bad network, not a coffee break. */
#define TICKET_LIFE_MS INT64_C(30000)

struct ticket {
	struct uuid id;
	int64_t made_at_ms;
	int64_t expires_at_ms;
	/* What it stands in for. */
	struct access_claims claims;
};

void tickets_write(const struct keys *keys, const struct access_claims *claims,
    int64_t now_ms, struct buf *out);

enum token_verdict tickets_read(const struct keys *keys, struct arena *arena,
    struct str text, int64_t now_ms, struct ticket *ret_ticket);

#endif
