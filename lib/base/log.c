/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* How long a line may wait for whoever reads the log. */
#define LOG_WAIT_MS 50

static const char *program = "rendio";
static enum log_level threshold = LOG_INFO;

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARNING] = "warning",
	[LOG_ERROR] = "error",
};
static log_listener *listener;

void
log_program(const char *name)
{
	program = name;
}

void
log_threshold(enum log_level level)
{
	threshold = level;
}

bool
log_level_parse(struct str name, enum log_level *ret_level)
{
	for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
		if (str_equal(name, str_from(level_names[i]))) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void
log_listen(log_listener *wanted)
{
	listener = wanted;
}

struct log
log_begin(enum log_level level, const char *event)
{
	struct log log = { .is_dropped = level < threshold,
		.level = level,
		.event = event };
	char time[CLOCK_TEXT_BYTES];

	buf_init(&log.line, LOG_LINE_BYTES_MAX);
	clock_format(clock_now_ms(), time);
	buf_appendf(&log.line,
	    "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\","
	    "\"event\":\"%s\"",
	    time, level_names[level], program, event);
	return log;
}

/* JSON string escapes; whatever is not printable ASCII or UTF-8 is hidden. */
static void
append_escaped(struct buf *b, struct str value)
{
	const bool utf8 = str_is_utf8(value);

	for (size_t i = 0; i < value.len; i++) {
		const unsigned char c = (unsigned char)value.ptr[i];

		if (c == '"' || c == '\\')
			buf_appendf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_appendf(b, "\\u%04x", c);
		else if (c >= 0x80 && !utf8)
			buf_append_char(b, '?');
		else
			buf_append_char(b, (char)c);
	}
}

void
log_str(struct log *log, const char *name, struct str value)
{
	const size_t before = log->line.len;

	if (value.len > LOG_TEXT_BYTES_MAX) {
		value.len = LOG_TEXT_BYTES_MAX;
		/* Do not cut a character in two. */
		while (value.len > 0 &&
		    ((unsigned char)value.ptr[value.len] & 0xc0) == 0x80)
			value.len--;
	}
	buf_appendf(&log->line, ",\"%s\":\"", name);
	append_escaped(&log->line, value);
	buf_append_char(&log->line, '"');
	if (log->line.failed)
		log->line.len = before;
}

void
log_text(struct log *log, const char *name, const char *value)
{
	log_str(log, name, str_from(value));
}

void
log_int64(struct log *log, const char *name, int64_t value)
{
	const size_t before = log->line.len;

	buf_appendf(&log->line, ",\"%s\":%lld", name, (long long)value);
	if (log->line.failed)
		log->line.len = before;
}

void
log_uuid(struct log *log, const char *name, const struct uuid *value)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(value, text);
	log_text(log, name, text);
}

void
log_end(struct log *log)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

	/* The ceiling leaves room for these in the buffer's slack. */
	log->line.failed = false;
	log->line.bytes_max += 2;
	buf_append_char(&log->line, '}');
	if (listener != NULL)
		listener(log->level, log->event, buf_str(&log->line));
	buf_append_char(&log->line, '\n');
	/* A log that is stuck must not stop the service: the line is lost. */
	if (!log->is_dropped && poll(&out, 1, LOG_WAIT_MS) > 0)
		while (write(STDERR_FILENO, log->line.ptr, log->line.len) < 0 &&
		    errno == EINTR)
			continue;
	buf_free(&log->line);
}

void
log_line(enum log_level level, const char *event, const char *name,
    const char *value)
{
	struct log log = log_begin(level, event);

	log_text(&log, name, value);
	log_end(&log);
}
