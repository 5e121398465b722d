/* SPDX-License-Identifier: MIT */
#include "provider/fal.h"

#include <sodium.h>

#include "provider/fal_answer.h"
#include "wire/base64.h"

/* Ids and numbers as they come are far shorter. */
#define MESSAGE_BYTES_MAX ((size_t)2048)

/* The next key that can sign; skips those of other kinds. */
static const struct json *
next_key(const struct json *key, uint8_t bytes[crypto_sign_PUBLICKEYBYTES])
{
	for (; key != NULL; key = json_next(key)) {
		struct str kind, curve, x;
		size_t n;

		if (json_to_str(json_member(key, "kty"), &kind) &&
		    str_equal(kind, STR("OKP")) &&
		    json_to_str(json_member(key, "crv"), &curve) &&
		    str_equal(curve, STR("Ed25519")) &&
		    json_to_str(json_member(key, "x"), &x) &&
		    base64_decode(BASE64_URL, x, bytes,
			crypto_sign_PUBLICKEYBYTES, &n) &&
		    n == crypto_sign_PUBLICKEYBYTES)
			return key;
	}
	return NULL;
}

static const struct json *
keys_of(struct arena *arena, struct str key_set)
{
	if (key_set.len > FAL_KEY_SET_BYTES_MAX)
		return NULL;
	return json_first(json_member(json_parse(arena, key_set), "keys"));
}

bool
fal_has_keys(struct arena *arena, struct str key_set)
{
	uint8_t bytes[crypto_sign_PUBLICKEYBYTES];

	return next_key(keys_of(arena, key_set), bytes) != NULL;
}

static bool
is_in_time(struct str timestamp, int64_t now_s)
{
	int64_t then_s;

	return str_to_int64(timestamp, 0, INT32_MAX * INT64_C(4), &then_s) &&
	    then_s - now_s <= FAL_WEBHOOK_TOLERANCE_S &&
	    now_s - then_s <= FAL_WEBHOOK_TOLERANCE_S;
}

static void
write_message(const struct fal_webhook *w, struct buf *message)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char hex[2 * crypto_hash_sha256_BYTES + 1];

	(void)crypto_hash_sha256(hash, (const unsigned char *)w->body.ptr,
	    w->body.len);
	(void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	buf_append(message, w->request_id);
	buf_append_char(message, '\n');
	buf_append(message, w->user_id);
	buf_append_char(message, '\n');
	buf_append(message, w->timestamp);
	buf_append_char(message, '\n');
	buf_append(message, str_from(hex));
}

static bool
is_signed_by_any(struct arena *arena, struct str message, struct str key_set,
    const uint8_t signature[crypto_sign_BYTES])
{
	uint8_t bytes[crypto_sign_PUBLICKEYBYTES];
	const struct json *key = keys_of(arena, key_set);

	while ((key = next_key(key, bytes)) != NULL) {
		if (crypto_sign_verify_detached(signature,
			(const unsigned char *)message.ptr, message.len,
			bytes) == 0)
			return true;
		key = json_next(key);
	}
	return false;
}

bool
fal_webhook_is_signed(struct arena *arena, const struct fal_webhook *webhook,
    struct str key_set, const char *user_id, int64_t now_s)
{
	uint8_t signature[crypto_sign_BYTES];
	struct buf message;
	bool ok;

	if (webhook->request_id.len == 0 || webhook->user_id.len == 0 ||
	    webhook->signature.len != 2 * sizeof(signature) ||
	    sodium_hex2bin(signature, sizeof(signature), webhook->signature.ptr,
		webhook->signature.len, NULL, NULL, NULL) != 0 ||
	    !is_in_time(webhook->timestamp, now_s))
		return false;
	if (user_id[0] != '\0' &&
	    !str_equal(webhook->user_id, str_from(user_id)))
		return false;
	buf_init(&message, MESSAGE_BYTES_MAX);
	write_message(webhook, &message);
	ok = !message.failed &&
	    is_signed_by_any(arena, buf_str(&message), key_set, signature);
	buf_free(&message);
	return ok;
}

/* "Invalid status code: 422" */
static int
status_in(const struct json *body)
{
	static const struct str words = { "Invalid status code: ", 21 };
	struct str text;
	int64_t status;

	if (!json_to_str(json_member(body, "error"), &text) ||
	    !str_starts_with(text, words))
		return 0;
	text.ptr += words.len;
	text.len -= words.len;
	return str_to_int64(text, 100, 599, &status) ? (int)status : 0;
}

bool
fal_webhook_read(struct arena *arena, const struct fal_webhook *webhook,
    struct provider_status *ret_status)
{
	struct provider_status status = {
		.state = PROVIDER_ENDED,
		.queue_position = -1,
	};
	const struct json *body, *payload;
	struct fal_context context = { 0 };
	struct str id, word;

	if (webhook->body.len > FAL_BODY_BYTES_MAX)
		return false;
	body = json_parse(arena, webhook->body);
	if (!json_to_str(json_member(body, "request_id"), &id) ||
	    !str_equal(id, webhook->request_id) ||
	    !json_to_str(json_member(body, "status"), &word))
		return false;
	payload = json_member(body, "payload");
	context.http_status = status_in(body);
	if (str_equal(word, STR("OK")) && fal_read_video(payload, &status))
		status.state = PROVIDER_DONE;
	else if (str_equal(word, STR("ERROR")) &&
	    fal_read_error(payload, &context, &status.error))
		status.state = PROVIDER_FAILED;
	*ret_status = status;
	return true;
}
