/* SPDX-License-Identifier: MIT */
#include "wire/totp.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#define SHA1_BYTES 20

void
totp_code(const uint8_t secret[TOTP_SECRET_BYTES], int64_t step,
    char code[TOTP_CODE_BYTES])
{
	uint8_t counter[8], mac[SHA1_BYTES];
	unsigned mac_bytes = 0;
	uint32_t number;
	size_t at;

	for (size_t i = 0; i < sizeof(counter); i++)
		counter[i] = (uint8_t)((uint64_t)step >> (56 - 8 * i));
	if (HMAC(EVP_sha1(), secret, TOTP_SECRET_BYTES, counter,
		sizeof(counter), mac, &mac_bytes) == NULL)
		abort();
	assert(mac_bytes == SHA1_BYTES);
	/* RFC 4226, 5.3: four bytes from where the last one says. */
	at = mac[SHA1_BYTES - 1] & 0x0f;
	number = (uint32_t)(mac[at] & 0x7f) << 24 |
	    (uint32_t)mac[at + 1] << 16 | (uint32_t)mac[at + 2] << 8 |
	    mac[at + 3];
	(void)snprintf(code, TOTP_CODE_BYTES, "%06u", number % 1000000);
	sodium_memzero(mac, sizeof(mac));
}

bool
totp_check(const uint8_t secret[TOTP_SECRET_BYTES], struct str code,
    int64_t now_ms, int64_t *ret_step)
{
	const int64_t now = now_ms / TOTP_STEP_MS;
	char given[TOTP_CODE_BYTES] = "", right[TOTP_CODE_BYTES];
	int64_t found = -1;

	(void)str_copy(code, given, sizeof(given));
	for (int64_t step = now - 1; step <= now + 1; step++) {
		totp_code(secret, step, right);
		if (sodium_memcmp(given, right, sizeof(right)) == 0)
			found = step;
	}
	sodium_memzero(right, sizeof(right));
	if (found < 0)
		return false;
	*ret_step = found;
	return true;
}

void
totp_format_secret(const uint8_t secret[TOTP_SECRET_BYTES],
    char text[TOTP_SECRET_TEXT_BYTES])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint32_t bits = 0;
	unsigned count = 0;
	size_t n = 0;

	for (size_t i = 0; i < TOTP_SECRET_BYTES; i++) {
		bits = bits << 8 | secret[i];
		for (count += 8; count >= 5; count -= 5)
			text[n++] = letters[bits >> (count - 5) & 0x1f];
	}
	/* 160 bits are 32 letters, nothing is left over. */
	assert(count == 0 && n == TOTP_SECRET_TEXT_BYTES - 1);
	text[n] = '\0';
}
