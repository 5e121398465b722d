/* SPDX-License-Identifier: MIT */
#ifndef APP_LINKS_H
#define APP_LINKS_H

#include "app/app.h"

/*
 * Signed links: whoever holds one may read one object until it expires.
 *
 * The token is base64url( version | expiry, 8 bytes | MAC, 32 bytes ); the
 * MAC covers the version, the expiry, the bucket and the name, each with its
 * length, under a key that is used for nothing else.
 */

/* A link lives at least this long. */
#define LINK_LIFE_MS (INT64_C(2) * 3600 * 1000)

/* The path of a link: a name in which each byte is escaped, and a token. */
#define LINK_PATH_BYTES_MAX ((size_t)1024)

/* Appends the whole URL, on our public host. */
void links_write_url(const struct app *app, const char *bucket,
    const char *name, int64_t now_ms, struct buf *out);

/* Appends the link's path below /storage/v1. */
void links_write_path(const struct keys *keys, struct str bucket,
    struct str name, int64_t expires_at_ms, struct buf *out);

/*
 * Appends the URL of a picture for a provider: it names the object itself, so
 * it stays good when its user removes or replaces it meanwhile.
 */
void links_write_picture(const struct config *config, const struct keys *keys,
    const struct uuid *object_id, int64_t expires_at_ms, struct buf *out);

/* Appends the token alone; it expires at expires_at_ms. */
void links_write_token(const struct keys *keys, struct str bucket,
    struct str name, int64_t expires_at_ms, struct buf *out);

enum link_verdict {
	LINK_OK,
	LINK_EXPIRED,
	LINK_MALFORMED, /* not the shape of a token */
	LINK_FORGED, /* or of another object */
};

enum link_verdict links_check(const struct keys *keys, struct str bucket,
    struct str name, struct str token, int64_t now_ms);

/*
 * Is this URL one of our objects in `bucket`, under the user's own folder?
 * Then *ret_name is its name.  Public, authenticated and signed forms count,
 * of which the host must be ours to the letter; and so does the bare path that
 * an upload was answered with, "thumbnails/USER/…/FILE".
 */
bool
links_own_object(const struct app *app, struct arena *arena, struct str url,
    const char *bucket, const struct uuid *user_id, struct str *ret_name);

#endif
