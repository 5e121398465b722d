/* SPDX-License-Identifier: MIT */
#include "wire/picture.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is kept is a picture of the same size, of which all is kept. */
static void
check_kept(const struct picture *first, struct str bytes)
{
	struct picture again;
	char *kept = malloc(first->bytes);
	size_t n = 0;

	if (kept == NULL)
		abort();
	for (size_t i = 0; i < first->pieces_count; i++) {
		memcpy(kept + n, first->piece[i].ptr, first->piece[i].len);
		n += first->piece[i].len;
	}
	assert(n == first->bytes);
	/* A fill byte may be left out, an orientation put in. */
	assert(n <= bytes.len + PICTURE_OWN_BYTES);
	assert(picture_read((struct str){ kept, n }, &again) == PICTURE_OK);
	assert(again.type == first->type);
	assert(again.width == first->width);
	assert(again.height == first->height);
	assert(again.bytes == n);
	free(kept);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str bytes = { (const char *)data, size };
	struct picture picture;

	if (picture_read(bytes, &picture) == PICTURE_OK) {
		assert(picture.width > 0);
		assert(picture.height > 0);
		assert(picture.width <= PICTURE_SIDE_MAX);
		assert(picture.height <= PICTURE_SIDE_MAX);
		check_kept(&picture, bytes);
	}
	return 0;
}
