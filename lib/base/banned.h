/* SPDX-License-Identifier: MIT */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/*
 * Functions that cannot be used safely, or whose one safe wrapper stands in
 * this tree.  The build includes this file before every source file of ours.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A macro under clang with _FORTIFY_SOURCE, which may not be poisoned. */
#undef sprintf

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets
#pragma GCC poison strtok atoi atol atoll atof
#pragma GCC poison gmtime localtime ctime asctime
#pragma GCC poison tmpnam mktemp tempnam

#endif
