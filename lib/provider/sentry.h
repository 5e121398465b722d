/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_SENTRY_H
#define PROVIDER_SENTRY_H

#include "base/arena.h"
#include "provider/provider.h"

/*
 * Sentry: an incident (app/incidents.h) as an event in an envelope, by
 * Sentry's documented protocol (version 7), for Sentry itself or whatever
 * speaks like it.  A translator as provider.h's: it sends nothing itself.
 *
 * The same incident always makes the same event id, by which Sentry knows one
 * that is sent again.
 */

#define SENTRY_EVENT_BYTES_MAX ((size_t)32 * 1024)

/* RENDIO_SENTRY_DSN, "https://KEY@HOST[:PORT][/PATH]/PROJECT". */
struct sentry_dsn {
	char url[PROVIDER_URL_BYTES]; /* of the envelope endpoint */
	char key[64];
};

bool sentry_dsn_parse(struct str text, struct sentry_dsn *ret_dsn);

/* Is it set?  A DSN that cannot be parsed is set, and no call can be made. */
bool sentry_is_on(const struct config *config);

/* Is this incident among those that the sample rate lets through? */
bool sentry_is_sampled(const struct config *config, struct str event_id);

/* What `text` is without whatever may be a token, an id or an address. */
void sentry_scrub(struct str text, struct buf *out);

/*
 * The call that reports an incident.  False when the DSN is none, or the
 * incident is not what app/incidents.h writes.  now_ms is the time of an
 * incident that does not know its own.
 */
bool sentry_call(const struct config *config, struct arena *arena,
    struct str incident, int64_t now_ms, struct provider_call *call);

/* An envelope with nothing in it: is our key taken? */
bool sentry_empty_call(const struct config *config, struct provider_call *call);

enum sentry_verdict {
	SENTRY_TAKEN,
	SENTRY_LATER, /* busy, or not reached: the same again after a wait */
	SENTRY_REFUSED, /* never: the event, or our key */
};

/*
 * *ret_wait_ms: how long nothing more may be sent, whatever the verdict; 0 =
 * not told.
 */
enum sentry_verdict
sentry_answer(const struct fetch_response *response, int64_t *ret_wait_ms);

#endif
