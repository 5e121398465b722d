/* SPDX-License-Identifier: MIT */
#include "wire/fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

struct fcgi {
	FCGX_Request request;
};

static volatile sig_atomic_t asked_to_end;

/* Tells when somebody connects; -1 = not prepared yet. */
static int waiting_fd = -1;

static void
ask_to_end(int signal_number)
{
	(void)signal_number;
	asked_to_end = 1;
}

/*
 * SIGTERM is let in only while nobody is being served.  libfcgi lets it in
 * between a connection and its first byte, and then drops the connection: its
 * client would see an upgrade as an error.  So we wait by ourselves, and
 * accept() must not: another process may have been faster.
 */
static bool
prepare(void)
{
	const struct sigaction action = { .sa_handler = ask_to_end };
	/* Of several that wait one is woken. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	sigset_t term;

	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGTERM);
	waiting_fd = epoll_create1(EPOLL_CLOEXEC);
	return waiting_fd >= 0 && sigprocmask(SIG_BLOCK, &term, NULL) == 0 &&
	    sigaction(SIGTERM, &action, NULL) == 0 &&
	    fcntl(0, F_SETFL, O_NONBLOCK) == 0 &&
	    epoll_ctl(waiting_fd, EPOLL_CTL_ADD, 0, &event) == 0;
}

struct fcgi *
fcgi_new(void)
{
	struct fcgi *fcgi = calloc(1, sizeof(*fcgi));

	if (fcgi == NULL || (waiting_fd < 0 && !prepare()) ||
	    FCGX_Init() != 0 ||
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

static bool
is_asked_to_end(void)
{
	sigset_t pending;

	return asked_to_end ||
	    (sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1);
}

bool
fcgi_accept(struct fcgi *fcgi, int wait_max_ms)
{
	struct epoll_event event;
	sigset_t open;
	int rc;

	(void)sigprocmask(SIG_BLOCK, NULL, &open);
	(void)sigdelset(&open, SIGTERM);
	/* The signal that said so may be long gone. */
	while (!asked_to_end) {
		rc = epoll_pwait(waiting_fd, &event, 1, wait_max_ms, &open);
		if (rc == 0 || (rc < 0 && errno != EINTR) || is_asked_to_end())
			return false;
		rc = FCGX_Accept_r(&fcgi->request);
		if (rc != -EAGAIN)
			return rc == 0;
	}
	return false;
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
