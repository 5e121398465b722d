/* SPDX-License-Identifier: MIT */
#ifndef WIRE_PHOENIX_H
#define WIRE_PHOENIX_H

#include "base/arena.h"
#include "wire/json.h"

/*
 * The messages of Phoenix channels, in which Supabase's realtime speaks.
 *
 * Two envelopes say the same: version 1.0.0 is an object, version 2.0.0 an
 * array [join_ref, ref, topic, event, payload].  A ref is a string or null,
 * never a number, and a payload is an object: the clients insist.
 */

enum phoenix_version { PHOENIX_1, PHOENIX_2 };

/* "1.0.0", "2.0.0"; an empty text is the older one, as for Phoenix. */
bool phoenix_version_parse(struct str text, enum phoenix_version *ret_version);

#define PHOENIX_TOPIC_BYTES_MAX 255
#define PHOENIX_REF_BYTES_MAX 31

struct phoenix_message {
	struct str join_ref; /* ptr NULL = null */
	struct str ref; /* ptr NULL = null */
	struct str topic;
	struct str event;
	const struct json *payload; /* an object */
};

/* False when it is no message; what it has belongs to the arena. */
bool phoenix_parse(struct arena *arena, enum phoenix_version version,
    struct str text, struct phoenix_message *ret_message);

/* Appends a message whose payload is a JSON object in text. */
void phoenix_write(enum phoenix_version version,
    const struct phoenix_message *message, struct str payload, struct buf *out);

/* What a client wants to hear of: one element of postgres_changes. */
enum phoenix_filter {
	PHOENIX_ALL_ROWS, /* that the user may see */
	PHOENIX_JOB, /* job_id=eq.… */
	PHOENIX_USER, /* user_id=eq.… */
	PHOENIX_NOTHING, /* another table, event or filter: not served */
};

struct phoenix_wish {
	enum phoenix_filter filter;
	struct uuid id; /* of the job or the user */
};

/* More are refused; the official clients make one a callback. */
#define PHOENIX_WISHES_MAX 16

/* "user_id=eq." and a UUID have 47. */
#define PHOENIX_CHANGE_TEXT_BYTES_MAX 63

struct phoenix_join {
	struct str access_token; /* "" = none */
	bool is_private;
	size_t wishes_count;
	struct phoenix_wish wish[PHOENIX_WISHES_MAX];
	const struct json *changes; /* the list itself; NULL = none */
};

/* Reads the payload of phx_join; false when its wishes are not such a list. */
bool phoenix_join_read(const struct json *payload, struct phoenix_join *join);

/*
 * Writes the wishes back, as they came and with ids from 1, as the member
 * postgres_changes.
 */
void
phoenix_write_changes(struct json_writer *w, const struct phoenix_join *join);

#endif
