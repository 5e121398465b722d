/* SPDX-License-Identifier: MIT */
#ifndef WIRE_PICTURE_H
#define WIRE_PICTURE_H

#include "base/str.h"

/*
 * Pictures that strangers send: what they are, and what of them may be kept.
 *
 * Only the containers are read, strictly and without decoding a pixel.  What
 * is not needed to show the picture -- where and when it was taken, on which
 * device, previews, comments, whatever follows its end -- is left out; the
 * compressed pixels stay as they are.  Of a JPEG's Exif data the orientation
 * alone remains, because a phone's picture would lie on its side without it.
 */

enum picture_type { PICTURE_JPEG, PICTURE_PNG, PICTURE_WEBP };

enum picture_verdict {
	PICTURE_OK,
	PICTURE_UNKNOWN, /* no JPEG, PNG or WebP still, or a broken one */
	PICTURE_TOO_LARGE, /* more pixels than anybody should decode */
};

/* A phone's 48 megapixels fit; a bomb of a few bytes does not. */
#define PICTURE_SIDE_MAX 16384
#define PICTURE_PIXELS_MAX 50000000

/* What is kept is nearly one piece: more gaps than this are no picture. */
#define PICTURE_PIECES_MAX 64

/* Headers that are written anew. */
#define PICTURE_OWN_BYTES 36

struct picture {
	enum picture_type type;
	uint32_t width;
	uint32_t height;
	/* The kept picture, in order; into the input, or into own. */
	struct str piece[PICTURE_PIECES_MAX];
	size_t pieces_count;
	size_t bytes; /* of all pieces */
	uint8_t own[PICTURE_OWN_BYTES];
};

/*
 * Reads a picture.  *ret_picture is written on PICTURE_OK and borrows from
 * `bytes`; as its pieces point into itself it must not be copied.
 */
enum picture_verdict
picture_read(struct str bytes, struct picture *ret_picture);

/* "image/jpeg" and so on. */
const char *picture_content_type(enum picture_type type);

#endif
