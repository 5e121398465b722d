/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APNS_H
#define PROVIDER_APNS_H

#include "provider/provider.h"

/*
 * Apple Push Notification service: one message to one phone, over HTTP/2, by
 * Apple's "Sending notification requests to APNs" and "Establishing a
 * token-based connection to APNs".  A translator as provider.h's.
 */

/* A provider token is good for an hour, and may be made every 20 minutes. */
#define APNS_BEARER_AGE_MS_MIN (INT64_C(20) * 60 * 1000)
#define APNS_BEARER_AGE_MS_MAX (INT64_C(50) * 60 * 1000)
#define APNS_BEARER_BYTES ((size_t)480)

/* The key, its id, the team and the topic are set; else nothing is sent. */
bool apns_is_on(const struct config *config);

/* Appends a new provider token; false when the key does not sign. */
bool
apns_make_bearer(const struct config *config, int64_t now_ms, struct buf *out);

struct apns_message {
	bool is_sandbox; /* the phone's app is a build run from Xcode */
	const char *token;
	const char *bearer;
	const char *title;
	const char *body;
	struct uuid job_id; /* messages about it replace one another */
	const char *status; /* for the app: "completed", "failed" */
	int64_t expires_at_ms;
};

bool apns_call(const struct config *config, const struct apns_message *message,
    struct provider_call *call);

enum apns_verdict {
	APNS_SENT,
	APNS_LATER, /* busy, or not reached */
	APNS_TOKEN_DEAD, /* the phone has no such app any more */
	APNS_BEARER_REFUSED, /* our token, or too many of them */
	APNS_REFUSED, /* this message never; for the operator to look at */
};

struct apns_answer {
	enum apns_verdict verdict;
	char reason[64]; /* Apple's word; "" = none */
	int64_t dead_since_ms; /* 0 = not told */
	int64_t wait_ms; /* 0 = not told */
};

struct apns_answer apns_answer(const struct fetch_response *response);

#endif
