/* SPDX-License-Identifier: MIT */
#include "wire/fetch.h"
#include "wire/address.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <strings.h>
#include <unistd.h>

/* Some gateways turn away clients without a name. */
#define USER_AGENT "rendio-backend"

/* Failing to set an option can only mean a lack of memory, or of libcurl. */
#define SET(easy, option, value) \
	do { \
		if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK) \
			abort(); \
	} while (0)

/* One exchange under way. */
struct fetch_transfer {
	CURL *easy;
	struct curl_slist *headers;
	struct buf reply_headers;
	struct buf reply_body;
	int64_t reply_bytes;
	int64_t reply_bytes_max;
	int sink_fd;
	bool sink_is_ready;
	int64_t resume_from;
	bool too_large;
	bool private_allowed;
	/* Of a fetcher: whom to tell, and the neighbours in its list. */
	fetch_done *done;
	void *arg;
	struct fetch_transfer *next;
	struct fetch_transfer **link;
};

struct fetcher {
	CURLM *multi;
	struct fetch_transfer *first;
	size_t active;
};

static long
status_of(const struct fetch_transfer *t)
{
	long status = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static bool
write_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		const ssize_t written = write(fd, bytes, n);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		bytes += written;
		n -= (size_t)written;
	}
	return true;
}

/* Does a 206 begin where we left off? RFC 9110, 14.4. */
static bool
continues(const struct fetch_transfer *t)
{
	const struct fetch_response so_far = {
		.headers = buf_str(&t->reply_headers),
	};
	struct str range, first, rest;
	int64_t at;

	return fetch_header(&so_far, "Content-Range", &range) &&
	    str_starts_with(range, STR("bytes ")) &&
	    str_cut((struct str){ range.ptr + 6, range.len - 6 }, '-', &first,
		&rest) &&
	    str_to_int64(first, 0, INT64_MAX, &at) && at == t->resume_from;
}

/* Before the first byte: what is in the sink stays, or goes. */
static bool
prepare_sink(struct fetch_transfer *t)
{
	int64_t at = 0;

	if (status_of(t) == 206) {
		if (!continues(t))
			return false;
		at = t->resume_from;
	}
	t->reply_bytes_max -= at;
	t->sink_is_ready = ftruncate(t->sink_fd, at) == 0 &&
	    lseek(t->sink_fd, at, SEEK_SET) == at;
	return t->sink_is_ready;
}

/* Any count but n tells libcurl to give the transfer up. */
static size_t
on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct fetch_transfer *t = arg;

	assert(size == 1);
	if (t->sink_fd >= 0 && !t->sink_is_ready && status_of(t) / 100 == 2 &&
	    !prepare_sink(t))
		return 0;
	if ((int64_t)n > t->reply_bytes_max - t->reply_bytes) {
		t->too_large = true;
		return 0;
	}
	t->reply_bytes += (int64_t)n;
	if (t->sink_fd >= 0 && status_of(t) / 100 == 2)
		return write_all(t->sink_fd, bytes, n) ? n : 0;
	buf_append(&t->reply_body, (struct str){ bytes, n });
	t->too_large = t->reply_body.failed;
	return t->too_large ? 0 : n;
}

static size_t
on_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct fetch_transfer *t = arg;
	const struct str line = { bytes, n };

	assert(size == 1);
	/* "100 Continue" and "103 Early Hints" come before the answer. */
	if (str_starts_with(line, STR("HTTP/")))
		buf_clear(&t->reply_headers);
	buf_append(&t->reply_headers, line);
	return t->reply_headers.failed ? 0 : n;
}

/* Here the address is final: no name, no rebinding, no odd spelling. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	const struct fetch_transfer *t = arg;

	(void)purpose;
	if (!t->private_allowed && !address_is_public(&address->addr))
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol);
}

static void
add_header(struct fetch_transfer *t, const char *line)
{
	struct curl_slist *list = curl_slist_append(t->headers, line);

	if (list == NULL)
		abort();
	t->headers = list;
}

static void
set_headers(struct fetch_transfer *t, const struct fetch_request *request)
{
	static const char type[] = "Content-Type:";
	bool has_type = false;

	for (int i = 0; i < FETCH_HEADERS_MAX; i++) {
		const char *line = request->headers[i];

		if (line == NULL)
			break;
		assert(strpbrk(line, "\r\n") == NULL);
		if (strncasecmp(line, type, sizeof(type) - 1) == 0)
			has_type = true;
		add_header(t, line);
	}
	/* A name alone takes away what libcurl would add by itself. */
	add_header(t, "Expect:");
	if (!has_type)
		add_header(t, type);
	SET(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

static void
set_body(CURL *easy, const struct fetch_request *request)
{
	if (strcmp(request->method, "GET") == 0) {
		assert(request->body.len == 0);
		return;
	}
	SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
	SET(easy, CURLOPT_COPYPOSTFIELDS,
	    request->body.len == 0 ? "" : request->body.ptr);
	SET(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

/*
 * Over TLS many exchanges share a connection, and wait for one that is being
 * made.  Without TLS libcurl 7.88 begins a second exchange of a connection as
 * if it were the first, so there each has its own.
 */
static void
set_version(CURL *easy, const struct fetch_request *request)
{
	const bool is_plain =
	    str_starts_with(str_from(request->url), STR("http:"));

	if (!request->is_http2) {
		SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
		return;
	}
	SET(easy, CURLOPT_HTTP_VERSION,
	    is_plain ? (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE :
		       (long)CURL_HTTP_VERSION_2TLS);
	SET(easy, CURLOPT_PIPEWAIT, is_plain ? 0L : 1L);
	SET(easy, CURLOPT_FRESH_CONNECT, is_plain ? 1L : 0L);
	SET(easy, CURLOPT_FORBID_REUSE, is_plain ? 1L : 0L);
}

/* Where it may go, and that nothing but the request decides it. */
static void
set_route(struct fetch_transfer *t, const struct fetch_request *request)
{
	CURL *easy = t->easy;

	SET(easy, CURLOPT_URL, request->url);
	SET(easy, CURLOPT_PROTOCOLS_STR,
	    t->private_allowed ? "https,http" : "https");
	SET(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	/* The environment's http_proxy and no_proxy are not asked. */
	SET(easy, CURLOPT_PROXY, "");
	SET(easy, CURLOPT_NOPROXY, "*");
	SET(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(easy, CURLOPT_OPENSOCKETDATA, t);
	if (request->unix_socket != NULL)
		SET(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	if (request->ca_file != NULL)
		SET(easy, CURLOPT_CAINFO, request->ca_file);
	SET(easy, CURLOPT_CERTINFO, request->wants_certificates ? 1L : 0L);
	SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	set_version(easy, request);
	/* libcurl repeats a request whose reused connection dies early. */
	if (request->once) {
		SET(easy, CURLOPT_FRESH_CONNECT, 1L);
		SET(easy, CURLOPT_FORBID_REUSE, 1L);
	}
}

static void
set_limits(CURL *easy, const struct fetch_request *request)
{
	/* What announces too much is not begun. */
	SET(easy, CURLOPT_MAXFILESIZE_LARGE,
	    (curl_off_t)request->response_bytes_max);
	assert(request->connect_timeout_ms > 0);
	assert(request->timeout_ms > 0);
	/* Without signals, because SIGALRM belongs to the program. */
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
	SET(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	if (request->low_speed_bytes_per_s > 0) {
		assert(request->low_speed_s > 0);
		SET(easy, CURLOPT_LOW_SPEED_LIMIT,
		    (long)request->low_speed_bytes_per_s);
		SET(easy, CURLOPT_LOW_SPEED_TIME, (long)request->low_speed_s);
	}
}

static void
set_range(CURL *easy, int64_t from)
{
	char range[32];

	if (from == 0)
		return;
	(void)snprintf(range, sizeof(range), "%lld-", (long long)from);
	SET(easy, CURLOPT_RANGE, range);
}

static struct fetch_transfer *
transfer_new(const struct fetch_request *request)
{
	struct fetch_transfer *t = calloc(1, sizeof(*t));
	size_t memory_bytes_max = request->response_bytes_max;

	if (t == NULL || (t->easy = curl_easy_init()) == NULL)
		abort();
	if (request->sink_fd >= 0 && memory_bytes_max > FETCH_ERROR_BYTES_MAX)
		memory_bytes_max = FETCH_ERROR_BYTES_MAX;
	buf_init(&t->reply_headers, FETCH_REPLY_HEADERS_BYTES_MAX);
	buf_init(&t->reply_body, memory_bytes_max);
	t->reply_bytes_max = (int64_t)request->response_bytes_max;
	t->sink_fd = request->sink_fd;
	t->resume_from = request->resume_from;
	t->private_allowed =
	    request->allow_private || request->unix_socket != NULL;
	SET(t->easy, CURLOPT_PRIVATE, t);
	SET(t->easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(t->easy, CURLOPT_WRITEDATA, t);
	SET(t->easy, CURLOPT_HEADERFUNCTION, on_header);
	SET(t->easy, CURLOPT_HEADERDATA, t);
	SET(t->easy, CURLOPT_USERAGENT, USER_AGENT);
	set_route(t, request);
	set_limits(t->easy, request);
	set_range(t->easy, request->resume_from);
	set_headers(t, request);
	set_body(t->easy, request);
	return t;
}

static void
transfer_free(struct fetch_transfer *t)
{
	if (t == NULL)
		return;
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	buf_free(&t->reply_headers);
	buf_free(&t->reply_body);
	free(t);
}

/*
 * libcurl calls a body complete that ended with its connection.  A server
 * that died in the middle looks the same, so we want to have been told the
 * length, by number or by chunks.
 */
static bool
is_framed(const struct fetch_transfer *t, const struct fetch_response *response)
{
	const long status = status_of(t);
	curl_off_t length = -1;
	struct str coding;
	long version = 0;

	if (status < 200)
		return false;
	/* HTTP/2 tells the end of every body. */
	(void)curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
	if (version == CURL_HTTP_VERSION_2_0)
		return true;
	if (status == 204 || status == 304)
		return true;
	(void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
	    &length);
	return length >= 0 ||
	    (fetch_header(response, "Transfer-Encoding", &coding) &&
		str_equal_nocase(coding, STR("chunked")));
}

static bool
nothing_was_sent(const struct fetch_transfer *t)
{
	curl_off_t pretransfer_us = 0;
	long request_bytes = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T,
	    &pretransfer_us);
	(void)curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	return pretransfer_us == 0 && request_bytes == 0;
}

/* Seconds since 1970. */
static int64_t
certificates_end(const struct fetch_transfer *t)
{
	static const char field[] = "Expire date:";
	const struct curl_certinfo *chain = NULL;
	int64_t first_s = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_CERTINFO, &chain);
	for (int i = 0; chain != NULL && i < chain->num_of_certs; i++)
		for (const struct curl_slist *line = chain->certinfo[i];
		     line != NULL; line = line->next) {
			int64_t end_s;

			if (strncmp(line->data, field, sizeof(field) - 1) != 0)
				continue;
			end_s =
			    curl_getdate(line->data + sizeof(field) - 1, NULL);
			if (end_s > 0 && (first_s == 0 || end_s < first_s))
				first_s = end_s;
		}
	return first_s;
}

static struct fetch_response
transfer_response(struct fetch_transfer *t, CURLcode code)
{
	struct fetch_response response = {
		.phase = FETCH_MAYBE_SENT,
		.curl_code = (int)code,
		.body = buf_str(&t->reply_body),
		.body_bytes = t->reply_bytes,
		.too_large = t->too_large || code == CURLE_FILESIZE_EXCEEDED,
		.headers = buf_str(&t->reply_headers),
		.certificates_end_s = certificates_end(t),
		.transfer = t,
	};

	if (code == CURLE_OK && is_framed(t, &response)) {
		response.phase = FETCH_ANSWERED;
		response.status = (int)status_of(t);
	} else if (code != CURLE_OK && nothing_was_sent(t))
		response.phase = FETCH_NOT_SENT;
	return response;
}

/* At the first use, so that a program which never fetches pays nothing. */
static void
init_once(void)
{
	static bool done;

	if (done)
		return;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	/* OpenSSL writes without MSG_NOSIGNAL; NOSIGNAL leaves it to us. */
	(void)signal(SIGPIPE, SIG_IGN);
	done = true;
}

void
fetch(const struct fetch_request *request, struct fetch_response *ret_response)
{
	struct fetch_transfer *t;

	init_once();
	t = transfer_new(request);
	*ret_response = transfer_response(t, curl_easy_perform(t->easy));
}

void
fetch_response_free(struct fetch_response *response)
{
	transfer_free(response->transfer);
	*response = (struct fetch_response){ 0 };
}

struct fetcher *
fetcher_new(void)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

	init_once();
	if (fetcher == NULL || (fetcher->multi = curl_multi_init()) == NULL)
		abort();
	return fetcher;
}

static void
detach(struct fetcher *fetcher, struct fetch_transfer *t)
{
	(void)curl_multi_remove_handle(fetcher->multi, t->easy);
	*t->link = t->next;
	if (t->next != NULL)
		t->next->link = t->link;
	fetcher->active--;
}

void
fetcher_free(struct fetcher *fetcher)
{
	if (fetcher == NULL)
		return;
	for (struct fetch_transfer *t = fetcher->first, *next; t != NULL;
	     t = next) {
		next = t->next;
		(void)curl_multi_remove_handle(fetcher->multi, t->easy);
		transfer_free(t);
	}
	(void)curl_multi_cleanup(fetcher->multi);
	free(fetcher);
}

void
fetcher_start(struct fetcher *fetcher, const struct fetch_request *request,
    fetch_done *done, void *arg)
{
	struct fetch_transfer *t = transfer_new(request);

	t->done = done;
	t->arg = arg;
	t->next = fetcher->first;
	t->link = &fetcher->first;
	if (t->next != NULL)
		t->next->link = &t->next;
	fetcher->first = t;
	fetcher->active++;
	if (curl_multi_add_handle(fetcher->multi, t->easy) != CURLM_OK)
		abort();
}

size_t
fetcher_active(const struct fetcher *fetcher)
{
	return fetcher->active;
}

/* Moves every transfer on. Returns whether one was done. */
static bool
perform(struct fetcher *fetcher)
{
	bool any = false;
	CURLMsg *message;
	int count;

	if (curl_multi_perform(fetcher->multi, &count) != CURLM_OK)
		abort();
	while (
	    (message = curl_multi_info_read(fetcher->multi, &count)) != NULL) {
		/* The message dies when its handle is removed. */
		const CURLcode code = message->data.result;
		struct fetch_response response;
		struct fetch_transfer *t = NULL;

		assert(message->msg == CURLMSG_DONE);
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
		    &t);
		assert(t != NULL);
		detach(fetcher, t);
		response = transfer_response(t, code);
		t->done(t->arg, &response);
		transfer_free(t);
		any = true;
	}
	return any;
}

bool
fetcher_wait(struct fetcher *fetcher, int wake_fd, int64_t timeout_ms)
{
	struct curl_waitfd wake = { .fd = wake_fd, .events = CURL_WAIT_POLLIN };

	/* What is done already has happened: look at wake_fd, do not wait. */
	if (perform(fetcher))
		timeout_ms = 0;
	if (timeout_ms > INT32_MAX)
		timeout_ms = INT32_MAX;
	if (curl_multi_poll(fetcher->multi, &wake, wake_fd >= 0 ? 1 : 0,
		(int)timeout_ms, NULL) != CURLM_OK)
		abort();
	(void)perform(fetcher);
	return wake.revents != 0;
}

bool
fetch_header(const struct fetch_response *response, const char *name,
    struct str *ret_value)
{
	struct str rest = response->headers;

	while (rest.len > 0) {
		struct str line, head, value;

		(void)str_cut(rest, '\n', &line, &rest);
		if (str_ends_with(line, STR("\r")))
			line.len--;
		if (str_cut(line, ':', &head, &value) &&
		    str_equal_nocase(head, str_from(name))) {
			*ret_value = str_trim(value);
			return true;
		}
	}
	return false;
}
