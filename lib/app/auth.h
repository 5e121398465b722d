/* SPDX-License-Identifier: MIT */
#ifndef APP_AUTH_H
#define APP_AUTH_H

#include "app/app.h"

/*
 * Who is asking: the apikey opens the door and grants nothing; the access
 * token says who the user is, and the sessions table whether still.
 */

/* Is this the app's key?  It is no secret, and takes the same time anyway. */
bool auth_is_anon_key(const struct app *app, struct str text);

/*
 * Applies the endpoint's auth to the request and fills has_user, user_id,
 * session_id and lang.  Returns OK, an error, or OK with the response already
 * holding an error that only the dialect knows (*ret_answered).
 */
enum err auth_apply(struct app *app, struct request *req, struct str apikey,
    struct str authorization, struct response *res, bool *ret_answered);

/*
 * For endpoints with AUTH_APIKEY that want to know their user after all.
 * auth_demand() answers as AUTH_USER does; auth_recognise() fills in the user of
 * a token that is good and refuses nobody but who has only to refresh: to take
 * him for nobody would leave behind what is his.
 */
enum err auth_demand(struct app *app, struct request *req, struct response *res,
    bool *ret_answered);
enum err auth_recognise(struct app *app, struct request *req);

/*
 * A user_id in the query or the body is a claim: it must be the token's user.
 */
enum err auth_check_claimed_user(const struct request *req);

#endif
