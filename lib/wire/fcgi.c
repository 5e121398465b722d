/* SPDX-License-Identifier: MIT */
#include "wire/fcgi.h"

#include <fcgiapp.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

struct fcgi {
	FCGX_Request request;
};

struct fcgi *
fcgi_new(void)
{
	struct fcgi *fcgi = calloc(1, sizeof(*fcgi));

	if (fcgi == NULL || FCGX_Init() != 0 ||
	    FCGX_InitRequest(&fcgi->request, 0, FCGI_FAIL_ACCEPT_ON_INTR) != 0)
		abort();
	return fcgi;
}

void
fcgi_free(struct fcgi *fcgi)
{
	FCGX_Free(&fcgi->request, 1);
	free(fcgi);
}

bool
fcgi_accept(struct fcgi *fcgi)
{
	return FCGX_Accept_r(&fcgi->request) == 0;
}

bool
fcgi_is_waiting(void)
{
	struct pollfd listening = { .fd = 0, .events = POLLIN };

	return poll(&listening, 1, 0) == 1;
}

static const char *
value_of(const char *entry, struct str name)
{
	if (strncmp(entry, name.ptr, name.len) != 0 || entry[name.len] != '=')
		return NULL;
	return entry + name.len + 1;
}

struct str
fcgi_param(const struct fcgi *fcgi, const char *name)
{
	const struct str wanted = str_from(name);

	for (char **at = fcgi->request.envp; *at != NULL; at++) {
		const char *value = value_of(*at, wanted);

		if (value != NULL)
			return str_from(value);
	}
	return STR("");
}

bool
fcgi_param_repeats(const struct fcgi *fcgi, const char *name)
{
	const struct str wanted = str_from(name);
	int seen = 0;

	for (char **at = fcgi->request.envp; *at != NULL; at++)
		seen += value_of(*at, wanted) != NULL;
	return seen > 1;
}

bool
fcgi_read_body(struct fcgi *fcgi, char *into, size_t length)
{
	if (length > INT_MAX)
		return false;
	/* libfcgi hands over a short body as if it were whole. */
	if (FCGX_GetStr(into, (int)length, fcgi->request.in) != (int)length ||
	    FCGX_GetError(fcgi->request.in) != 0)
		return false;
	return FCGX_GetChar(fcgi->request.in) == -1;
}

/* A client that goes away, or a bad disk, ends it early: nginx notices. */
static void
send_file(struct fcgi *fcgi, int fd)
{
	char bytes[16384];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, bytes, sizeof(bytes), at)) > 0) {
		if (FCGX_PutStr(bytes, (int)n, fcgi->request.out) != (int)n)
			return;
		at += n;
	}
}

void
fcgi_answer(struct fcgi *fcgi, struct str head, int file_fd, struct str body)
{
	(void)FCGX_PutStr(head.ptr, (int)head.len, fcgi->request.out);
	if (file_fd >= 0)
		send_file(fcgi, file_fd);
	(void)FCGX_PutStr(body.ptr, (int)body.len, fcgi->request.out);
	/*
	 * libfcgi closes by waiting for the router to close first, so that
	 * nothing unread makes the kernel drop the answer: a sleep and a waking
	 * for every request.  Of a request that was read to its end nothing is
	 * unread, and a detached one is closed at once.
	 */
	if (FCGX_GetChar(fcgi->request.in) == -1 &&
	    FCGX_GetError(fcgi->request.in) == 0)
		FCGX_Detach(&fcgi->request);
	FCGX_Finish_r(&fcgi->request);
}
