/* SPDX-License-Identifier: MIT */
#include "app/tokens.h"
#include "wire/base64.h"

#include <sodium.h>

/* Clocks of our own machines differ by less than this. */
#define TOKEN_LEEWAY_S 60

#define REFRESH_MAC_BYTES 16
#define REFRESH_SUM_BYTES 4
#define REFRESH_VARINT_BYTES_MAX 9
#define REFRESH_BYTES_MAX \
	(1 + UUID_BYTES + REFRESH_VARINT_BYTES_MAX + REFRESH_MAC_BYTES + \
	    REFRESH_SUM_BYTES)

static bool
is_for_us(const struct json *claims, const char *public_url)
{
	struct str text;
	const size_t base = strlen(public_url);

	if (!json_to_str(json_member(claims, "iss"), &text) ||
	    !str_starts_with(text, str_from(public_url)) ||
	    !str_equal((struct str){ text.ptr + base, text.len - base },
		STR("/auth/v1")))
		return false;
	return json_to_str(json_member(claims, "aud"), &text) &&
	    str_equal(text, STR("authenticated")) &&
	    json_to_str(json_member(claims, "role"), &text) &&
	    str_equal(text, STR("authenticated"));
}

/* A token that we have signed, whatever the time. */
static bool
read_signed(const struct app *app, struct arena *arena, struct str token,
    struct access_claims *c)
{
	const struct json *claims;
	struct buf text;
	bool ok;

	buf_init(&text, JWT_BYTES_MAX);
	ok = jwt_verify(&app->keys.jwt, token, &text);
	claims = ok ? json_parse(arena, buf_str(&text)) : NULL;
	buf_free(&text);
	return claims != NULL &&
	    is_for_us(claims, config_text(&app->config, CONFIG_PUBLIC_URL)) &&
	    json_to_uuid(json_member(claims, "sub"), &c->user_id) &&
	    json_to_uuid(json_member(claims, "session_id"), &c->session_id) &&
	    json_to_int64(json_member(claims, "exp"), 0, JSON_INT_MAX,
		&c->expires_at_s) &&
	    json_to_int64(json_member(claims, "iat"), 0, JSON_INT_MAX,
		&c->issued_at_s);
}

/*
 * Tokens that were read before.  That we signed one, and what it says, depends
 * on its bytes and on what a process has from its start: it stays so.  Its
 * times, and whether its session lives, are looked at each time.
 */
#define KNOWN_MAX 2048

struct known {
	uint8_t hash[crypto_generichash_BYTES];
	struct access_claims claims;
};

/* The place of a token, which may be another's.  Nobody can aim at one. */
static struct known *
find_known(struct str token, uint8_t hash[crypto_generichash_BYTES])
{
	static uint8_t key[crypto_generichash_KEYBYTES];
	static struct known known[KNOWN_MAX];
	static bool has_key;
	uint16_t place;

	if (!has_key)
		crypto_generichash_keygen(key);
	has_key = true;
	(void)crypto_generichash(hash, crypto_generichash_BYTES,
	    (const uint8_t *)token.ptr, token.len, key, sizeof(key));
	memcpy(&place, hash, sizeof(place));
	return &known[place % KNOWN_MAX];
}

enum token_verdict
tokens_read_access(const struct app *app, struct arena *arena, struct str token,
    int64_t now_ms, struct access_claims *ret_claims)
{
	const int64_t now_s = now_ms / 1000;
	uint8_t hash[crypto_generichash_BYTES];
	struct known *known = find_known(token, hash);
	struct access_claims c;

	if (memcmp(known->hash, hash, sizeof(hash)) == 0)
		c = known->claims;
	else if (!read_signed(app, arena, token, &c))
		return TOKEN_BAD;
	else {
		memcpy(known->hash, hash, sizeof(hash));
		known->claims = c;
	}
	if (c.issued_at_s > now_s + TOKEN_LEEWAY_S)
		return TOKEN_BAD;
	*ret_claims = c;
	return c.expires_at_s <= now_s ? TOKEN_EXPIRED : TOKEN_OK;
}

static void
write_claims(const char *public_url, const struct session *session,
    int64_t ttl_s, int64_t now_ms, struct buf *out)
{
	const int64_t now_s = now_ms / 1000;
	struct json_writer w = json_writer(out);
	char issuer[CONFIG_VALUE_BYTES_MAX + 16];

	(void)snprintf(issuer, sizeof(issuer), "%s/auth/v1", public_url);
	json_begin_object(&w, NULL);
	json_text(&w, "iss", issuer);
	json_uuid(&w, "sub", &session->user_id);
	json_text(&w, "aud", "authenticated");
	json_text(&w, "role", "authenticated");
	json_int64(&w, "iat", now_s);
	json_int64(&w, "exp", now_s + ttl_s);
	json_uuid(&w, "session_id", &session->id);
	json_bool(&w, "is_anonymous", session->is_guest);
	json_text(&w, "aal", "aal1");
	json_begin_array(&w, "amr");
	json_begin_object(&w, NULL);
	json_text(&w, "method", session->is_oauth ? "oauth" : "anonymous");
	json_int64(&w, "timestamp", session->created_at_ms / 1000);
	json_end_object(&w);
	json_end_array(&w);
	json_text(&w, "email", "");
	json_text(&w, "phone", "");
	json_begin_object(&w, "app_metadata");
	json_end_object(&w);
	json_begin_object(&w, "user_metadata");
	json_end_object(&w);
	json_end_object(&w);
}

void
tokens_write_access(const struct keys *keys, const char *public_url,
    const struct session *session, int64_t ttl_s, int64_t now_ms,
    struct buf *out)
{
	struct buf claims;

	buf_init(&claims, JWT_BYTES_MAX);
	write_claims(public_url, session, ttl_s, now_ms, &claims);
	jwt_sign(&keys->jwt, buf_str(&claims), out);
	buf_free(&claims);
}

/* Little-endian groups of seven bits, the shortest form only. */
static size_t
write_varint(int64_t value, uint8_t *bytes)
{
	size_t n = 0;
	uint64_t rest = (uint64_t)value;

	do {
		bytes[n++] =
		    (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
		rest >>= 7;
	} while (rest > 0);
	return n;
}

static bool
read_varint(const uint8_t *bytes, size_t n, int64_t *ret_value)
{
	uint64_t value = 0;

	if (n == 0 || n > REFRESH_VARINT_BYTES_MAX ||
	    (n > 1 && bytes[n - 1] == 0))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (((bytes[i] & 0x80) != 0) != (i + 1 < n))
			return false;
		value |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
	}
	*ret_value = (int64_t)value;
	return true;
}

/* What the MAC covers: version, session, counter. */
static size_t
refresh_prefix(const struct uuid *session_id, int64_t counter,
    uint8_t bytes[REFRESH_BYTES_MAX])
{
	bytes[0] = 0;
	memcpy(bytes + 1, session_id->bytes, UUID_BYTES);
	return 1 + UUID_BYTES + write_varint(counter, bytes + 1 + UUID_BYTES);
}

static void
refresh_mac(const struct keys *keys, const struct session *session,
    int64_t counter, uint8_t mac[REFRESH_MAC_BYTES])
{
	uint8_t seed[SESSION_SALT_BYTES + UUID_BYTES];
	uint8_t key[crypto_auth_hmacsha256_BYTES];
	uint8_t full[crypto_auth_hmacsha256_BYTES];
	uint8_t prefix[REFRESH_BYTES_MAX];
	const size_t n = refresh_prefix(&session->id, counter, prefix);

	memcpy(seed, session->refresh_salt, SESSION_SALT_BYTES);
	memcpy(seed + SESSION_SALT_BYTES, session->id.bytes, UUID_BYTES);
	(void)crypto_auth_hmacsha256(key, seed, sizeof(seed), keys->refresh);
	(void)crypto_auth_hmacsha256(full, prefix, n, key);
	memcpy(mac, full, REFRESH_MAC_BYTES);
	sodium_memzero(key, sizeof(key));
}

void
tokens_write_refresh(const struct keys *keys, const struct session *session,
    struct buf *out)
{
	uint8_t token[REFRESH_BYTES_MAX];
	uint8_t sum[crypto_hash_sha256_BYTES];
	size_t n =
	    refresh_prefix(&session->id, session->refresh_counter, token);

	refresh_mac(keys, session, session->refresh_counter, token + n);
	n += REFRESH_MAC_BYTES;
	(void)crypto_hash_sha256(sum, token, n);
	memcpy(token + n, sum, REFRESH_SUM_BYTES);
	base64_encode(BASE64_URL, token, n + REFRESH_SUM_BYTES, out);
}

bool
tokens_read_refresh(struct str text, struct refresh_claims *ret_claims)
{
	uint8_t token[BASE64_DECODED_BYTES_MAX(
	    BASE64_ENCODED_LENGTH(REFRESH_BYTES_MAX))];
	uint8_t sum[crypto_hash_sha256_BYTES];
	struct refresh_claims c;
	size_t n;

	if (!base64_decode(BASE64_URL, text, token, sizeof(token), &n) ||
	    n < 1 + UUID_BYTES + 1 + REFRESH_MAC_BYTES + REFRESH_SUM_BYTES ||
	    token[0] != 0)
		return false;
	n -= REFRESH_SUM_BYTES;
	(void)crypto_hash_sha256(sum, token, n);
	if (sodium_memcmp(sum, token + n, REFRESH_SUM_BYTES) != 0)
		return false;
	n -= REFRESH_MAC_BYTES;
	memcpy(c.mac, token + n, REFRESH_MAC_BYTES);
	memcpy(c.session_id.bytes, token + 1, UUID_BYTES);
	if (!read_varint(token + 1 + UUID_BYTES, n - 1 - UUID_BYTES,
		&c.counter))
		return false;

	*ret_claims = c;
	return true;
}

bool
tokens_check_refresh(const struct keys *keys, const struct session *session,
    const struct refresh_claims *claims)
{
	uint8_t mac[REFRESH_MAC_BYTES];

	refresh_mac(keys, session, claims->counter, mac);
	return sodium_memcmp(mac, claims->mac, sizeof(mac)) == 0;
}

void
tokens_write_session(const struct app *app, const struct session *session,
    int64_t now_ms, struct json_writer *json)
{
	const int64_t ttl_s =
	    config_number(&app->config, CONFIG_ACCESS_TOKEN_TTL_S);
	struct buf token;

	buf_init(&token, JWT_BYTES_MAX);
	tokens_write_access(&app->keys,
	    config_text(&app->config, CONFIG_PUBLIC_URL), session, ttl_s,
	    now_ms, &token);
	json_str(json, "access_token", buf_str(&token));
	buf_clear(&token);
	tokens_write_refresh(&app->keys, session, &token);
	json_str(json, "refresh_token", buf_str(&token));
	buf_free(&token);
	json_int64(json, "expires_in", ttl_s);
	json_int64(json, "expires_at", now_ms / 1000 + ttl_s);
	json_text(json, "token_type", "bearer");
}
