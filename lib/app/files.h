/* SPDX-License-Identifier: MIT */
#ifndef APP_FILES_H
#define APP_FILES_H

#include "app/app.h"
#include "domain/media.h"

/*
 * Files: answers whose bytes the router sends, after the handler has seen
 * that their reader may have them.  Ranges and validators are the router's.
 */

/* Answers with this object, which must live until the answer is sent. */
void app_send_media(struct response *res, const struct media *media);

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
