/* SPDX-License-Identifier: MIT */
#include "wire/base64.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What decodes is the one text that its bytes encode to. */
static void
check_text(enum base64_alphabet alphabet, struct str text)
{
	const size_t size_max = BASE64_DECODED_BYTES_MAX(text.len);
	uint8_t *bytes = malloc(size_max);
	struct buf again;
	size_t n;

	assert(bytes != NULL);
	buf_init(&again, text.len + 4);
	if (base64_decode(alphabet, text, bytes, size_max, &n)) {
		base64_encode(alphabet, bytes, n, &again);
		assert(str_equal(buf_str(&again), text));
		/* It needs exactly the room it takes. */
		assert(base64_decode(alphabet, text, bytes, n, &n));
		assert(
		    n == 0 || !base64_decode(alphabet, text, bytes, n - 1, &n));
	}
	buf_free(&again);
	free(bytes);
}

/* Any bytes come back from their text. */
static void
check_bytes(enum base64_alphabet alphabet, const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size + 1);
	struct buf text;
	size_t n = SIZE_MAX;

	assert(bytes != NULL);
	buf_init(&text, BASE64_ENCODED_LENGTH(size) + 1);
	base64_encode(alphabet, data, size, &text);
	assert(!text.failed);
	assert(text.len <= BASE64_ENCODED_LENGTH(size));
	assert(base64_decode(alphabet, buf_str(&text), bytes, size, &n));
	assert(n == size);
	assert(size == 0 || memcmp(bytes, data, size) == 0);
	buf_free(&text);
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };

	check_text(BASE64_STANDARD, text);
	check_text(BASE64_URL, text);
	check_bytes(BASE64_STANDARD, data, size);
	check_bytes(BASE64_URL, data, size);
	return 0;
}
