/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include "base/config.h"
#include "base/uuid.h"
#include "wire/fetch.h"
#include "wire/json_writer.h"

/*
 * Companies that generate videos.
 *
 * An adapter is a pure translator: a job into an HTTP request, an HTTP answer
 * into a typed result.  It opens no socket, reads no clock, logs nothing and
 * keeps no state.  The worker does all I/O, so the rule that a submission is
 * sent at most once stands in one place.
 */

/* What an answer means for the job; the worker's whole decision. */
enum provider_class {
	PROVIDER_OK,
	/* The call had no effect and may be repeated after retry_after_ms. */
	PROVIDER_RETRY_CALL,
	/* The attempt ran and failed on their side; another costs again. */
	PROVIDER_RETRY_ATTEMPT,
	/* The prompt or the picture: give back, tell the user why. */
	PROVIDER_FAIL_USER,
	/* Key, balance, retired model, our mapping: give back, alert. */
	PROVIDER_FAIL_OPERATOR,
	/* May have been accepted: never send again, find out. */
	PROVIDER_UNKNOWN,
};

/* What a user or operator is told. Names are stable: they are stored. */
enum provider_code {
	PROVIDER_CODE_NONE,
	PROVIDER_CODE_CONTENT, /* "content_policy" */
	PROVIDER_CODE_IMAGE, /* "image_rejected" */
	PROVIDER_CODE_INPUT, /* "input_rejected" */
	PROVIDER_CODE_BUSY, /* "provider_busy" */
	PROVIDER_CODE_TIMEOUT, /* "generation_timeout" */
	PROVIDER_CODE_AUTH, /* "provider_auth" */
	PROVIDER_CODE_LOCKED, /* "provider_locked" */
	PROVIDER_CODE_MODEL_GONE, /* "model_gone" */
	PROVIDER_CODE_CANCELED, /* "canceled" */
	PROVIDER_CODE_EXPIRED, /* "result_expired" */
	PROVIDER_CODE_NOT_FOUND, /* "not_found" */
	PROVIDER_CODE_PROTOCOL, /* "provider_protocol" */
	PROVIDER_CODE_PROVIDER, /* "provider_error" */
	PROVIDER_CODE_MAX,
};

const char *provider_code_name(enum provider_code code);

struct provider_error {
	enum provider_class class;
	enum provider_code code;
	int64_t retry_after_ms; /* 0 = by our own backoff */
	int http_status;
	bool is_unbilled; /* it is certain that this costs nothing */
};

/* A job as a provider needs it; borrowed strings, NULL = not given. */
struct provider_job {
	struct uuid attempt_id; /* the correlator of everything */
	const char *endpoint; /* "fal-ai/veo3.1/fast" */
	const char *prompt;
	const char *image_url;
	const char *image_field; /* the endpoint's name for image_url */
	const char *aspect_ratio;
	const char *resolution;
	const char *duration_format; /* "%ds", "%d" (text) or "" (number) */
	int64_t duration_s;
	bool has_audio;
	int64_t seed; /* 31 bits: the second correlator */
	const char *omits; /* members that the endpoint does not take: "seed" */
	const char *webhook_url; /* where to tell us the end */
	int64_t sent_at_ms;
	const char *page; /* of the history, for find_call; NULL = the first */
};

/* What names a page of a provider's history. */
#define PROVIDER_PAGE_BYTES 256

#define PROVIDER_ID_BYTES 128
#define PROVIDER_URL_BYTES 512

/* How to speak of an accepted request; stored with the attempt. */
struct provider_handle {
	char request_id[PROVIDER_ID_BYTES];
	char status_url[PROVIDER_URL_BYTES];
	char result_url[PROVIDER_URL_BYTES];
	char cancel_url[PROVIDER_URL_BYTES];
};

enum provider_state {
	PROVIDER_QUEUED,
	PROVIDER_RUNNING,
	PROVIDER_ENDED, /* how, the result tells */
	PROVIDER_DONE,
	PROVIDER_FAILED,
};

struct provider_status {
	enum provider_state state;
	int64_t queue_position; /* -1 = not told */
	struct provider_error error; /* when FAILED */
	char video_url[FETCH_URL_BYTES_MAX]; /* when DONE */
	int64_t video_bytes; /* of it; 0 = not told */
};

/*
 * A body: a prompt of 5,000 characters, each escaped into 12 bytes, and the
 * rest of a job.
 */
#define PROVIDER_BODY_BYTES_MAX ((size_t)128 * 1024)

/* An HTTP request under construction; the strings are owned. */
struct provider_call {
	const char *method;
	bool once;
	char url[FETCH_URL_BYTES_MAX];
	char unix_socket[108]; /* "" = by the URL's host */
	char header[FETCH_HEADERS_MAX][PROVIDER_URL_BYTES]; /* "" = end */
	struct buf body;
};

/* How a provider behaves in time. */
struct provider_times {
	int64_t start_timeout_ms; /* a request starts within this, or never */
	int64_t run_timeout_ms; /* and has ended this long after */
	int64_t told_within_ms; /* and we have been told this long after */
	int64_t poll_first_ms;
	int64_t poll_max_ms;
	/*
	 * This long after sending, "not found" proves that a submission was
	 * never accepted.  0 = it never proves that: the deadline must pass.
	 */
	int64_t find_final_ms;
};

/*
 * Functions that build a call begin with provider_call_init(), and the caller
 * ends with provider_call_free() whatever they return.  They return false when
 * the job cannot be expressed for this provider (a mistake in our data:
 * FAIL_OPERATOR).  A call with a unix_socket may use http.  Functions that
 * read an answer return its class and fill *ret_error unless it is OK.
 * `find` may be NULL: the provider cannot be asked about a lost submission.
 * `result` may be NULL: polling brings it.  An answer about a request that
 * ended says so in *ret_status, also when it failed; then it is OK.
 */
struct provider {
	const char *name;
	struct provider_times times; /* see provider_times() */
	bool (*submit_call)(const struct config *config,
	    const struct provider_job *job, struct provider_call *call);
	enum provider_class (*submit_answer)(const struct config *config,
	    const struct provider_job *job,
	    const struct fetch_response *response,
	    struct provider_handle *ret_handle,
	    struct provider_error *ret_error);
	bool (*poll_call)(const struct config *config,
	    const struct provider_handle *handle, struct provider_call *call);
	enum provider_class (*poll_answer)(const struct config *config,
	    const struct fetch_response *response,
	    struct provider_status *ret_status,
	    struct provider_error *ret_error);
	bool (*result_call)(const struct config *config,
	    const struct provider_handle *handle, struct provider_call *call);
	enum provider_class (*result_answer)(const struct config *config,
	    const struct fetch_response *response,
	    struct provider_status *ret_status,
	    struct provider_error *ret_error);
	bool (*find_call)(const struct config *config,
	    const struct provider_job *job, struct provider_call *call);
	/*
	 * OK = found, and how it stands (ENDED when that is not told);
	 * RETRY_CALL = not (yet) known there, or on a later page: ret_page
	 * names the next one, "" = there is none.
	 */
	enum provider_class (*find_answer)(const struct config *config,
	    const struct provider_job *job,
	    const struct fetch_response *response,
	    char ret_page[PROVIDER_PAGE_BYTES],
	    struct provider_handle *ret_handle,
	    struct provider_status *ret_status,
	    struct provider_error *ret_error);
	/*
	 * How to speak of a request of which only the id is known; false when
	 * that is none.
	 */
	bool (*know)(const struct config *config,
	    const struct provider_job *job, struct str request_id,
	    struct provider_handle *ret_handle);
	bool (*cancel_call)(const struct config *config,
	    const struct provider_handle *handle, struct provider_call *call);
	bool (*download_call)(const struct config *config,
	    const char *video_url, struct provider_call *call);
};

extern const struct provider provider_sandbox;
extern const struct provider provider_fal;
extern const struct provider provider_replicate;

/*
 * The provider that serves models of this company under this configuration:
 * the sandbox while no credentials are configured in sandbox mode; NULL when
 * there is none.
 */
const struct provider *
provider_for(const struct config *config, const char *company);

/* Its times, as this configuration has them. */
struct provider_times
provider_times(const struct provider *provider, const struct config *config);

/*
 * A configured base URL without the slash at its end.  Appending '/' gives the
 * prefix of every URL of that host: nothing else begins with it.
 */
bool provider_base(const struct config *config, enum config_key key,
    const char *standard, char base[PROVIDER_URL_BYTES]);

/*
 * An adapter's GET of a result: of a host that RENDIO_MEDIA_HOSTS names, and
 * without the provider's key.
 */
bool provider_download_call(const struct config *config, const char *video_url,
    struct provider_call *call);

/* Adds "Name: value"; false when it does not fit or is not a line. */
bool provider_call_header(struct provider_call *call, const char *name,
    const char *value);

/* Only letters, digits and `others`, and not empty? */
bool provider_is_plain(struct str text, const char *others);

/*
 * Writes the input of a model as a member `name`: what the job has, under the
 * usual names, less what the endpoint does not take.
 */
void provider_write_input(struct json_writer *w, const char *name,
    const struct provider_job *job);

/* Is `name` in a list of names with commas between them (NULL = none)? */
bool provider_lists(const char *list, const char *name);

/* Retry-After of an answer, in milliseconds from now_ms; 0 = not given. */
int64_t provider_retry_after_ms(const struct fetch_response *response);

/* The Date of an answer, in seconds since 1970; false when it has none. */
bool
provider_server_time(const struct fetch_response *response, int64_t *ret_s);

/* Fills *ret_error for an answer that is not a success; returns `class`. */
enum provider_class
provider_fail(struct provider_error *ret_error, enum provider_class class,
    enum provider_code code, const struct fetch_response *response);

/*
 * What goes wrong alike everywhere.  Of submissions: true, with the class,
 * unless it is a 2xx or an answer that the company's own words decide (400,
 * 403, 404, 413, 422).  Of calls that only ask: true when it says nothing about
 * the request, 401 to 403, 408, 425, 429, a redirect, no answer.
 */
bool provider_submit_failed(const struct fetch_response *response,
    struct provider_error *ret_error);
bool provider_read_failed(const struct fetch_response *response,
    struct provider_error *ret_error);

/* Prepares an empty call; provider_call_free() releases its body. */
void provider_call_init(struct provider_call *call, const char *method);
void provider_call_free(struct provider_call *call);

#endif
