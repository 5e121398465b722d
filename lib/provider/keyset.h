/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_KEYSET_H
#define PROVIDER_KEYSET_H

#include "base/arena.h"
#include "base/config.h"

/*
 * The keys that a company signs with, published at a URL.
 *
 * Companies rotate them without notice.  A set is kept in the file
 * STATE_DIR/run/NAME-jwks.json, which all processes share and replace whole;
 * it is fetched again when it is old or a key is missing, by one process at a
 * time and at most once a minute.  While the company cannot be asked the old
 * set goes on serving.
 */
struct keyset {
	const char *name;
	const char *urls; /* with commas between them: one after the other */
	int64_t age_max_ms; /* fetched again when older */
	size_t bytes_max;
	bool (*is_good)(struct arena *arena, struct str key_set);
};

/*
 * Appends the present key set.  `is_key_missing` asks for a newer one than
 * the last that was given.  Waits up to 5 seconds a URL.  False, with the
 * cause logged, when there is none.  *ret_is_fresh tells whether a key that
 * is not in it does not exist, as far as we may ask.
 */
bool keyset_get(const struct config *config, struct arena *arena,
    const struct keyset *set, bool is_key_missing, struct buf *key_set,
    bool *ret_is_fresh);

#endif
