/* SPDX-License-Identifier: MIT */
#ifndef APP_PROCESSES_H
#define APP_PROCESSES_H

/*
 * The processes of an endpoint.  A first one, which serves nobody, forks those
 * that do.  They share its listening socket (descriptor 0) and, because there
 * is no exec between, what the loader and the libraries have written: that is
 * 0.4 MB with OpenSSL and 1 MB with libcurl, once instead of in each.
 *
 * One that ends otherwise than with 0 is replaced at once.  One that ends with
 * 0 had nothing to do.  The first, and its successors, are forked when somebody
 * waits at the socket: an endpoint that nobody calls has its first process alone.
 */

#define PROCESSES_MAX 16

/*
 * Keeps up to `count` processes that run `serve`, whose return value is their
 * exit status, until SIGTERM; then ends them as gently.  Returns the exit
 * status of the caller, in whom nothing may have been opened yet.
 */
int processes_run(int count, int (*serve)(void *arg), void *arg);

#endif
