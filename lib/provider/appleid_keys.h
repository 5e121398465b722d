/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPLEID_KEYS_H
#define PROVIDER_APPLEID_KEYS_H

#include "base/arena.h"
#include "base/config.h"

/*
 * The keys that Apple signs with, and where Apple is.
 *
 * Apple rotates its keys without notice.  The set is kept in the file
 * STATE_DIR/run/appleid-jwks.json, which all processes share and replace
 * whole; it is fetched again when it is old or a token names a key it lacks,
 * by one process at a time and at most once a minute.  While Apple cannot be
 * asked the old set goes on serving.
 */

#define APPLEID_URL "https://appleid.apple.com"

/* The stand-in's private key, below STATE_DIR; `rendio init` makes it. */
#define APPLEID_SANDBOX_KEY "keys/sandbox-appleid.pem"
#define APPLEID_SANDBOX_KID "sandbox"

/* Sandbox mode without RENDIO_APPLEID_URL. */
bool appleid_is_stand_in(const struct config *config);

/* Reads the stand-in's key. */
bool appleid_read_sandbox_key(const struct config *config, struct buf *pem);

/*
 * Appends the present key set.  `is_key_missing` asks for a newer one than
 * the last that was given.  Waits up to 5 seconds.  False, with the cause
 * logged, when there is none.
 */
bool appleid_keys(const struct config *config, struct arena *arena,
    bool is_key_missing, struct buf *key_set);

#endif
