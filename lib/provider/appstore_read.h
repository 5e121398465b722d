/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPSTORE_READ_H
#define PROVIDER_APPSTORE_READ_H

#include "provider/appstore.h"
#include "wire/json.h"

/*
 * What the App Store's payloads say, whoever wrote them: nothing here is
 * verified.  The structs borrow from the document.
 *
 * APPSTORE_BAD_PAYLOAD, with nothing written: a member that we know is of
 * another type or out of its bounds, or the payload is of another kind.
 * APPSTORE_INCOMPLETE, with what there is written: something is missing that
 * the struct promises.  A member we do not know, or a word, is no fault.
 */

enum appstore_verdict appstore_read_transaction(const struct json *payload,
    struct appstore_transaction *ret_transaction);
enum appstore_verdict appstore_read_renewal(const struct json *payload,
    struct appstore_renewal *ret_renewal);
enum appstore_verdict appstore_read_app_transaction(const struct json *payload,
    struct appstore_app_transaction *ret_app_transaction);

/* Of what is nested only the texts, `signed_...`, are written. */
struct appstore_outer {
	struct appstore_notification notification;
	struct str signed_app_transaction; /* "" = none */
};

enum appstore_verdict appstore_read_notification(const struct json *payload,
    struct appstore_outer *ret_outer);

enum appstore_environment appstore_read_environment(struct str name);

/* A date, its fraction cut off; false outside 0 to CLOCK_MS_MAX. */
bool appstore_read_date(const struct json *value, int64_t *ret_ms);

#endif
