/* SPDX-License-Identifier: MIT */
#ifndef APP_PICTURES_H
#define APP_PICTURES_H

#include "app/app.h"
#include "wire/picture.h"

/*
 * Pictures: bringing what a user uploads onto our disk, cleaned of what it
 * tells about its user (wire/picture.h).
 */

/* The largest file that is taken. */
#define PICTURES_BYTES_MAX ((size_t)10 * 1024 * 1024)

/*
 * Stores a picture under a name in its user's folder.  is_replacing: what has
 * the name already may go.  Errors: ERR_CONFLICT (the name is taken),
 * ERR_RATE_LIMITED (its user keeps enough), ERR_SERVICE_UNAVAILABLE (the disk
 * is full, or nearly), ERR_UNAUTHORIZED.
 */
enum err pictures_store(struct app *app, const struct request *req,
    const struct picture *picture, struct str name, bool is_replacing,
    struct uuid *ret_id);

#endif
