/* SPDX-License-Identifier: MIT */
#include "provider/appleid_token.h"

#include "base/cleanup.h"
#include "base/uuid.h"
#include "provider/appleid_keys.h"
#include "wire/base64.h"
#include "wire/json_writer.h"
#include "wire/rs256.h"

/* As long as Apple's. */
#define SANDBOX_TOKEN_LIFE_S (INT64_C(24) * 3600)

enum appleid_verdict
appleid_sandbox_exchange(struct str code, struct buf *refresh_token)
{
	const struct uuid id = uuid_random();
	char text[UUID_TEXT_BYTES];

	if (str_equal(code, STR("used")))
		return APPLEID_BAD_TOKEN;
	uuid_format(&id, text);
	buf_appendf(refresh_token, "sandbox.%s", text);
	return APPLEID_OK;
}

static bool
sub_is_ok(struct str sub)
{
	for (size_t i = 0; i < sub.len; i++) {
		const char c = sub.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '.' || c == '_' ||
			c == '-'))
			return false;
	}
	return sub.len > 0 && sub.len <= APPLEID_SANDBOX_SUB_BYTES_MAX;
}

/* Each token is another, as with Apple, where it hashes the code. */
static void
write_c_hash(struct json_writer *w)
{
	uint8_t bytes[16];
	struct buf text;

	random_bytes(bytes, sizeof(bytes));
	buf_init(&text, BASE64_ENCODED_LENGTH(sizeof(bytes)));
	base64_encode(BASE64_URL, bytes, sizeof(bytes), &text);
	json_str(w, "c_hash", buf_str(&text));
	buf_free(&text);
}

static void
write_sandbox_claims(const struct config *config, struct str sub,
    struct str nonce, int64_t now_ms, struct buf *out)
{
	char email[APPLEID_SANDBOX_SUB_BYTES_MAX + 64], hex[65];
	struct json_writer w = json_writer(out);
	struct str client_id, rest;

	(void)str_cut(appleid_client_ids(config), ',', &client_id, &rest);
	(void)snprintf(email, sizeof(email), "%.*s@privaterelay.appleid.com",
	    (int)sub.len, sub.ptr);
	json_begin_object(&w, NULL);
	json_text(&w, "iss", APPLEID_URL);
	json_str(&w, "aud", str_trim(client_id));
	json_int64(&w, "exp", now_ms / 1000 + SANDBOX_TOKEN_LIFE_S);
	json_int64(&w, "iat", now_ms / 1000);
	json_str(&w, "sub", sub);
	if (nonce.len > 0) {
		appleid_hash_nonce(nonce, hex);
		json_text(&w, "nonce", hex);
	}
	write_c_hash(&w);
	json_text(&w, "email", email);
	json_text(&w, "email_verified", "true");
	json_text(&w, "is_private_email", "true");
	json_int64(&w, "auth_time", now_ms / 1000);
	json_bool(&w, "nonce_supported", true);
	json_int64(&w, "real_user_status", 2);
	json_end_object(&w);
}

bool
appleid_sandbox_token(const struct config *config, struct str sub,
    struct str nonce, int64_t now_ms, struct buf *out)
{
	CLEANUP(buf_free) struct buf pem = { 0 };
	CLEANUP(buf_free) struct buf claims = { 0 };
	bool ok;

	buf_init(&pem, RS256_KEY_FILE_BYTES_MAX);
	buf_init(&claims, 8192);
	if (!sub_is_ok(sub))
		return false;
	write_sandbox_claims(config, sub, nonce, now_ms, &claims);
	ok = !claims.failed && appleid_read_sandbox_key(config, &pem) &&
	    rs256_sign(buf_str(&pem), APPLEID_SANDBOX_KID, buf_str(&claims),
		out);
	if (pem.len > 0)
		explicit_bzero(pem.ptr, pem.len);
	return ok;
}
