/* SPDX-License-Identifier: MIT */
#include "wire/multipart.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_inside(struct str whole, struct str part)
{
	if (part.len == 0)
		return;
	assert(part.ptr >= whole.ptr);
	assert(part.len <= whole.len);
	assert((size_t)(part.ptr - whole.ptr) <= whole.len - part.len);
}

/* The first line is the Content-Type, the rest the body. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str input = { (const char *)data, size };
	struct multipart_part part;
	struct multipart form;
	struct str type, body;
	enum multipart_step step;
	int parts = 0;

	(void)str_cut(input, '\n', &type, &body);
	if (!multipart_begin(&form, type, body))
		return 0;
	while ((step = multipart_next(&form, &part)) == MULTIPART_PART) {
		parts++;
		assert(parts <= MULTIPART_PARTS_MAX);
		check_inside(body, part.body);
		check_inside(body, part.name);
		check_inside(body, part.content_type);
		/* A part ends at the first delimiter, so it holds none. */
		assert(part.body.len == 0 ||
		    memmem(part.body.ptr, part.body.len, form.delimiter,
			form.delimiter_bytes) == NULL);
	}
	return 0;
}
