/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPLEID_H
#define PROVIDER_APPLEID_H

#include "base/arena.h"
#include "base/config.h"
#include "provider/provider.h"

/*
 * Sign in with Apple: what an identity token or a notification says, once it
 * is certain that Apple says it to us and now.
 *
 * Tokens are RS256 by Apple's published keys (provider/appleid_keys.h).  In
 * sandbox mode without RENDIO_APPLEID_URL a stand-in with a key of its own
 * signs instead, and its tokens pass the same checks.
 *
 * What checks or exchanges may wait for the network, at most 5 seconds.
 */

enum appleid_verdict {
	APPLEID_OK,
	APPLEID_WRONG_ISSUER, /* not Apple's at all */
	APPLEID_BAD_TOKEN, /* form, signature, time, subject */
	APPLEID_WRONG_AUDIENCE, /* for an app that is not ours */
	APPLEID_BAD_NONCE,
	APPLEID_UNAVAILABLE, /* Apple's keys cannot be had; it is logged */
};

#define APPLEID_TEXT_BYTES 256

struct appleid_identity {
	char sub[APPLEID_TEXT_BYTES]; /* who, for this developer team */
	char email[APPLEID_TEXT_BYTES]; /* "" unless Apple has verified it */
	char client_id[APPLEID_TEXT_BYTES]; /* the app it was made for */
	bool has_nonce;
	int64_t expires_at_ms;
};

/* Is there an app whose users may sign in? */
bool appleid_is_configured(const struct config *config);

/*
 * Checks an identity token.  `nonce` is the raw value the client drew, "" for
 * none: the token must hold the hex SHA-256 of exactly that, or none.
 */
enum appleid_verdict appleid_verify(const struct config *config,
    struct arena *arena, struct str token, struct str nonce, int64_t now_ms,
    struct appleid_identity *ret_identity);

enum appleid_event {
	APPLEID_EMAIL_DISABLED, /* mail to the relay address gets lost */
	APPLEID_EMAIL_ENABLED,
	APPLEID_CONSENT_REVOKED,
	APPLEID_ACCOUNT_DELETED,
	APPLEID_OTHER_EVENT, /* of a kind that did not exist yet */
};

struct appleid_notification {
	enum appleid_event event;
	char id[APPLEID_TEXT_BYTES]; /* jti: the same when it comes again */
	char sub[APPLEID_TEXT_BYTES];
	char email[APPLEID_TEXT_BYTES]; /* "" = none */
	int64_t expires_at_ms;
};

/* Checks a server-to-server notification. */
enum appleid_verdict appleid_verify_notification(const struct config *config,
    struct arena *arena, struct str token, int64_t now_ms,
    struct appleid_notification *ret_notification);

/*
 * Redeems an authorization code, which works once and for five minutes, and
 * appends the refresh token that stands for the user's consent.  BAD_TOKEN
 * when Apple refuses the code, or gave it to somebody else than `sub`.
 */
enum appleid_verdict appleid_exchange(const struct config *config,
    struct arena *arena, const struct appleid_identity *identity,
    struct str code, int64_t now_ms, struct buf *refresh_token);

/*
 * Does Apple take the secrets that our key signs for each of our apps?
 * BAD_TOKEN when it refuses one: ret_client_id is the first that is not OK.
 * Nothing comes of it, because the code shown with it never was one.
 */
enum appleid_verdict
appleid_try_key(const struct config *config, struct arena *arena,
    int64_t now_ms, char ret_client_id[APPLEID_TEXT_BYTES]);

/*
 * Taking a user's consent back, for whoever sends the call: false when no key
 * signs it, which is logged.  With the stand-in there is nobody to tell.
 */
bool appleid_revoke_call(const struct config *config, const char *client_id,
    struct str refresh_token, int64_t now_ms, struct provider_call *call);

/*
 * OK means that the token is dead, perhaps was before; BAD_TOKEN that Apple
 * refused our request.  What is not OK is logged.
 */
enum appleid_verdict
appleid_revoke_answer(const struct fetch_response *response);

#define APPLEID_SANDBOX_SUB_BYTES_MAX ((size_t)64)

/*
 * Appends an identity token of the stand-in for the pretended person `sub`
 * ([A-Za-z0-9._-]); a raw nonce of "" leaves the nonce out.  False for another
 * sub, or when the stand-in has no key.
 */
bool appleid_sandbox_token(const struct config *config, struct str sub,
    struct str nonce, int64_t now_ms, struct buf *out);

#endif
