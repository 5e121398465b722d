/* SPDX-License-Identifier: MIT */
#ifndef APP_PATHS_H
#define APP_PATHS_H

#include "app/app.h"

/*
 * Paths of objects: BUCKET/FOLDER/…/FILE, as clients write them in URLs and
 * bodies.  A folder that is a user's id is the same in either case.
 */

struct object_path {
	struct str bucket;
	struct str name; /* with the folder; "" when only a bucket is named */
};

/*
 * Takes apart what follows an endpoint's path: decodes it once and refuses
 * every segment that could mean something else to somebody else.
 */
bool paths_read(const struct request *req, struct object_path *ret_path);

/* The same for a name out of a body. */
bool
paths_read_name(struct arena *arena, struct str name, struct str *ret_name);

/* May a new object have this name? Letters, digits and a few signs. */
bool paths_is_key(struct str name);

/* Is this name in the folder of the request's user? */
bool paths_is_own(const struct request *req, struct str name);

bool paths_is_bucket(struct str bucket);

/* Says that there is no such bucket; returns OK as app_error() does. */
enum err paths_refuse_bucket(const struct app *app, const struct request *req,
    struct response *res);

#endif
