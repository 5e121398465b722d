/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/buf.h"
#include "base/uuid.h"

/*
 * One JSON line an event on standard error, written with one write(2).
 *
 *	struct log log = log_begin(LOG_INFO, "request");
 *	log_text(&log, "code", err_code(err));
 *	log_end(&log);
 *
 * Field names are constants of ours.  What must never be passed: tokens, keys,
 * prompts, device ids, e-mail addresses, bodies of providers.
 */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* Longer lines lose their tail fields, so that a write stays atomic. */
#define LOG_LINE_BYTES_MAX ((size_t)3500)

/* A text field is cut to this many bytes. */
#define LOG_TEXT_BYTES_MAX ((size_t)512)

struct log {
	struct buf line;
	bool is_dropped; /* below the threshold */
	enum log_level level;
	const char *event;
};

/* The program's name in every line that follows. */
void log_program(const char *name);

/* Lines below this level are not written; LOG_INFO until it is set. */
void log_threshold(enum log_level level);

/* "debug", "info", "warning" or "error". */
bool log_level_parse(struct str name, enum log_level *ret_level);

struct log log_begin(enum log_level level, const char *event);
void log_text(struct log *log, const char *name, const char *value);
void log_str(struct log *log, const char *name, struct str value);
void log_int64(struct log *log, const char *name, int64_t value);
void log_uuid(struct log *log, const char *name, const struct uuid *value);
void log_end(struct log *log);

/* Who is to hear each line as well, without its end of line.  It must not log. */
typedef void
log_listener(enum log_level level, const char *event, struct str line);
void log_listen(log_listener *listener);

/* An event with one text field: the short form for errors at start-up. */
void log_line(enum log_level level, const char *event, const char *name,
    const char *value);

#endif
