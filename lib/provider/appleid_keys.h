/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPLEID_KEYS_H
#define PROVIDER_APPLEID_KEYS_H

#include "base/arena.h"
#include "base/config.h"

/*
 * The keys that Apple signs with, and where Apple is.
 *
 * How the key set is kept and renewed: provider/keyset.h.
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
