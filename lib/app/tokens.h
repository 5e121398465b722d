/* SPDX-License-Identifier: MIT */
#ifndef APP_TOKENS_H
#define APP_TOKENS_H

#include "app/app.h"
#include "domain/sessions.h"

/*
 * Tokens: what a client holds of its session.
 *
 * The access token is a JWT (wire/jwt.h) that names the user and the session;
 * it is believed only together with a live row of sessions.  The refresh
 * token (version 2 of GoTrue's scheme) is
 *
 *	base64url( 0 | session id, 16 | counter, varint | MAC, 16 | sum, 4 )
 *
 * The MAC's key is made from a key outside of the database and the session's
 * salt, so that a copy of the database yields no token.  The sum (of SHA-256)
 * tells a torn token from a forged one without any key.
 */

/* What an access token says, after its signature and times were checked. */
struct access_claims {
	struct uuid user_id;
	struct uuid session_id;
	int64_t issued_at_s;
	int64_t expires_at_s;
};

enum token_verdict { TOKEN_OK, TOKEN_EXPIRED, TOKEN_BAD };

/*
 * What a token says, unless it is TOKEN_BAD.  Remembers those that it has read:
 * keys and configuration must be the same as long as the process lives.
 */
enum token_verdict
tokens_read_access(const struct app *app, struct arena *arena, struct str token,
    int64_t now_ms, struct access_claims *ret_claims);

/* Appends an access token that lives ttl_s seconds. */
void tokens_write_access(const struct keys *keys, const char *public_url,
    const struct session *session, int64_t ttl_s, int64_t now_ms,
    struct buf *out);

struct refresh_claims {
	struct uuid session_id;
	int64_t counter;
	uint8_t mac[16];
};

/* Takes a refresh token apart; its MAC is not checked yet. */
bool tokens_read_refresh(struct str token, struct refresh_claims *ret_claims);

/* Was it us who gave out this token of this session? */
bool tokens_check_refresh(const struct keys *keys,
    const struct session *session, const struct refresh_claims *claims);

void tokens_write_refresh(const struct keys *keys,
    const struct session *session, struct buf *out);

/*
 * Writes access_token, refresh_token, expires_in, expires_at and token_type
 * into the answer's present object.
 */
void tokens_write_session(const struct app *app, const struct session *session,
    int64_t now_ms, struct json_writer *json);

#endif
