/* SPDX-License-Identifier: MIT */
#include "app/tickets.h"

#define TICKET_AUDIENCE "stream"

void
tickets_write(const struct keys *keys, const struct access_claims *claims,
    int64_t now_ms, struct buf *out)
{
	const struct uuid id = uuid_random();
	struct json_writer w;
	struct buf text;

	buf_init(&text, JWT_BYTES_MAX);
	w = json_writer(&text);
	json_begin_object(&w, NULL);
	json_text(&w, "aud", TICKET_AUDIENCE);
	json_uuid(&w, "jti", &id);
	json_int64(&w, "iat_ms", now_ms);
	json_uuid(&w, "sub", &claims->user_id);
	json_uuid(&w, "session_id", &claims->session_id);
	json_int64(&w, "access_exp", claims->expires_at_s);
	json_end_object(&w);
	jwt_sign(&keys->jwt, buf_str(&text), out);
	buf_free(&text);
}

static const struct json *
read_claims(const struct keys *keys, struct arena *arena, struct str text)
{
	const struct json *claims = NULL;
	struct str audience;
	struct buf decoded;

	buf_init(&decoded, JWT_BYTES_MAX);
	if (jwt_verify(&keys->jwt, text, &decoded))
		claims = json_parse(arena, buf_str(&decoded));
	buf_free(&decoded);
	return json_to_str(json_member(claims, "aud"), &audience) &&
		str_equal(audience, STR(TICKET_AUDIENCE)) ?
	    claims :
	    NULL;
}

enum token_verdict
tickets_read(const struct keys *keys, struct arena *arena, struct str text,
    int64_t now_ms, struct ticket *ret_ticket)
{
	const struct json *claims = read_claims(keys, arena, text);
	struct ticket t;

	if (!json_to_uuid(json_member(claims, "jti"), &t.id) ||
	    !json_to_int64(json_member(claims, "iat_ms"), 0, JSON_INT_MAX,
		&t.made_at_ms) ||
	    !json_to_uuid(json_member(claims, "sub"), &t.claims.user_id) ||
	    !json_to_uuid(json_member(claims, "session_id"),
		&t.claims.session_id) ||
	    !json_to_int64(json_member(claims, "access_exp"), 0, JSON_INT_MAX,
		&t.claims.expires_at_s))
		return TOKEN_BAD;
	t.expires_at_ms = t.made_at_ms + TICKET_LIFE_MS;
	if (t.expires_at_ms <= now_ms || t.claims.expires_at_s <= now_ms / 1000)
		return TOKEN_EXPIRED;

	*ret_ticket = t;
	return TOKEN_OK;
}
