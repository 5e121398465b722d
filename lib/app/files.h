/* SPDX-License-Identifier: MIT */
#ifndef APP_FILES_H
#define APP_FILES_H

#include "app/app.h"
#include "app/paths.h"
#include "domain/media.h"

/*
 * Files: answers whose bytes the router sends, after the handler has seen
 * that their reader may have them.  Ranges and validators are the router's.
 */

/* Answers with this object, which must live until the answer is sent. */
void app_send_media(struct response *res, const struct media *media);

/* The same for a request that may ask for a name: ?download[=FILE]. */
void app_send_object(const struct request *req, struct response *res,
    const struct media *media);

/*
 * An object of the request's user, whose folder it usually is in (that of an
 * account which was merged has another id).  Errors: ERR_NOT_FOUND, also when
 * it is somebody else's.
 */
enum err files_find_own(struct app *app, const struct request *req,
    const struct object_path *path, struct media *ret_media);

#define FILES_ETAG_BYTES 40

/* An entity tag for lists: another one when the object is another one. */
void files_etag(const struct media *media, char etag[FILES_ETAG_BYTES]);

/* Writes an object's members as storage lists them, under this name. */
void files_write_object(struct json_writer *w, const char *name,
    const struct media *media);

/*
 * Asks the client to keep the answer as a file (RFC 6266), under this name if
 * there is one: valid UTF-8 without control characters.  A name too long for
 * its header is left out; the client then takes the path's.
 */
void app_attach(struct response *res, struct str name);

/*
 * Moves the present body into a file without a name, from which it is sent
 * before what is appended from now on: memory is needed for a part of a large
 * answer only.  False, with the cause logged, when the disk does not take it or
 * the answer grows past bytes_max.
 */
bool app_spool(const struct app *app, struct response *res, size_t bytes_max);

#endif
