/* SPDX-License-Identifier: MIT */
#include "provider/appleid.h"

#include "base/cleanup.h"
#include "provider/appleid_keys.h"
#include "provider/appleid_token.h"
#include "wire/json.h"
#include "wire/rs256.h"

#include <sodium.h>

#define HASH_HEX_BYTES (crypto_hash_sha256_BYTES * 2 + 1)

/* Clocks of others may be ahead of ours by this. */
#define LEEWAY_S 60

bool
appleid_is_configured(const struct config *config)
{
	return appleid_client_ids(config).len > 0;
}

/* Is `audience` one of our apps?  Then it is copied. */
static bool
find_client_id(const struct config *config, struct str audience,
    char client_id[APPLEID_TEXT_BYTES])
{
	struct str ids = appleid_client_ids(config);

	while (ids.len > 0) {
		struct str id, rest;

		(void)str_cut(ids, ',', &id, &rest);
		ids = rest;
		id = str_trim(id);
		if (id.len > 0 && str_equal(id, audience))
			return str_copy(audience, client_id,
			    APPLEID_TEXT_BYTES);
	}
	return false;
}

static bool
is_from_apple(const struct json *claims)
{
	struct str issuer;

	return json_to_str(json_member(claims, "iss"), &issuer) &&
	    (str_equal(issuer, STR(APPLEID_URL)) ||
		str_equal(issuer, STR("https://account.apple.com")));
}

static enum appleid_verdict
check_signature(const struct config *config, struct arena *arena,
    struct str token, struct str *ret_claims)
{
	CLEANUP(buf_free) struct buf keys = { 0 };
	enum rs256_verdict verdict;

	buf_init(&keys, RS256_KEY_SET_BYTES_MAX);
	if (!appleid_keys(config, arena, false, &keys))
		return APPLEID_UNAVAILABLE;
	verdict = rs256_verify(arena, buf_str(&keys), token, ret_claims);
	if (verdict == RS256_UNKNOWN_KEY &&
	    appleid_keys(config, arena, true, &keys))
		verdict =
		    rs256_verify(arena, buf_str(&keys), token, ret_claims);
	return verdict == RS256_OK ? APPLEID_OK : APPLEID_BAD_TOKEN;
}

/* What both kinds of tokens have: signature, issuer, audience, times. */
static enum appleid_verdict
check_token(const struct config *config, struct arena *arena, struct str token,
    int64_t now_ms, const struct json **ret_claims,
    char client_id[APPLEID_TEXT_BYTES], int64_t *ret_expires_at_ms)
{
	const int64_t now_s = now_ms / 1000;
	int64_t expires_at_s, issued_at_s;
	enum appleid_verdict verdict;
	const struct json *claims;
	struct str text, audience;

	if (!rs256_peek(arena, token, &text))
		return APPLEID_BAD_TOKEN;
	claims = json_parse(arena, text);
	if (!json_is_object(claims))
		return APPLEID_BAD_TOKEN;
	if (!is_from_apple(claims))
		return APPLEID_WRONG_ISSUER;
	verdict = check_signature(config, arena, token, &text);
	if (verdict != APPLEID_OK)
		return verdict;
	if (!json_to_int64(json_member(claims, "exp"), 0, JSON_INT_MAX / 1000,
		&expires_at_s) ||
	    !json_to_int64(json_member(claims, "iat"), 0, JSON_INT_MAX,
		&issued_at_s) ||
	    expires_at_s <= now_s || issued_at_s > now_s + LEEWAY_S)
		return APPLEID_BAD_TOKEN;
	if (!json_to_str(json_member(claims, "aud"), &audience) ||
	    !find_client_id(config, audience, client_id))
		return APPLEID_WRONG_AUDIENCE;
	*ret_claims = claims;
	*ret_expires_at_ms = expires_at_s * 1000;
	return APPLEID_OK;
}

/* Apple writes its flags as booleans or as words. */
static bool
is_true(const struct json *value)
{
	struct str text;
	bool flag;

	if (json_to_bool(value, &flag))
		return flag;
	return json_to_str(value, &text) && str_equal(text, STR("true"));
}

static bool
copy_text(const struct json *value, char text[APPLEID_TEXT_BYTES])
{
	struct str found;

	return json_to_str(value, &found) && found.len > 0 &&
	    str_copy(found, text, APPLEID_TEXT_BYTES);
}

void
appleid_hash_nonce(struct str nonce, char hex[HASH_HEX_BYTES])
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, (const unsigned char *)nonce.ptr,
	    nonce.len);
	(void)sodium_bin2hex(hex, HASH_HEX_BYTES, hash, sizeof(hash));
}

/* Both have one, and it is the same, or neither has. */
static bool
nonce_fits(const struct json *claim, struct str nonce)
{
	char hex[HASH_HEX_BYTES];
	struct str claimed;

	if (nonce.len == 0)
		return claim == NULL || json_is_null(claim);
	appleid_hash_nonce(nonce, hex);
	return json_to_str(claim, &claimed) &&
	    str_equal(claimed, str_from(hex));
}

static enum appleid_verdict
check_identity(const struct config *config, struct arena *arena,
    struct str token, int64_t now_ms, struct appleid_identity *identity,
    const struct json **ret_nonce)
{
	enum appleid_verdict verdict;
	const struct json *claims;

	*identity = (struct appleid_identity){ 0 };
	verdict = check_token(config, arena, token, now_ms, &claims,
	    identity->client_id, &identity->expires_at_ms);
	if (verdict != APPLEID_OK)
		return verdict;
	if (!copy_text(json_member(claims, "sub"), identity->sub))
		return APPLEID_BAD_TOKEN;
	if (is_true(json_member(claims, "email_verified")))
		(void)copy_text(json_member(claims, "email"), identity->email);
	*ret_nonce = json_member(claims, "nonce");
	return APPLEID_OK;
}

enum appleid_verdict
appleid_verify(const struct config *config, struct arena *arena,
    struct str token, struct str nonce, int64_t now_ms,
    struct appleid_identity *ret_identity)
{
	struct appleid_identity identity;
	enum appleid_verdict verdict;
	const struct json *claim;

	verdict =
	    check_identity(config, arena, token, now_ms, &identity, &claim);
	if (verdict != APPLEID_OK)
		return verdict;
	if (!nonce_fits(claim, nonce))
		return APPLEID_BAD_NONCE;
	identity.has_nonce = nonce.len > 0;
	*ret_identity = identity;
	return APPLEID_OK;
}

static enum appleid_event
event_of(const struct json *type)
{
	static const struct {
		const char *name;
		enum appleid_event event;
	} events[] = {
		{ "email-disabled", APPLEID_EMAIL_DISABLED },
		{ "email-enabled", APPLEID_EMAIL_ENABLED },
		{ "consent-revoked", APPLEID_CONSENT_REVOKED },
		/* Apple's pages disagree about the spelling. */
		{ "account-delete", APPLEID_ACCOUNT_DELETED },
		{ "account-deleted", APPLEID_ACCOUNT_DELETED },
	};
	struct str name;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (json_to_str(type, &name) &&
		    str_equal(name, str_from(events[i].name)))
			return events[i].event;
	return APPLEID_OTHER_EVENT;
}

enum appleid_verdict
appleid_verify_notification(const struct config *config, struct arena *arena,
    struct str token, int64_t now_ms,
    struct appleid_notification *ret_notification)
{
	struct appleid_notification n = { 0 };
	char client_id[APPLEID_TEXT_BYTES];
	const struct json *claims, *events;
	enum appleid_verdict verdict;
	struct str text;

	verdict = check_token(config, arena, token, now_ms, &claims, client_id,
	    &n.expires_at_ms);
	if (verdict != APPLEID_OK)
		return verdict;
	/* One event, in spite of its name; usually as JSON within JSON. */
	events = json_member(claims, "events");
	if (json_to_str(events, &text))
		events = json_parse(arena, text);
	if (!copy_text(json_member(claims, "jti"), n.id) ||
	    !json_is_object(events) ||
	    !copy_text(json_member(events, "sub"), n.sub))
		return APPLEID_BAD_TOKEN;
	n.event = event_of(json_member(events, "type"));
	(void)copy_text(json_member(events, "email"), n.email);
	*ret_notification = n;
	return APPLEID_OK;
}

enum appleid_verdict
appleid_exchange(const struct config *config, struct arena *arena,
    const struct appleid_identity *identity, struct str code, int64_t now_ms,
    struct buf *refresh_token)
{
	struct appleid_identity owner;
	enum appleid_verdict verdict;
	struct appleid_grant grant;
	const struct json *nonce;

	if (appleid_is_stand_in(config))
		return appleid_sandbox_exchange(code, refresh_token);
	verdict = appleid_request_grant(config, arena, identity->client_id,
	    code, now_ms, &grant);
	if (verdict != APPLEID_OK)
		return verdict;
	verdict = check_identity(config, arena, grant.id_token, now_ms, &owner,
	    &nonce);
	if (verdict == APPLEID_OK && strcmp(owner.sub, identity->sub) != 0)
		verdict = APPLEID_BAD_TOKEN;
	if (verdict == APPLEID_OK)
		buf_append(refresh_token, grant.refresh_token);
	return verdict;
}
