/* SPDX-License-Identifier: MIT */
#ifndef WIRE_MULTIPART_H
#define WIRE_MULTIPART_H

#include "base/str.h"

/*
 * multipart/form-data (RFC 7578), as far as a form with one file needs it.
 * Nothing is copied: parts borrow from the body.
 */

/* RFC 2046, 5.1.1. */
#define MULTIPART_BOUNDARY_BYTES_MAX 70

/* A form of the official clients has two or three. */
#define MULTIPART_PARTS_MAX 16
#define MULTIPART_HEAD_BYTES_MAX ((size_t)4096)

struct multipart {
	struct str rest; /* after a delimiter */
	char delimiter[4 + MULTIPART_BOUNDARY_BYTES_MAX + 1];
	size_t delimiter_bytes;
	int parts_count;
};

struct multipart_part {
	struct str name; /* "" without one; escapes stand as they came */
	bool has_filename;
	struct str content_type; /* "" without one */
	struct str body;
};

enum multipart_step { MULTIPART_PART, MULTIPART_END, MULTIPART_BAD };

/*
 * Begins to read a body by its Content-Type; false when that names no good
 * boundary, or the body does not begin with it.
 */
bool multipart_begin(struct multipart *multipart, struct str content_type,
    struct str body);

/* The next part; writes *ret_part on MULTIPART_PART only. */
enum multipart_step
multipart_next(struct multipart *multipart, struct multipart_part *ret_part);

#endif
