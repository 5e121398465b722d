/* SPDX-License-Identifier: MIT */
#ifndef APP_ADMIN_AUTH_H
#define APP_ADMIN_AUTH_H

#include "app/app.h"
#include "domain/admins.h"
#include "wire/totp.h"

/*
 * How admins prove who they are: a password (Argon2id) and a one-time code
 * open a session; its token is shown as a bearer, and nothing else counts.
 * No browser sends such a token by itself, so no other site can use it.
 */

/* Shorter passwords are guessed; longer ones are no longer typed. */
#define ADMIN_PASSWORD_BYTES_MIN 12
#define ADMIN_PASSWORD_BYTES_MAX 256

#define ADMIN_TOKEN_BYTES 65 /* 64 hex digits and a NUL */

/*
 * Makes the hash of a password and a new secret in *admin (hash, sealed), the
 * secret in the open too.  False when there is no memory for hashing.
 */
bool admin_auth_make(const struct keys *keys, struct str password,
    struct admin *admin, uint8_t ret_secret[TOTP_SECRET_BYTES]);

/*
 * Opens a session.  An unknown name, a wrong password, a wrong or used code
 * and a disabled admin take the same time and are told alike:
 * ERR_UNAUTHORIZED.  Other errors: ERR_RATE_LIMITED (the response says until
 * when), which counts tries from an address and for a name.
 */
enum err admin_auth_sign_in(struct app *app, const struct request *req,
    struct response *res, struct str name, struct str password, struct str code,
    char ret_token[ADMIN_TOKEN_BYTES]);

/* Ends the session of the request. */
enum err admin_auth_sign_out(struct app *app, const struct request *req);

/*
 * Applies AUTH_ADMIN: the address must be one of RENDIO_ADMIN_ADDRESSES
 * (ERR_FORBIDDEN), and, but for open methods, the bearer a session's token
 * (ERR_UNAUTHORIZED).  Fills req->admin and req->admin_ends_at_ms.
 */
enum err admin_auth_apply(struct app *app, struct request *req,
    struct str authorization);

#endif
