/* SPDX-License-Identifier: MIT */
#ifndef WIRE_FCGI_H
#define WIRE_FCGI_H

#include "base/str.h"

/*
 * FastCGI requests on the inherited socket (descriptor 0), one at a time, by
 * libfcgi.  Several processes share the socket; the kernel hands each waiting
 * connection to one of them.
 */
struct fcgi;

struct fcgi *fcgi_new(void);
void fcgi_free(struct fcgi *fcgi);

/*
 * Waits for the next request.  False when the process was asked to end
 * (SIGTERM): a request in hand has been finished by then; or when none came
 * for wait_max_ms (-1 = for ever, 0 = only one that is there).
 */
bool fcgi_accept(struct fcgi *fcgi, int wait_max_ms);

/* A parameter of the router, or "". Lives until the next accept. */
struct str fcgi_param(const struct fcgi *fcgi, const char *name);

/* Did the router pass this one more than once (a header sent twice)? */
bool fcgi_param_repeats(const struct fcgi *fcgi, const char *name);

/*
 * Reads exactly `length` bytes of body.  False when it is shorter or longer
 * than announced, or the connection broke.
 */
bool fcgi_read_body(struct fcgi *fcgi, char *into, size_t length);

/*
 * Sends the whole answer, headers included, and ends the request.  The file's
 * content, if file_fd is not -1, comes before the body.
 */
void
fcgi_answer(struct fcgi *fcgi, struct str head, int file_fd, struct str body);

#endif
