/* SPDX-License-Identifier: MIT */
#ifndef WIRE_JSON_WRITER_H
#define WIRE_JSON_WRITER_H

#include "base/buf.h"
#include "base/uuid.h"

/* Our own answers are flatter than this. */
#define JSON_WRITER_DEPTH_MAX 32

/*
 * Writing.  A writer appends to a buf and knows where commas belong; a wrong
 * nesting is a mistake of ours and asserted.  Text that is not valid UTF-8 is
 * sent with the offending bytes replaced by U+FFFD.
 *
 *	struct json_writer w = json_writer(buf);
 *	json_begin_object(&w, NULL);
 *	json_int64(&w, "credits_remaining", 10);
 *	json_end_object(&w);
 *
 * `name` is NULL inside an array and at the top.
 */
struct json_writer {
	struct buf *buf;
	int depth;
	bool needs_comma[JSON_WRITER_DEPTH_MAX];
	bool is_object[JSON_WRITER_DEPTH_MAX];
};

struct json_writer json_writer(struct buf *buf);
void json_begin_object(struct json_writer *w, const char *name);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w, const char *name);
void json_end_array(struct json_writer *w);
void json_str(struct json_writer *w, const char *name, struct str value);
/* NULL is written as null. */
void json_text(struct json_writer *w, const char *name, const char *value);
void json_int64(struct json_writer *w, const char *name, int64_t value);
void json_bool(struct json_writer *w, const char *name, bool value);
void json_null(struct json_writer *w, const char *name);
void
json_uuid(struct json_writer *w, const char *name, const struct uuid *value);
/* "2026-01-31T12:34:56.789Z"; a negative time is written as null. */
void json_time(struct json_writer *w, const char *name, int64_t time_ms);
/* `json` is already valid JSON, for example a member taken from elsewhere. */
void json_raw(struct json_writer *w, const char *name, struct str json);

#endif
