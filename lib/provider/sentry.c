/* SPDX-License-Identifier: MIT */
#include "provider/sentry.h"
#include "wire/json.h"

#define CLIENT "rendio-backend/1"

/* Sentry says a minute where it says nothing. */
#define WAIT_STANDARD_MS INT64_C(60000)
#define WAIT_S_MAX (INT64_C(24) * 3600)

/* Words of at least this length that mix letters and digits are secrets. */
#define SECRET_BYTES_MIN 20
/* So are numbers of so many digits: phones, chats, transactions. */
#define NUMBER_BYTES_MIN 12

#define FILTERED "[Filtered]"

/* --- where to ------------------------------------------------------------- */

bool
sentry_dsn_parse(struct str text, struct sentry_dsn *ret_dsn)
{
	struct sentry_dsn dsn = { 0 };
	struct str scheme = STR("https://"), rest, key, project, secret;
	size_t slash;

	if (str_starts_with(text, STR("http://")))
		scheme = STR("http://");
	else if (!str_starts_with(text, scheme))
		return false;
	rest = (struct str){ text.ptr + scheme.len, text.len - scheme.len };
	if (!str_cut(rest, '@', &key, &rest))
		return false;
	/* Old ones have a secret behind the key, which is not wanted now. */
	(void)str_cut(key, ':', &key, &secret);
	for (slash = rest.len; slash > 0 && rest.ptr[slash - 1] != '/';)
		slash--;
	if (slash < 2)
		return false;
	project = (struct str){ rest.ptr + slash, rest.len - slash };
	rest.len = slash - 1;
	if (!provider_is_plain(key, "") || !provider_is_plain(project, "_-") ||
	    !provider_is_plain(rest, ".:/_-[]") ||
	    !str_copy(key, dsn.key, sizeof(dsn.key)) ||
	    snprintf(dsn.url, sizeof(dsn.url), "%.*s%.*s/api/%.*s/envelope/",
		(int)scheme.len, scheme.ptr, (int)rest.len, rest.ptr,
		(int)project.len, project.ptr) >= (int)sizeof(dsn.url))
		return false;
	*ret_dsn = dsn;
	return true;
}

bool
sentry_is_on(const struct config *config)
{
	return config_is_set(config, CONFIG_SENTRY_DSN);
}

static int
hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	    c >= 'a' && c <= 'f'    ? c - 'a' + 10 :
				      0;
}

/* By the id, so that all who ask give one answer. */
bool
sentry_is_sampled(const struct config *config, struct str event_id)
{
	const int64_t percent =
	    config_number(config, CONFIG_SENTRY_SAMPLE_PERCENT);
	int64_t number = 0;

	for (size_t i = 0; i < 4 && i < event_id.len; i++)
		number = number * 16 + hex_value(event_id.ptr[i]);
	return number * 100 < percent * 65536;
}

/* --- what must not leave -------------------------------------------------- */

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '=';
}

static bool
ends_chunk(char c)
{
	return (unsigned char)c <= ' ' || c == '"' || c == '\'' || c == ',' ||
	    c == '(' || c == ')' || c == '<' || c == '>';
}

static bool
is_secret(struct str word)
{
	size_t digits = 0, letters = 0;

	for (size_t i = 0; i < word.len; i++) {
		const char c = word.ptr[i];

		if (c >= '0' && c <= '9')
			digits++;
		else if (c != '-' && c != '_' && c != '=')
			letters++;
	}
	if (letters == 0)
		return digits >= NUMBER_BYTES_MIN;
	return word.len >= SECRET_BYTES_MIN && digits > 0;
}

/* What stands between blanks: an address, or words with signs between. */
static void
scrub_chunk(struct str chunk, struct buf *out)
{
	size_t i = 0;

	for (size_t k = 0; k < chunk.len; k++) {
		if (chunk.ptr[k] == '@') {
			buf_append(out, STR(FILTERED));
			return;
		}
	}
	while (i < chunk.len) {
		struct str word = { chunk.ptr + i, 0 };

		while (i < chunk.len && is_word(chunk.ptr[i])) {
			word.len++;
			i++;
		}
		buf_append(out, is_secret(word) ? STR(FILTERED) : word);
		if (i < chunk.len)
			buf_append_char(out, chunk.ptr[i++]);
	}
}

void
sentry_scrub(struct str text, struct buf *out)
{
	size_t i = 0;

	while (i < text.len) {
		struct str chunk = { text.ptr + i, 0 };

		while (i < text.len && !ends_chunk(text.ptr[i])) {
			chunk.len++;
			i++;
		}
		scrub_chunk(chunk, out);
		if (i < text.len)
			buf_append_char(out, text.ptr[i++]);
	}
}

/* --- the event ------------------------------------------------------------ */

struct incident {
	struct str event_id, program, code, request_id, user;
	int64_t time_ms;
	const struct json *lines;
};

static bool
read_incident(const struct json *json, struct incident *ret_incident)
{
	static const struct json_field fields[] = {
		{ "event_id", JSON_STR, offsetof(struct incident, event_id), 0,
		    JSON_REQUIRED },
		{ "time_ms", JSON_INT64, offsetof(struct incident, time_ms), 0,
		    JSON_REQUIRED },
		{ "program", JSON_STR, offsetof(struct incident, program), 0,
		    JSON_REQUIRED },
		{ "code", JSON_STR, offsetof(struct incident, code), 0,
		    JSON_REQUIRED },
		{ "request_id", JSON_STR, offsetof(struct incident, request_id),
		    0, JSON_REQUIRED },
		{ "user", JSON_STR, offsetof(struct incident, user), 0,
		    JSON_REQUIRED },
		{ "lines", JSON_ANY, offsetof(struct incident, lines), 0,
		    JSON_REQUIRED },
	};
	struct str bad_field;

	return json_read(json, fields, sizeof(fields) / sizeof(fields[0]),
		   JSON_REFUSE_UNKNOWN, ret_incident, &bad_field) &&
	    provider_is_plain(ret_incident->event_id, "") &&
	    json_is_array(ret_incident->lines);
}

static void
write_scrubbed(struct json_writer *w, const char *name, struct str text)
{
	struct buf clean;

	buf_init(&clean, SENTRY_EVENT_BYTES_MAX);
	sentry_scrub(text, &clean);
	json_str(w, name, buf_str(&clean));
	buf_free(&clean);
}

/* "problem=… http_status=503": what a line of the log has beside its event. */
static void
write_line(struct json_writer *w, const struct json *line)
{
	static const char *const known[] = { "time", "level", "program",
		"event", "request_id", "user" };
	struct str event = STR("log");
	struct buf text;

	buf_init(&text, SENTRY_EVENT_BYTES_MAX);
	(void)json_to_str(json_member(line, "event"), &event);
	for (const struct json *m = json_first(line); m != NULL;
	     m = json_next(m)) {
		struct str value;
		int64_t number;
		bool is_known = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			is_known = is_known ||
			    str_equal(json_name(m), str_from(known[i]));
		if (is_known)
			continue;
		if (text.len > 0)
			buf_append_char(&text, ' ');
		buf_append(&text, json_name(m));
		buf_append_char(&text, '=');
		if (json_to_str(m, &value))
			buf_append(&text, value);
		else if (json_to_int64(m, -JSON_INT_MAX, JSON_INT_MAX, &number))
			buf_append_int64(&text, number);
	}
	json_begin_object(w, NULL);
	json_str(w, "type", event);
	write_scrubbed(w, "value", buf_str(&text));
	json_end_object(w);
	buf_free(&text);
}

/* The chain of errors, the cause first; Sentry shows the last as the title. */
static void
write_chain(struct json_writer *w, const struct incident *incident)
{
	json_begin_object(w, "exception");
	json_begin_array(w, "values");
	for (const struct json *line = json_first(incident->lines);
	     line != NULL; line = json_next(line))
		if (json_is_object(line))
			write_line(w, line);
	if (!str_equal(incident->code, STR("log"))) {
		json_begin_object(w, NULL);
		json_str(w, "type", incident->code);
		json_str(w, "value", incident->program);
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
}

static void
write_event(const struct config *config, const struct incident *incident,
    int64_t now_ms, struct buf *out)
{
	const int64_t time_ms =
	    incident->time_ms > 0 ? incident->time_ms : now_ms;
	struct json_writer w = json_writer(out);

	json_begin_object(&w, NULL);
	json_str(&w, "event_id", incident->event_id);
	json_time(&w, "timestamp", time_ms);
	json_text(&w, "platform", "other");
	json_text(&w, "level",
	    str_starts_with(incident->code, STR("SIG")) ? "fatal" : "error");
	json_text(&w, "logger", "rendio");
	json_text(&w, "release", config_text(config, CONFIG_RELEASE));
	json_text(&w, "environment",
	    config_is_set(config, CONFIG_SENTRY_ENVIRONMENT) ?
		config_text(config, CONFIG_SENTRY_ENVIRONMENT) :
		config_is_sandbox(config) ? "sandbox" :
					    "production");
	json_str(&w, "transaction", incident->program);
	json_begin_object(&w, "tags");
	json_str(&w, "endpoint", incident->program);
	json_str(&w, "code", incident->code);
	if (incident->request_id.len > 0)
		json_str(&w, "request_id", incident->request_id);
	json_end_object(&w);
	if (incident->user.len > 0) {
		json_begin_object(&w, "user");
		json_str(&w, "id", incident->user);
		json_end_object(&w);
	}
	write_chain(&w, incident);
	json_end_object(&w);
}

/* Three lines: the envelope's header, the item's header, the item. */
static bool
write_envelope(const struct config *config, const struct incident *incident,
    int64_t now_ms, struct buf *out)
{
	struct buf event;
	struct json_writer w;
	bool ok;

	buf_init(&event, SENTRY_EVENT_BYTES_MAX);
	write_event(config, incident, now_ms, &event);
	w = json_writer(out);
	json_begin_object(&w, NULL);
	json_str(&w, "event_id", incident->event_id);
	json_time(&w, "sent_at", now_ms);
	json_end_object(&w);
	buf_append(out, STR("\n"));
	w = json_writer(out);
	json_begin_object(&w, NULL);
	json_text(&w, "type", "event");
	json_int64(&w, "length", (int64_t)event.len);
	json_text(&w, "content_type", "application/json");
	json_end_object(&w);
	buf_append(out, STR("\n"));
	buf_append(out, buf_str(&event));
	buf_append(out, STR("\n"));
	ok = !event.failed && !out->failed;
	buf_free(&event);
	return ok;
}

static bool
address(const struct config *config, struct provider_call *call)
{
	struct sentry_dsn dsn;
	char auth[256];

	if (!sentry_dsn_parse(str_from(config_text(config, CONFIG_SENTRY_DSN)),
		&dsn) ||
	    !str_copy(str_from(dsn.url), call->url, sizeof(call->url)))
		return false;
	(void)snprintf(auth, sizeof(auth),
	    "Sentry sentry_version=7, sentry_client=" CLIENT ", sentry_key=%s",
	    dsn.key);
	return provider_call_header(call, "X-Sentry-Auth", auth) &&
	    provider_call_header(call, "Content-Type",
		"application/x-sentry-envelope");
}

bool
sentry_empty_call(const struct config *config, struct provider_call *call)
{
	buf_append(&call->body, STR("{}\n"));
	return address(config, call);
}

bool
sentry_call(const struct config *config, struct arena *arena,
    struct str incident_text, int64_t now_ms, struct provider_call *call)
{
	struct incident incident = { .time_ms = 0 };

	return address(config, call) &&
	    read_incident(json_parse(arena, incident_text), &incident) &&
	    write_envelope(config, &incident, now_ms, &call->body);
}

/* --- the answer ----------------------------------------------------------- */

/* Of "60:error;transaction:key", "2700::organization": is it about errors? */
static int64_t
limit_ms(struct str limit)
{
	struct str seconds, categories, category, rest;
	int64_t wait_s;

	(void)str_cut(str_trim(limit), ':', &seconds, &rest);
	if (!str_to_int64(seconds, 0, WAIT_S_MAX, &wait_s))
		return 0;
	(void)str_cut(rest, ':', &categories, &rest);
	if (categories.len == 0)
		return wait_s * 1000;
	while (categories.len > 0) {
		(void)str_cut(categories, ';', &category, &categories);
		if (str_equal(category, STR("error")) ||
		    str_equal(category, STR("default")))
			return wait_s * 1000;
	}
	return 0;
}

static int64_t
told_wait_ms(const struct fetch_response *response)
{
	struct str limits, limit;
	int64_t wait_ms = 0;

	if (fetch_header(response, "X-Sentry-Rate-Limits", &limits)) {
		while (limits.len > 0) {
			int64_t ms;

			(void)str_cut(limits, ',', &limit, &limits);
			ms = limit_ms(limit);
			if (ms > wait_ms)
				wait_ms = ms;
		}
		return wait_ms;
	}
	if (response->status != 429)
		return 0;
	wait_ms = provider_retry_after_ms(response);
	return wait_ms > 0 ? wait_ms : WAIT_STANDARD_MS;
}

enum sentry_verdict
sentry_answer(const struct fetch_response *response, int64_t *ret_wait_ms)
{
	*ret_wait_ms = 0;
	if (response->phase != FETCH_ANSWERED)
		return SENTRY_LATER;
	*ret_wait_ms = told_wait_ms(response);
	if (response->status / 100 == 2)
		return SENTRY_TAKEN;
	return response->status == 429 || response->status >= 500 ?
	    SENTRY_LATER :
	    SENTRY_REFUSED;
}
