/* SPDX-License-Identifier: MIT */
#include "wire/fetch.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * The server: a child of the test that answers each path in its own way, one
 * process a connection, on a loopback port and on a unix socket.
 */
enum behaviour {
	HELLO, /* 200 with a length, keeps the connection */
	CHUNKED, /* the same in chunks */
	ECHO, /* answers with the request as it came */
	RESET, /* reads the request and resets the connection */
	SHORT, /* closes before the promised length */
	UNFRAMED, /* promises no length and closes */
	EMPTY, /* 204, which has no body */
	EARLY, /* 103 before the answer */
	REDIRECT, /* 302 to HELLO */
	SILENT, /* never answers */
	LATE, /* answers after 300 ms */
	BIG, /* 100 bytes in chunks, without a length */
	REFUSED, /* 404 with a body */
	DRIP, /* a byte every 50 ms */
	BEHAVIOURS,
};

static const char *const path_of[BEHAVIOURS] = {
	[HELLO] = "/hello",
	[CHUNKED] = "/chunked",
	[ECHO] = "/echo",
	[RESET] = "/reset",
	[SHORT] = "/short",
	[UNFRAMED] = "/unframed",
	[EMPTY] = "/empty",
	[EARLY] = "/early",
	[REDIRECT] = "/redirect",
	[SILENT] = "/silent",
	[LATE] = "/late",
	[BIG] = "/big",
	[REFUSED] = "/refused",
	[DRIP] = "/drip",
};

/* Shared with the children: how often each path was asked for. */
static struct {
	int seen[BEHAVIOURS];
	int connections;
} * counts;

static uint16_t server_port;
static char server_socket[108];
static pid_t server_pid;

static void
say(int fd, const char *text)
{
	const size_t n = strlen(text);

	if (write(fd, text, n) != (ssize_t)n)
		_exit(0);
}

/* Reads one request; false at the end of the connection. */
static bool
read_request(int fd, char *text, size_t size)
{
	size_t n = 0, want = SIZE_MAX;

	while (n < want) {
		const ssize_t got = read(fd, text + n, size - 1 - n);
		const char *end, *length;

		if (got <= 0)
			return false;
		n += (size_t)got;
		text[n] = '\0';
		end = strstr(text, "\r\n\r\n");
		if (end == NULL || want != SIZE_MAX)
			continue;
		length = strstr(text, "Content-Length: ");
		want = (size_t)(end - text) + 4 +
		    (length == NULL ? 0 : strtoul(length + 16, NULL, 10));
	}
	return true;
}

static enum behaviour
behaviour_of(const char *request)
{
	const char *path = strchr(request, ' ') + 1;

	for (int i = 0; i < BEHAVIOURS; i++) {
		const size_t n = strlen(path_of[i]);

		if (strncmp(path, path_of[i], n) == 0 && path[n] == ' ')
			return (enum behaviour)i;
	}
	_exit(1);
}

static void
answer(int fd, const char *request, enum behaviour behaviour)
{
	const struct linger reset = { .l_onoff = 1 };
	char text[8192];

	switch (behaviour) {
	case LATE:
		(void)usleep(300 * 1000);
		__attribute__((fallthrough));
	case HELLO:
		say(fd,
		    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
		    "X-Name:  hello there \r\n\r\nhello");
		return;
	case CHUNKED:
		say(fd,
		    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
		return;
	case BIG:
		say(fd,
		    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		for (int i = 0; i < 10; i++)
			say(fd, "a\r\n0123456789\r\n");
		say(fd, "0\r\n\r\n");
		return;
	case ECHO:
		(void)snprintf(text, sizeof(text),
		    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
		    strlen(request), request);
		say(fd, text);
		return;
	case EMPTY:
		say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
		return;
	case EARLY:
		say(fd,
		    "HTTP/1.1 103 Early Hints\r\nX-Name: early\r\n\r\n"
		    "HTTP/1.1 200 OK\r\nX-Name: late\r\n"
		    "Content-Length: 0\r\n\r\n");
		return;
	case REDIRECT:
		say(fd,
		    "HTTP/1.1 302 Found\r\nLocation: /hello\r\n"
		    "Content-Length: 0\r\n\r\n");
		return;
	case REFUSED:
		say(fd,
		    "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n"
		    "gone");
		return;
	case DRIP:
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
		for (int i = 0; i < 1000; i++) {
			(void)usleep(50 * 1000);
			say(fd, "x");
		}
		return;
	case SHORT:
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
		_exit(0);
	case UNFRAMED:
		say(fd, "HTTP/1.1 200 OK\r\n\r\nhello");
		_exit(0);
	case RESET:
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset,
		    sizeof(reset));
		_exit(0);
	case SILENT:
		(void)sleep(10);
		_exit(0);
	case BEHAVIOURS:
		break;
	}
	_exit(1);
}

static void
serve_connection(int fd)
{
	char request[4096];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	__atomic_add_fetch(&counts->connections, 1, __ATOMIC_SEQ_CST);
	while (read_request(fd, request, sizeof(request))) {
		const enum behaviour behaviour = behaviour_of(request);

		__atomic_add_fetch(&counts->seen[behaviour], 1,
		    __ATOMIC_SEQ_CST);
		answer(fd, request, behaviour);
	}
	_exit(0);
}

static void
serve(int tcp, int local)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGCHLD, SIG_IGN);
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		tcp = local;
	}
	for (;;) {
		const int fd = accept(tcp, NULL, NULL);

		if (fd < 0)
			_exit(1);
		if (fork() == 0)
			serve_connection(fd);
		(void)close(fd);
	}
}

static int
start_server(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(in);
	const int tcp = socket(AF_INET, SOCK_STREAM, 0);
	const int local = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(counts != MAP_FAILED);
	(void)snprintf(server_socket, sizeof(server_socket),
	    "/tmp/rendio-fetch-%d.sock", (int)getpid());
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", server_socket);
	if (bind(tcp, (struct sockaddr *)&in, sizeof(in)) != 0 ||
	    getsockname(tcp, (struct sockaddr *)&in, &size) != 0 ||
	    bind(local, (struct sockaddr *)&un, sizeof(un)) != 0 ||
	    listen(tcp, 64) != 0 || listen(local, 64) != 0)
		return -1;
	server_port = ntohs(in.sin_port);
	server_pid = fork();
	if (server_pid == 0)
		serve(tcp, local);
	(void)close(tcp);
	(void)close(local);
	return server_pid > 0 ? 0 : -1;
}

static int
stop_server(void **state)
{
	(void)state;
	(void)kill(server_pid, SIGKILL);
	(void)waitpid(server_pid, NULL, 0);
	(void)unlink(server_socket);
	return 0;
}

static int
forget_counts(void **state)
{
	(void)state;
	memset(counts, 0, sizeof(*counts));
	return 0;
}

/* A request to the server; its URL lives until the next call. */
static struct fetch_request
request_to(enum behaviour behaviour)
{
	static char url[64];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", server_port,
	    path_of[behaviour]);
	return (struct fetch_request){
		.method = "GET",
		.url = url,
		.allow_private = true,
		.connect_timeout_ms = 2000,
		.timeout_ms = 5000,
		.response_bytes_max = 4096,
		.sink_fd = -1,
	};
}

static struct fetch_request
post_to(enum behaviour behaviour)
{
	struct fetch_request request = request_to(behaviour);

	request.method = "POST";
	request.body = STR("{\"paid\":true}");
	request.once = true;
	return request;
}

static void
assert_str(struct str s, const char *expected)
{
	assert_int_equal(s.len, strlen(expected));
	assert_memory_equal(s.ptr, expected, s.len);
}

static bool
contains(struct str s, const char *part)
{
	return memmem(s.ptr, s.len, part, strlen(part)) != NULL;
}

static void
a_complete_answer_is_answered(void **state)
{
	static const enum behaviour complete[] = { HELLO, CHUNKED };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct fetch_request request = request_to(complete[i]);
		CLEANUP(fetch_response_free) struct fetch_response response;

		fetch(&request, &response);
		assert_int_equal(response.phase, FETCH_ANSWERED);
		assert_int_equal(response.status, 200);
		assert_str(response.body, "hello");
		assert_int_equal(response.body_bytes, 5);
		assert_int_equal(response.curl_code, 0);
	}
}

static void
an_answer_that_has_no_body_needs_no_length(void **state)
{
	const struct fetch_request request = request_to(EMPTY);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_ANSWERED);
	assert_int_equal(response.status, 204);
	assert_int_equal(response.body.len, 0);
}

static void
headers_are_found_in_any_case_and_trimmed(void **state)
{
	const struct fetch_request request = request_to(HELLO);
	CLEANUP(fetch_response_free) struct fetch_response response;
	struct str value;

	(void)state;
	fetch(&request, &response);
	assert_true(fetch_header(&response, "x-NAME", &value));
	assert_str(value, "hello there");
	assert_false(fetch_header(&response, "X-Nam", &value));
}

static void
headers_of_an_interim_answer_are_not_the_answers(void **state)
{
	const struct fetch_request request = request_to(EARLY);
	CLEANUP(fetch_response_free) struct fetch_response response;
	struct str value;

	(void)state;
	fetch(&request, &response);
	assert_int_equal(response.status, 200);
	assert_true(fetch_header(&response, "X-Name", &value));
	assert_str(value, "late");
}

static void
a_post_says_what_it_was_given_and_nothing_else(void **state)
{
	struct fetch_request request = post_to(ECHO);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	request.headers[0] = "Content-Type: application/json";
	request.headers[1] = "X-Our: header";
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_ANSWERED);
	assert_true(contains(response.body, "POST /echo HTTP/1.1\r\n"));
	assert_true(
	    contains(response.body, "\r\nContent-Type: application/json\r\n"));
	assert_true(contains(response.body, "\r\nX-Our: header\r\n"));
	assert_true(contains(response.body, "\r\n\r\n{\"paid\":true}"));
	assert_false(contains(response.body, "Expect"));
	assert_false(contains(response.body, "Accept-Encoding"));
	assert_false(contains(response.body, "urlencoded"));
}

static void
a_large_post_does_not_wait_for_100_continue(void **state)
{
	static char body[2000];
	struct fetch_request request = post_to(ECHO);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	memset(body, 'x', sizeof(body));
	request.body = (struct str){ body, sizeof(body) };
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_ANSWERED);
	assert_false(contains(response.body, "Expect"));
}

static void
a_put_may_be_empty(void **state)
{
	struct fetch_request request = request_to(ECHO);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	request.method = "PUT";
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_ANSWERED);
	assert_true(contains(response.body, "PUT /echo HTTP/1.1\r\n"));
	assert_true(contains(response.body, "\r\nContent-Length: 0\r\n"));
	assert_false(contains(response.body, "Content-Type"));
}

static void
a_refused_connection_sends_nothing(void **state)
{
	struct fetch_request request = post_to(HELLO);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	request.url = "http://127.0.0.1:1/";
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_NOT_SENT);
	assert_int_equal(response.status, 0);
	assert_int_not_equal(response.curl_code, 0);
}

static void
a_failed_tls_handshake_sends_nothing(void **state)
{
	struct fetch_request request = post_to(HELLO);
	CLEANUP(fetch_response_free) struct fetch_response response;
	char url[64];

	(void)state;
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server_port);
	request.url = url;
	request.timeout_ms = 1000; /* the server waits for a request */
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_NOT_SENT);
	assert_int_equal(counts->seen[HELLO], 0);
}

static void
a_reset_after_the_request_may_have_been_accepted(void **state)
{
	const struct fetch_request request = post_to(RESET);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_MAYBE_SENT);
	assert_int_equal(response.status, 0);
	assert_int_equal(counts->seen[RESET], 1);
}

static void
a_truncated_answer_is_not_an_answer(void **state)
{
	static const enum behaviour truncated[] = { SHORT, UNFRAMED };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct fetch_request request = post_to(truncated[i]);
		CLEANUP(fetch_response_free) struct fetch_response response;

		fetch(&request, &response);
		assert_int_equal(response.phase, FETCH_MAYBE_SENT);
		assert_int_equal(response.status, 0);
		assert_false(response.too_large);
	}
}

static void
a_body_may_have_the_largest_size_and_not_a_byte_more(void **state)
{
	struct fetch_request request = request_to(BIG);

	(void)state;
	for (size_t max = 99; max <= 101; max++) {
		CLEANUP(fetch_response_free) struct fetch_response response;

		request.response_bytes_max = max;
		fetch(&request, &response);
		assert_int_equal(response.too_large, max < 100);
		assert_int_equal(response.phase,
		    max < 100 ? FETCH_MAYBE_SENT : FETCH_ANSWERED);
	}
}

static void
a_redirect_is_an_answer_and_not_followed(void **state)
{
	const struct fetch_request request = post_to(REDIRECT);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_ANSWERED);
	assert_int_equal(response.status, 302);
	assert_int_equal(counts->seen[HELLO], 0);
}

static void
private_addresses_are_refused_however_they_are_spelled(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "2130706433",
		"0x7f000001", "127.1", "localhost", "[::1]",
		"[::ffff:127.0.0.1]", "0.0.0.0" };

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct fetch_request request = request_to(HELLO);
		CLEANUP(fetch_response_free) struct fetch_response response;
		char url[64];

		(void)snprintf(url, sizeof(url), "https://%s:%d/hello",
		    hosts[i], server_port);
		request.url = url;
		request.allow_private = false;
		fetch(&request, &response);
		assert_int_equal(response.phase, FETCH_NOT_SENT);
	}
	assert_int_equal(counts->connections, 0);
}

/*
 * libcurl resolves and connects through these: one name changes what it
 * means from call to call, and no packet leaves this machine.
 */
static const char *const meanings[] = { "203.0.114.7", "127.0.0.1" };
static int resolutions, departures;

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **ret_list)
{
	int (*libc)(const char *, const char *, const struct addrinfo *,
	    struct addrinfo **);

	*(void **)&libc = dlsym(RTLD_NEXT, "getaddrinfo");
	if (node != NULL && strcmp(node, "changing.test") == 0)
		node = meanings[resolutions++ > 0];
	return libc(node, service, hints, ret_list);
}

int
connect(int fd, const struct sockaddr *address, socklen_t size)
{
	int (*libc)(int, const struct sockaddr *, socklen_t);
	struct sockaddr_in in;

	memcpy(&in, address, size < sizeof(in) ? size : sizeof(in));
	if (in.sin_family == AF_INET &&
	    in.sin_addr.s_addr != htonl(INADDR_LOOPBACK)) {
		departures++;
		errno = ENETUNREACH;
		return -1;
	}
	*(void **)&libc = dlsym(RTLD_NEXT, "connect");
	return libc(fd, address, size);
}

static void
a_name_that_changes_its_meaning_leads_nowhere_private(void **state)
{
	(void)state;
	resolutions = 0;
	departures = 0;
	for (int i = 0; i < 3; i++) {
		struct fetch_request request = request_to(HELLO);
		CLEANUP(fetch_response_free) struct fetch_response response;
		char url[64];

		(void)snprintf(url, sizeof(url),
		    "https://changing.test:%d/hello", server_port);
		request.url = url;
		request.allow_private = false;
		fetch(&request, &response);
		assert_int_equal(response.phase, FETCH_NOT_SENT);
		/* The public one was tried, and only that. */
		assert_int_equal(resolutions, i + 1);
		assert_int_equal(departures, 1);
	}
	assert_int_equal(counts->connections, 0);
}

static void
a_transfer_that_drips_is_given_up(void **state)
{
	struct fetch_request request = request_to(DRIP);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	request.timeout_ms = 60000;
	request.low_speed_bytes_per_s = 10240;
	request.low_speed_s = 1;
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_MAYBE_SENT);
	assert_true(response.body_bytes > 0);
	assert_true(response.body_bytes < 1000);
}

static void
other_schemes_are_refused(void **state)
{
	static const char *const urls[] = { "file:///etc/hostname",
		"ftp://127.0.0.1/", "gopher://127.0.0.1/",
		"dict://127.0.0.1/" };
	struct fetch_request request = request_to(HELLO);
	CLEANUP(fetch_response_free) struct fetch_response plain = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		CLEANUP(fetch_response_free) struct fetch_response response;

		request.url = urls[i];
		fetch(&request, &response);
		assert_int_equal(response.phase, FETCH_NOT_SENT);
		assert_int_equal(response.body.len, 0);
	}
	/* http needs the permission. */
	request = request_to(HELLO);
	request.allow_private = false;
	fetch(&request, &plain);
	assert_int_equal(plain.phase, FETCH_NOT_SENT);
	assert_int_equal(counts->connections, 0);
}

static void
the_environment_names_no_proxy(void **state)
{
	const struct fetch_request request = request_to(HELLO);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	fetch(&request, &response);
	assert_int_equal(unsetenv("http_proxy"), 0);
	assert_int_equal(response.phase, FETCH_ANSWERED);
}

static void
a_unix_socket_needs_no_other_permission(void **state)
{
	struct fetch_request request = request_to(HELLO);
	CLEANUP(fetch_response_free) struct fetch_response response;

	(void)state;
	request.url = "http://sandbox/hello";
	request.unix_socket = server_socket;
	request.allow_private = false;
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_ANSWERED);
	assert_str(response.body, "hello");
}

static void
only_a_successful_body_goes_to_the_sink(void **state)
{
	static const struct {
		enum behaviour behaviour;
		const char *in_sink, *in_memory;
	} cases[] = { { HELLO, "hello", "" }, { REFUSED, "", "gone" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fetch_request request = request_to(cases[i].behaviour);
		CLEANUP(fetch_response_free) struct fetch_response response;
		CLEANUP(cleanup_fd) int fd = memfd_create("sink", MFD_CLOEXEC);
		char text[16];
		ssize_t n;

		assert_true(fd >= 0);
		request.sink_fd = fd;
		fetch(&request, &response);
		assert_int_equal(response.phase, FETCH_ANSWERED);
		assert_str(response.body, cases[i].in_memory);
		n = pread(fd, text, sizeof(text), 0);
		assert_int_equal(n, strlen(cases[i].in_sink));
		assert_memory_equal(text, cases[i].in_sink, (size_t)n);
	}
}

static void
a_sink_that_cannot_be_written_makes_no_answer(void **state)
{
	struct fetch_request request = request_to(HELLO);
	CLEANUP(fetch_response_free) struct fetch_response response;
	CLEANUP(cleanup_fd) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	request.sink_fd = fd;
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_MAYBE_SENT);
	assert_false(response.too_large);
}

static void
time_runs_out_after_sending(void **state)
{
	struct fetch_request request = post_to(SILENT);
	CLEANUP(fetch_response_free) struct fetch_response response;
	const int64_t start_us = clock_monotonic_us();

	(void)state;
	request.timeout_ms = 200;
	fetch(&request, &response);
	assert_int_equal(response.phase, FETCH_MAYBE_SENT);
	assert_in_range(clock_monotonic_us() - start_us, 190000, 2000000);
	assert_int_equal(counts->seen[SILENT], 1);
}

/* What a fetcher's request came to. */
struct outcome {
	int calls;
	enum fetch_phase phase;
	int status;
	char body[16];
};

static void
note(void *arg, const struct fetch_response *response)
{
	struct outcome *outcome = arg;

	outcome->calls++;
	outcome->phase = response->phase;
	outcome->status = response->status;
	if (!str_copy(response->body, outcome->body, sizeof(outcome->body)))
		outcome->body[0] = '\0';
}

static void
finish(struct fetcher *fetcher)
{
	while (fetcher_active(fetcher) > 0)
		(void)fetcher_wait(fetcher, -1, 1000);
}

static void
a_paid_post_is_sent_once_also_beside_a_warm_connection(void **state)
{
	struct fetcher *fetcher = fetcher_new();
	struct outcome warm = { 0 }, paid = { 0 };
	struct fetch_request request = request_to(HELLO);

	(void)state;
	fetcher_start(fetcher, &request, note, &warm);
	finish(fetcher);
	assert_int_equal(warm.phase, FETCH_ANSWERED);
	request = post_to(RESET);
	fetcher_start(fetcher, &request, note, &paid);
	finish(fetcher);
	fetcher_free(fetcher);
	assert_int_equal(paid.calls, 1);
	assert_int_equal(paid.phase, FETCH_MAYBE_SENT);
	assert_int_equal(counts->seen[RESET], 1);
	assert_int_equal(counts->connections, 2);
}

static void
what_may_be_repeated_shares_a_connection(void **state)
{
	struct fetcher *fetcher = fetcher_new();
	const struct fetch_request request = request_to(HELLO);
	struct outcome outcome = { 0 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		fetcher_start(fetcher, &request, note, &outcome);
		finish(fetcher);
	}
	fetcher_free(fetcher);
	assert_int_equal(outcome.calls, 3);
	assert_int_equal(counts->connections, 1);
}

static void
twenty_slow_requests_take_as_long_as_one(void **state)
{
	struct fetcher *fetcher = fetcher_new();
	struct outcome outcome[20] = { 0 };
	const int64_t start_us = clock_monotonic_us();

	(void)state;
	for (int i = 0; i < 20; i++) {
		const struct fetch_request request = post_to(LATE);

		fetcher_start(fetcher, &request, note, &outcome[i]);
	}
	assert_int_equal(fetcher_active(fetcher), 20);
	finish(fetcher);
	fetcher_free(fetcher);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(outcome[i].calls, 1);
		assert_int_equal(outcome[i].phase, FETCH_ANSWERED);
		assert_string_equal(outcome[i].body, "hello");
	}
	assert_int_equal(counts->seen[LATE], 20);
	assert_true(clock_monotonic_us() - start_us < 2000000);
}

/* Starts the next request out of the last one's answer. */
struct chain {
	struct fetcher *fetcher;
	int left;
};

static void
follow(void *arg, const struct fetch_response *response)
{
	struct chain *chain = arg;
	const struct fetch_request request = request_to(HELLO);

	assert_int_equal(response->phase, FETCH_ANSWERED);
	if (--chain->left > 0)
		fetcher_start(chain->fetcher, &request, follow, chain);
}

static void
done_may_start_further_requests(void **state)
{
	struct chain chain = { fetcher_new(), 3 };
	const struct fetch_request request = request_to(HELLO);

	(void)state;
	fetcher_start(chain.fetcher, &request, follow, &chain);
	finish(chain.fetcher);
	fetcher_free(chain.fetcher);
	assert_int_equal(chain.left, 0);
	assert_int_equal(counts->seen[HELLO], 3);
}

static void
the_wake_descriptor_ends_the_wait(void **state)
{
	struct fetcher *fetcher = fetcher_new();
	struct outcome outcome = { 0 };
	const struct fetch_request request = request_to(SILENT);
	const int64_t start_us = clock_monotonic_us();
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_false(fetcher_wait(fetcher, fds[0], 10));
	fetcher_start(fetcher, &request, note, &outcome);
	assert_int_equal(write(fds[1], "x", 1), 1);
	while (!fetcher_wait(fetcher, fds[0], 5000))
		continue;
	assert_true(clock_monotonic_us() - start_us < 2000000);
	/* What is still under way dies with its fetcher, untold. */
	assert_int_equal(fetcher_active(fetcher), 1);
	fetcher_free(fetcher);
	assert_int_equal(outcome.calls, 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
on_alarm(int number)
{
	(void)number;
}

static void
signals_end_a_wait_and_no_request(void **state)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval often = { { 0, 20000 }, { 0, 20000 } };
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	const struct fetch_request request = request_to(LATE);
	CLEANUP(fetch_response_free) struct fetch_response response;
	struct fetcher *fetcher = fetcher_new();
	struct outcome outcome = { 0 };
	const int64_t start_us = clock_monotonic_us();
	int64_t waited_us;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	(void)fetcher_wait(fetcher, -1, 5000);
	waited_us = clock_monotonic_us() - start_us;
	fetch(&request, &response);
	fetcher_start(fetcher, &request, note, &outcome);
	finish(fetcher);
	fetcher_free(fetcher);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_true(waited_us < 2000000);
	assert_int_equal(response.phase, FETCH_ANSWERED);
	assert_int_equal(outcome.phase, FETCH_ANSWERED);
}

static void
a_url_is_matched_by_host_and_port(void **state)
{
	static const struct {
		const char *url, *host;
		bool matches;
	} cases[] = {
		{ "https://example.com/a?b", "example.com", true },
		{ "https://EXAMPLE.com/", "example.COM", true },
		{ "https://example.com:443/", "example.com", true },
		{ "http://example.com/", "example.com", true },
		{ "https://example.com:8443/", "example.com", false },
		{ "https://example.com:8443/", "example.com:8443", true },
		{ "https://example.com/", "example.com:8443", false },
		{ "https://a.example.com/", "example.com", false },
		{ "https://a.example.com/", "*.example.com", true },
		{ "https://a.b.example.com/", "*.example.com", true },
		{ "https://example.com/", "*.example.com", false },
		{ "https://.example.com/", "*.example.com", false },
		{ "https://badexample.com/", "*.example.com", false },
		{ "https://example.com.evil.net/", "example.com", false },
		{ "https://evil.net/?example.com", "example.com", false },
		{ "https://evil.net#example.com", "example.com", false },
		{ "https://example.com@evil.net/", "example.com", false },
		{ "https://user@example.com/", "example.com", false },
		{ "https://evil.net\\.example.com/", "*.example.com", false },
		{ "ftp://example.com:443/", "example.com:443", false },
		{ "http://[::1]:8080/", "[::1]:8080", true },
		{ "http://[::1]/", "[::1]", true },
		{ "example.com", "example.com", false },
		{ "", "example.com", false },
		{ "https://example.com/", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (fetch_url_has_host(cases[i].url, str_from(cases[i].host)) !=
		    cases[i].matches)
			fail_msg("%s %s", cases[i].url, cases[i].host);
}

#define TEST(f) cmocka_unit_test_setup(f, forget_counts)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_complete_answer_is_answered),
		TEST(an_answer_that_has_no_body_needs_no_length),
		TEST(headers_are_found_in_any_case_and_trimmed),
		TEST(headers_of_an_interim_answer_are_not_the_answers),
		TEST(a_post_says_what_it_was_given_and_nothing_else),
		TEST(a_large_post_does_not_wait_for_100_continue),
		TEST(a_put_may_be_empty),
		TEST(a_refused_connection_sends_nothing),
		TEST(a_failed_tls_handshake_sends_nothing),
		TEST(a_reset_after_the_request_may_have_been_accepted),
		TEST(a_truncated_answer_is_not_an_answer),
		TEST(a_body_may_have_the_largest_size_and_not_a_byte_more),
		TEST(a_redirect_is_an_answer_and_not_followed),
		TEST(private_addresses_are_refused_however_they_are_spelled),
		TEST(a_name_that_changes_its_meaning_leads_nowhere_private),
		TEST(a_transfer_that_drips_is_given_up),
		TEST(other_schemes_are_refused),
		TEST(the_environment_names_no_proxy),
		TEST(a_unix_socket_needs_no_other_permission),
		TEST(only_a_successful_body_goes_to_the_sink),
		TEST(a_sink_that_cannot_be_written_makes_no_answer),
		TEST(time_runs_out_after_sending),
		TEST(a_paid_post_is_sent_once_also_beside_a_warm_connection),
		TEST(what_may_be_repeated_shares_a_connection),
		TEST(twenty_slow_requests_take_as_long_as_one),
		TEST(done_may_start_further_requests),
		TEST(the_wake_descriptor_ends_the_wait),
		TEST(signals_end_a_wait_and_no_request),
		TEST(a_url_is_matched_by_host_and_port),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
