/* SPDX-License-Identifier: MIT */
#include "provider/devicecheck.h"

#include "base/uuid.h"
#include "provider/devicecheck_apple.h"
#include "provider/sandbox_file.h"
#include "wire/base64.h"

#include <errno.h>
#include <sodium.h>

#define FOLDER "devices"

/*
 * A token of the stand-in: MAC, nonce, name.  The MAC covers what follows it,
 * so that only we can name a phone; the nonce makes each token another.
 */
#define NONCE_BYTES ((size_t)16)
#define NAME_AT (crypto_auth_BYTES + NONCE_BYTES)
#define TOKEN_BYTES_MAX (NAME_AT + DEVICECHECK_SANDBOX_NAME_BYTES_MAX)

static bool
name_is_ok(struct str name)
{
	if (name.len == 0 || name.len > DEVICECHECK_SANDBOX_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		const char c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '.' || c == '_' ||
			c == '-'))
			return false;
	}
	return true;
}

bool
devicecheck_sandbox_token(const uint8_t secret[32], struct str name,
    struct buf *out)
{
	uint8_t bytes[TOKEN_BYTES_MAX];

	if (!name_is_ok(name))
		return false;
	random_bytes(bytes + crypto_auth_BYTES, NONCE_BYTES);
	memcpy(bytes + NAME_AT, name.ptr, name.len);
	(void)crypto_auth(bytes, bytes + crypto_auth_BYTES,
	    NONCE_BYTES + name.len, secret);
	base64_encode(BASE64_STANDARD, bytes, NAME_AT + name.len, out);
	return true;
}

/* The file that keeps the phone's bits; false for a token not of ours. */
#define FILE_NAME_BYTES (crypto_hash_sha256_BYTES * 2 + 1)
static bool
file_name(const uint8_t secret[32], struct str token,
    char name[FILE_NAME_BYTES])
{
	uint8_t bytes[TOKEN_BYTES_MAX];
	uint8_t hash[crypto_hash_sha256_BYTES];
	size_t n;

	if (!base64_decode(BASE64_STANDARD, token, bytes, sizeof(bytes), &n) ||
	    n <= NAME_AT ||
	    crypto_auth_verify(bytes, bytes + crypto_auth_BYTES,
		n - crypto_auth_BYTES, secret) != 0)
		return false;
	(void)crypto_hash_sha256(hash, bytes + NAME_AT, n - NAME_AT);
	(void)sodium_bin2hex(name, FILE_NAME_BYTES, hash, sizeof(hash));
	return true;
}

static enum devicecheck_verdict
stand_in_query(const struct config *config, const uint8_t secret[32],
    struct str token, struct devicecheck_bits *ret_bits)
{
	char name[FILE_NAME_BYTES];
	char path[SANDBOX_PATH_BYTES];
	struct buf content;
	struct str bits;
	bool ok;

	if (!file_name(secret, token, name))
		return DEVICECHECK_BAD_TOKEN;
	sandbox_path(config, FOLDER, name, path);
	buf_init(&content, 16);
	errno = 0;
	ok = config_read_file(path, true, &content);
	bits = buf_str(&content);
	if (ok && bits.len == 2)
		*ret_bits = (struct devicecheck_bits){
			.bit0 = bits.ptr[0] == '1',
			.bit1 = bits.ptr[1] == '1',
			.ever_set = true,
		};
	else if (!ok && errno == ENOENT) {
		*ret_bits = (struct devicecheck_bits){ 0 };
		ok = true;
	} else
		ok = false;
	buf_free(&content);
	return ok ? DEVICECHECK_OK : DEVICECHECK_UNAVAILABLE;
}

/* Both bits are replaced at once, so the last writer wins, as with Apple. */
static enum devicecheck_verdict
stand_in_update(const struct config *config, const uint8_t secret[32],
    struct str token, bool bit0, bool bit1)
{
	const char content[] = { bit0 ? '1' : '0', bit1 ? '1' : '0', '\n' };
	char name[FILE_NAME_BYTES];

	if (!file_name(secret, token, name))
		return DEVICECHECK_BAD_TOKEN;
	if (!sandbox_file_replace(config, FOLDER, name,
		(struct str){ content, sizeof(content) }))
		return DEVICECHECK_UNAVAILABLE;
	return DEVICECHECK_OK;
}

static bool
is_stand_in(const struct config *config)
{
	return config_is_sandbox(config) &&
	    !config_is_set(config, CONFIG_DEVICECHECK_URL);
}

enum devicecheck_verdict
devicecheck_query(const struct config *config, const uint8_t secret[32],
    struct str token, struct devicecheck_bits *ret_bits)
{
	if (token.len == 0 || token.len > DEVICECHECK_TOKEN_BYTES_MAX)
		return DEVICECHECK_BAD_TOKEN;
	if (is_stand_in(config))
		return stand_in_query(config, secret, token, ret_bits);
	return devicecheck_apple_query(config, token, ret_bits);
}

enum devicecheck_verdict
devicecheck_update(const struct config *config, const uint8_t secret[32],
    struct str token, bool bit0, bool bit1)
{
	if (token.len == 0 || token.len > DEVICECHECK_TOKEN_BYTES_MAX)
		return DEVICECHECK_BAD_TOKEN;
	if (is_stand_in(config))
		return stand_in_update(config, secret, token, bit0, bit1);
	return devicecheck_apple_update(config, token, bit0, bit1);
}
