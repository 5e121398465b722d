/* SPDX-License-Identifier: MIT */
#ifndef WIRE_TOTP_H
#define WIRE_TOTP_H

#include "base/str.h"

/*
 * One-time codes (RFC 6238) in the one form that every authenticator app
 * knows: HMAC-SHA-1, a step of 30 seconds, six digits.
 */

#define TOTP_SECRET_BYTES 20
#define TOTP_STEP_MS INT64_C(30000)
#define TOTP_CODE_BYTES 7 /* six digits and a NUL */
#define TOTP_SECRET_TEXT_BYTES 33 /* base32, and a NUL */

/* The code of a step, which is a time in milliseconds / TOTP_STEP_MS. */
void totp_code(const uint8_t secret[TOTP_SECRET_BYTES], int64_t step,
    char code[TOTP_CODE_BYTES]);

/*
 * Is this the code of now, or of one step before or after (clocks differ)?
 * Then *ret_step is its step; the caller takes none twice.  It takes the same
 * time whatever the code is.
 */
bool totp_check(const uint8_t secret[TOTP_SECRET_BYTES], struct str code,
    int64_t now_ms, int64_t *ret_step);

/* The secret as people type it into an app: base32 (RFC 4648) unpadded. */
void totp_format_secret(const uint8_t secret[TOTP_SECRET_BYTES],
    char text[TOTP_SECRET_TEXT_BYTES]);

#endif
