/* SPDX-License-Identifier: MIT */
#include "wire/base64.h"

#include <sodium.h>

/*
 * libsodium does the work.  With nothing to ignore and no end pointer it
 * refuses foreign characters, wrong or missing padding, a length of 4n + 1 and
 * trailing bits that are not zero.  One gap is left, see is_ascii().
 */
static int
variant_of(enum base64_alphabet alphabet)
{
	return alphabet == BASE64_STANDARD ?
	    sodium_base64_VARIANT_ORIGINAL :
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING;
}

void
base64_encode(enum base64_alphabet alphabet, const void *bytes, size_t n,
    struct buf *out)
{
	const int variant = variant_of(alphabet);
	const size_t size = sodium_base64_encoded_len(n, variant);
	char *at = buf_reserve(out, size - 1);

	if (at == NULL)
		return;
	/* The NUL that it writes is the one that every buf ends with. */
	(void)sodium_bin2base64(at, size, bytes, n, variant);
	out->len += size - 1;
}

/*
 * libsodium 1.0.18 takes every byte from 0x80 on for a character of the
 * alphabet, so that many texts would stand for the same bytes.
 */
static bool
is_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	return true;
}

bool
base64_decode(enum base64_alphabet alphabet, struct str text, void *bytes,
    size_t size, size_t *ret_n)
{
	size_t n;

	if (!is_ascii(text) ||
	    sodium_base642bin(bytes, size, text.ptr, text.len, NULL, &n, NULL,
		variant_of(alphabet)) != 0)
		return false;

	*ret_n = n;
	return true;
}
