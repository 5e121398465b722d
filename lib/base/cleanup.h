/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

/*
 * CLEANUP(fn) in front of a local variable calls fn(&variable) when it leaves
 * scope, however it leaves.  It is for the things that are not memory:
 * statements, transactions, descriptors, and for what a library hands out.
 */

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Closes a descriptor that is not -1. */
void cleanup_fd(int *fd);

#endif
