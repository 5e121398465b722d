/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPLEID_TOKEN_H
#define PROVIDER_APPLEID_TOKEN_H

#include "provider/appleid.h"
#include "wire/fetch.h"

/*
 * The calls we make to Apple about a user's consent, and their stand-in;
 * provider/appleid.h is the door.
 */

/* The ids of our apps, separated by commas; "" when there is none. */
struct str appleid_client_ids(const struct config *config);

/* The lower-case hex SHA-256 of a raw nonce, as a token holds it. */
void appleid_hash_nonce(struct str nonce, char hex[65]);

struct appleid_grant {
	struct str refresh_token;
	struct str id_token; /* not checked yet */
};

/* Redeems a code.  The texts live in the arena. */
enum appleid_verdict appleid_request_grant(const struct config *config,
    struct arena *arena, const char *client_id, struct str code, int64_t now_ms,
    struct appleid_grant *ret_grant);

/*
 * What Apple's answers mean.  A 400 is final: the code was used, is too old,
 * or our secret is wrong.
 */
enum appleid_verdict appleid_grant_answer(struct arena *arena,
    const struct fetch_response *response, struct appleid_grant *ret_grant);

/* The stand-in takes any code that is not "used". */
enum appleid_verdict
appleid_sandbox_exchange(struct str code, struct buf *refresh_token);

#endif
