/* SPDX-License-Identifier: MIT */
#include "app/admin_auth.h"
#include "app/rates.h"
#include "base/log.h"
#include "wire/address.h"

#include <sodium.h>

/*
 * More than OWASP asks for, and still little on a machine of 1 GiB: one
 * process hashes, and gives the memory back.
 */
#define HASH_PASSES 3
#define HASH_MEMORY_BYTES ((size_t)32 * 1024 * 1024)

/* What a name is compared with that nobody has: of 32 random bytes. */
#define NOBODYS_HASH \
	"$argon2id$v=19$m=32768,t=3,p=1$LzgHH3Jc9Q7bCOSNJhIOZg$" \
	"bLQi4yHXeJdF1o1ywMAFrmIrFAac+BrlQWdLCP1VuUk"

/* A name is tried from several addresses: its limit is so much wider. */
#define TRIES_OF_NAME 2

#define SEALED_BYTES \
	(crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + \
	    TOTP_SECRET_BYTES)

_Static_assert(ADMIN_HASH_BYTES > crypto_pwhash_STRBYTES, "a hash fits");
_Static_assert(SEALED_BYTES <= ADMIN_SEALED_BYTES_MAX, "a secret fits");
_Static_assert(KEY_BYTES == crypto_secretbox_KEYBYTES, "a key seals");
_Static_assert(ADMIN_TOKEN_HASH_BYTES == crypto_hash_sha256_BYTES,
    "tokens are kept as SHA-256");

bool
admin_auth_make(const struct keys *keys, struct str password,
    struct admin *admin, uint8_t ret_secret[TOTP_SECRET_BYTES])
{
	if (crypto_pwhash_str_alg(admin->password_hash, password.ptr,
		password.len, HASH_PASSES, HASH_MEMORY_BYTES,
		crypto_pwhash_ALG_ARGON2ID13) != 0)
		return false;
	random_bytes(ret_secret, TOTP_SECRET_BYTES);
	random_bytes(admin->sealed, crypto_secretbox_NONCEBYTES);
	(void)crypto_secretbox_easy(admin->sealed + crypto_secretbox_NONCEBYTES,
	    ret_secret, TOTP_SECRET_BYTES, admin->sealed, keys->admin);
	admin->sealed_bytes = SEALED_BYTES;
	return true;
}

static bool
open_secret(const struct keys *keys, const struct admin *admin,
    uint8_t secret[TOTP_SECRET_BYTES])
{
	return admin->sealed_bytes == SEALED_BYTES &&
	    crypto_secretbox_open_easy(secret,
		admin->sealed + crypto_secretbox_NONCEBYTES,
		SEALED_BYTES - crypto_secretbox_NONCEBYTES, admin->sealed,
		keys->admin) == 0;
}

static struct limit
limit_of(const struct app *app, const char *kind, const void *bytes, size_t n,
    int64_t factor)
{
	struct limit limit = {
		.kind = LIMIT_ADMIN,
		.subject_bytes = crypto_auth_hmacsha256_BYTES,
		.per_hour = rates_per_hour(app, LIMIT_ADMIN) * factor,
	};
	crypto_auth_hmacsha256_state state;

	(void)crypto_auth_hmacsha256_init(&state, app->keys.admin, KEY_BYTES);
	(void)crypto_auth_hmacsha256_update(&state, (const uint8_t *)kind,
	    strlen(kind) + 1);
	(void)crypto_auth_hmacsha256_update(&state, bytes, n);
	(void)crypto_auth_hmacsha256_final(&state, limit.subject);
	return limit;
}

/* Before anything is hashed: a try costs us more than it costs them. */
static enum err
count_try(struct app *app, const struct request *req, struct response *res,
    struct str name)
{
	uint8_t network[ADDRESS_NETWORK_BYTES];
	struct limit_state state = { 0 };
	struct limit limits[2];
	size_t index = 0;
	enum err err;

	if (!address_network(req->remote_address, network))
		return ERR_INTERNAL;
	limits[0] = limit_of(app, "admin-address", network, sizeof(network), 1);
	limits[1] =
	    limit_of(app, "admin-name", name.ptr, name.len, TRIES_OF_NAME);
	err = limits_use(app->db, limits, sizeof(limits) / sizeof(limits[0]),
	    req->now_ms, &state, &index);
	rates_tell(app, req, res, &limits[index], &state, err);
	return err;
}

/* Both factors are looked at whatever the first one says. */
static bool
prove(const struct app *app, const struct request *req,
    const struct admin *admin, struct str password, struct str code,
    int64_t *ret_step)
{
	uint8_t secret[TOTP_SECRET_BYTES] = { 0 };
	const bool has_secret = open_secret(&app->keys, admin, secret);
	const bool has_code = totp_check(secret, code, req->now_ms, ret_step);
	const bool has_password = crypto_pwhash_str_verify(admin->password_hash,
				      password.ptr, password.len) == 0;

	sodium_memzero(secret, sizeof(secret));
	return has_secret & has_code & has_password;
}

static void
hash_token(struct str token, uint8_t hash[ADMIN_TOKEN_HASH_BYTES])
{
	(void)crypto_hash_sha256(hash, (const unsigned char *)token.ptr,
	    token.len);
}

static void
log_refusal(const struct request *req)
{
	struct log log = log_begin(LOG_WARNING, "admin_sign_in_refused");

	log_str(&log, "request_id", req->request_id);
	log_str(&log, "address", req->remote_address);
	log_end(&log);
}

enum err
admin_auth_sign_in(struct app *app, const struct request *req,
    struct response *res, struct str name, struct str password, struct str code,
    char ret_token[ADMIN_TOKEN_BYTES])
{
	struct admin admin = { .password_hash = NOBODYS_HASH };
	uint8_t random[(ADMIN_TOKEN_BYTES - 1) / 2];
	uint8_t hash[ADMIN_TOKEN_HASH_BYTES];
	int64_t step = 0;
	enum err err;

	err = count_try(app, req, res, name);
	if (err != OK)
		return err;
	err = admins_find(app->db, name, &admin);
	if (err != OK && err != ERR_NOT_FOUND)
		return err;
	if (!prove(app, req, &admin, password, code, &step))
		err = ERR_UNAUTHORIZED;
	random_bytes(random, sizeof(random));
	(void)sodium_bin2hex(ret_token, ADMIN_TOKEN_BYTES, random,
	    sizeof(random));
	hash_token(str_from(ret_token), hash);
	if (err == OK)
		err = admins_sign_in(app->db, &admin, step, hash,
		    req->admin.address, req->now_ms);
	sodium_memzero(&admin, sizeof(admin));
	if (err == ERR_NOT_FOUND || err == ERR_UNAUTHORIZED) {
		log_refusal(req);
		return ERR_UNAUTHORIZED;
	}
	return err;
}

enum err
admin_auth_sign_out(struct app *app, const struct request *req)
{
	uint8_t hash[ADMIN_TOKEN_HASH_BYTES];

	hash_token(req->bearer, hash);
	return admins_sign_out(app->db, &req->admin, hash, req->now_ms);
}

enum err
admin_auth_apply(struct app *app, struct request *req, struct str authorization)
{
	const struct str allowed =
	    str_from(config_text(&app->config, CONFIG_ADMIN_ADDRESSES));
	uint8_t hash[ADMIN_TOKEN_HASH_BYTES];

	if (!str_copy(req->remote_address, req->admin.address,
		sizeof(req->admin.address)) ||
	    (allowed.len > 0 &&
		!address_in_networks(req->remote_address, allowed)))
		return ERR_FORBIDDEN;
	if ((app->endpoint->open_methods & req->method) != 0)
		return OK;
	if (!http_bearer(authorization, &req->bearer))
		return ERR_UNAUTHORIZED;
	hash_token(req->bearer, hash);
	return admins_check_session(app->db, hash, req->now_ms, &req->admin,
	    &req->admin_ends_at_ms);
}
