/* SPDX-License-Identifier: MIT */
#include "app/apple.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "domain/upstreams.h"

#include <sodium.h>

_Static_assert(KEY_BYTES == crypto_secretbox_KEYBYTES, "a key seals");

/* Apple's refresh tokens have about 70 bytes. */
#define REFRESH_BYTES_MAX ((size_t)2048)
_Static_assert(REFRESH_BYTES_MAX + crypto_secretbox_NONCEBYTES +
	    crypto_secretbox_MACBYTES <=
	IDENTITY_SEALED_BYTES_MAX,
    "a sealed token fits");

enum appleid_verdict
apple_check(const struct app *app, const struct request *req, struct str token,
    struct str nonce, struct appleid_identity *person,
    struct identity *ret_identity)
{
	const enum appleid_verdict verdict = appleid_verify(&app->config,
	    req->arena, token, nonce, req->now_ms, person);

	if (verdict == APPLEID_UNAVAILABLE)
		(void)upstreams_failed(app->db, UPSTREAM_APPLE, "appleid",
		    "its keys cannot be had", req->now_ms);
	if (verdict != APPLEID_OK)
		return verdict;
	(void)upstreams_answered(app->db, UPSTREAM_APPLE, "appleid");
	*ret_identity = (struct identity){
		.sub = person->sub,
		.email = person->email,
		.is_single_use = person->has_nonce,
		.expires_at_ms = person->expires_at_ms,
	};
	(void)crypto_hash_sha256(ret_identity->hash,
	    (const unsigned char *)token.ptr, token.len);
	return APPLEID_OK;
}

/* Nonce and box. */
static void
seal(const struct keys *keys, struct str text, struct identity_consent *consent)
{
	uint8_t *box = consent->sealed + crypto_secretbox_NONCEBYTES;

	random_bytes(consent->sealed, crypto_secretbox_NONCEBYTES);
	(void)crypto_secretbox_easy(box, (const unsigned char *)text.ptr,
	    text.len, consent->sealed, keys->apple);
	consent->sealed_bytes =
	    crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + text.len;
}

static enum err
redeem(const struct app *app, const struct request *req,
    const struct uuid *user_id, const struct appleid_identity *person,
    struct str code)
{
	struct identity_consent consent = { 0 };
	CLEANUP(buf_free) struct buf token = { 0 };
	enum err err = ERR_SERVICE_UNAVAILABLE;

	buf_init(&token, REFRESH_BYTES_MAX);
	if (appleid_exchange(&app->config, req->arena, person, code,
		req->now_ms, &token) == APPLEID_OK &&
	    !token.failed) {
		(void)str_copy(str_from(person->client_id), consent.client_id,
		    sizeof(consent.client_id));
		seal(&app->keys, buf_str(&token), &consent);
		err = identities_keep_consent(app->db, user_id, &consent,
		    req->now_ms);
	}
	if (token.len > 0)
		sodium_memzero(token.ptr, token.len);
	return err;
}

void
apple_keep_consent(const struct app *app, const struct request *req,
    const struct uuid *user_id, const struct appleid_identity *person,
    struct str code)
{
	struct log log;

	if (code.len == 0)
		return;
	if (code.len <= APPLE_CODE_BYTES_MAX &&
	    redeem(app, req, user_id, person, code) == OK)
		return;
	log = log_begin(LOG_WARNING, "apple_consent");
	log_str(&log, "request_id", req->request_id);
	log_text(&log, "problem", "the code could not be redeemed");
	log_end(&log);
}

enum err
apple_open_consent(const struct keys *keys, struct db *db,
    const struct uuid *user_id, struct identity_consent *ret_consent,
    struct buf *refresh_token)
{
	const uint8_t *box = ret_consent->sealed + crypto_secretbox_NONCEBYTES;
	size_t box_bytes, n;
	char *text;
	enum err err;

	err = identities_get_consent(db, user_id, ret_consent);
	if (err != OK)
		return err;
	if (ret_consent->sealed_bytes <
	    crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)
		return ERR_INTERNAL;
	box_bytes = ret_consent->sealed_bytes - crypto_secretbox_NONCEBYTES;
	n = box_bytes - crypto_secretbox_MACBYTES;
	text = buf_reserve(refresh_token, n);
	if (text == NULL ||
	    crypto_secretbox_open_easy((unsigned char *)text, box, box_bytes,
		ret_consent->sealed, keys->apple) != 0)
		return ERR_INTERNAL;
	refresh_token->len += n;
	return OK;
}
