/* SPDX-License-Identifier: MIT */
#ifndef APP_APPLE_H
#define APP_APPLE_H

#include "app/app.h"
#include "domain/identities.h"
#include "provider/appleid.h"

/*
 * Apple IDs: from the token that a client shows to what the domain knows, and
 * the safekeeping of Apple's refresh tokens, which are sealed by a key that
 * is not in the database.
 */

/* A raw nonce is drawn by the client; nobody's is longer. */
#define APPLE_NONCE_BYTES_MAX ((size_t)1024)

/* Apple's codes have about 70 bytes. */
#define APPLE_CODE_BYTES_MAX ((size_t)1024)

/*
 * Checks an identity token; "" for no nonce.  The identity borrows from
 * *ret_person.
 */
enum appleid_verdict apple_check(const struct app *app,
    const struct request *req, struct str token, struct str nonce,
    struct appleid_identity *ret_person, struct identity *ret_identity);

/*
 * Redeems the client's authorization code, if it sent one, and keeps what it
 * yields.  Nobody waits for it to succeed: a failure is logged.
 */
void apple_keep_consent(const struct app *app, const struct request *req,
    const struct uuid *user_id, const struct appleid_identity *person,
    struct str code);

/*
 * Unseals the refresh token that is kept of a user, to be revoked.  Errors:
 * ERR_NOT_FOUND; ERR_INTERNAL when the key does not fit.
 */
enum err apple_open_consent(const struct keys *keys, struct db *db,
    const struct uuid *user_id, struct identity_consent *ret_consent,
    struct buf *refresh_token);

#endif
