/* SPDX-License-Identifier: MIT */
#ifndef APP_KEYS_H
#define APP_KEYS_H

#include "base/buf.h"
#include "wire/jwt.h"

#include <sodium.h>

/*
 * The secrets of an installation, one file each below STATE_DIR/keys (mode
 * 0600, directory 0700).  They are made once by `rendio init`, never stored
 * in the database and never logged.
 */

#define KEY_BYTES 32

struct keys {
	struct jwt_keys jwt; /* jwt: "kid hex" lines, first signs */
	uint8_t refresh[KEY_BYTES]; /* authenticates refresh tokens */
	uint8_t device[KEY_BYTES]; /* hashes device ids */
	uint8_t storage[KEY_BYTES]; /* signs links to files */
	/* How the MAC of every link begins: half of its work, done once. */
	crypto_auth_hmacsha256_state link_mac;
	uint8_t webhook[KEY_BYTES]; /* MACs in webhook URLs */
	uint8_t sandbox[KEY_BYTES]; /* the stand-ins of sandbox mode */
	uint8_t apple[KEY_BYTES]; /* seals Apple's refresh tokens */
	uint8_t admin[KEY_BYTES]; /* seals the secrets of admins' codes */
	char anon_key[129]; /* the publishable apikey */
};

/* Makes what is missing. False and a line in `problem` when it cannot. */
bool
keys_create(const char *state_dir, const char *anon_key, struct buf *problem);

/*
 * Loads all of them; `anon_key` overrides the file when not empty.  For
 * streams only what checks tokens and signs links is loaded, the rest is zero.
 */
bool keys_load(const char *state_dir, const char *anon_key, struct keys *keys,
    struct buf *problem);
bool keys_load_for_streams(const char *state_dir, const char *anon_key,
    struct keys *keys, struct buf *problem);

void keys_wipe(struct keys *keys);

#endif
