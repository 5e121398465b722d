/* SPDX-License-Identifier: MIT */
#ifndef WIRE_FETCH_H
#define WIRE_FETCH_H

#include "base/buf.h"

/*
 * HTTP requests of ours to others, by libcurl.
 *
 * Never followed: redirects, proxies out of the environment, other schemes
 * than https (and http where the caller's policy allows it).  Always bounded:
 * time, bytes.  A request that must happen at most once is sent on a fresh
 * connection, because libcurl repeats a POST whose reused connection dies.
 */

/* How far a request came; decides whether it may be sent again. */
enum fetch_phase {
	FETCH_NOT_SENT, /* not a byte of it left this machine */
	FETCH_MAYBE_SENT, /* sent, or perhaps; no complete answer */
	FETCH_ANSWERED, /* a complete answer is here */
};

#define FETCH_HEADERS_MAX 8
#define FETCH_URL_BYTES_MAX 2048

struct fetch_request {
	const char *method; /* "GET", "POST", "PUT" */
	const char *url;
	const char *unix_socket; /* NULL, or connect to this path */
	/* "Name: value" without CR and LF; a NULL ends a shorter list. */
	const char *headers[FETCH_HEADERS_MAX];
	const char *ca_file; /* NULL, or trust the certificates in it alone */
	bool wants_certificates; /* see certificates_end_s */
	struct str body; /* empty for GET */
	bool once; /* at most one sending, ever */
	/* HTTP/2, many exchanges over one connection; without TLS from the
	 * first byte on. */
	bool is_http2;
	/*
	 * http and private addresses are allowed.  One answer for all requests
	 * of a fetcher, because a connection is judged when it is made.
	 */
	bool allow_private;
	int64_t connect_timeout_ms; /* > 0 */
	int64_t timeout_ms; /* of the whole exchange, > 0 */
	size_t response_bytes_max; /* > 0 */
	/*
	 * -1: the answer's body is kept in memory.  Else a 2xx body is written
	 * to this descriptor; the caller keeps it open until the end.  Bodies
	 * of other answers are then held to FETCH_ERROR_BYTES_MAX.
	 */
	int sink_fd;
	/*
	 * So many bytes are in the sink already: only the rest is asked for
	 * (tell If-Range with the headers).  An answer that is whole after all
	 * replaces them; one that begins elsewhere is a failure.
	 */
	int64_t resume_from;
	/* 0, or give up when slower than this for low_speed_s seconds. */
	int64_t low_speed_bytes_per_s;
	int64_t low_speed_s;
};

#define FETCH_REPLY_HEADERS_BYTES_MAX ((size_t)16 * 1024)
#define FETCH_ERROR_BYTES_MAX ((size_t)1024 * 1024)

struct fetch_response {
	enum fetch_phase phase;
	int curl_code; /* of libcurl, for the log; 0 = none */
	int status; /* HTTP status; 0 unless answered */
	struct str body; /* empty when it went to the sink */
	int64_t body_bytes; /* received just now, wherever they went */
	/* Past response_bytes_max: incomplete, so FETCH_MAYBE_SENT. */
	bool too_large;
	struct str headers; /* raw lines; read them by fetch_header() */
	/* The first to end of those that the server showed; 0 = not known. */
	int64_t certificates_end_s;
	struct fetch_transfer *transfer; /* owns the bytes; may be NULL */
};

/* The first header of this name, any case; false if there is none. */
bool fetch_header(const struct fetch_response *response, const char *name,
    struct str *ret_value);

/*
 * Where a redirect (301, 302, 303, 307, 308) of `url` leads, as a whole URL;
 * false when it is none or leads nowhere.  Whether to go there is for the
 * caller to decide.
 */
bool fetch_redirect(const struct fetch_response *response, const char *url,
    char ret_url[FETCH_URL_BYTES_MAX]);

/*
 * Does this http or https URL stand on the given host?  `host` is
 * "example.com", "example.com:8080" or "*.example.com" (any subdomain, not the
 * name itself); without a port it means the scheme's own.  False for a URL
 * that names a user.
 */
bool fetch_url_has_host(const char *url, struct str host);

/* Performs one request and waits. The caller frees with fetch_response_free. */
void
fetch(const struct fetch_request *request, struct fetch_response *ret_response);
void fetch_response_free(struct fetch_response *response);

/*
 * Many requests at once, in one process and thread.
 *
 * fetcher_start() copies what it needs of the request.  `done` is called
 * exactly once for each, out of fetcher_wait(); the response lives for that
 * call only, and done may start further requests.
 */
struct fetcher;

typedef void fetch_done(void *arg, const struct fetch_response *response);

struct fetcher *fetcher_new(void);
void fetcher_free(struct fetcher *fetcher);
void fetcher_start(struct fetcher *fetcher, const struct fetch_request *request,
    fetch_done *done, void *arg);

/* Requests under way. */
size_t fetcher_active(const struct fetcher *fetcher);

/*
 * Waits until something happens, timeout_ms passes, a signal arrives or
 * wake_fd (-1 = none) becomes readable, and calls what is done.  Returns
 * whether wake_fd is readable.
 */
bool fetcher_wait(struct fetcher *fetcher, int wake_fd, int64_t timeout_ms);

#endif
