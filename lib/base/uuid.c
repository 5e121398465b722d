/* SPDX-License-Identifier: MIT */
#include "base/uuid.h"

#include <errno.h>
#include <sys/random.h>

void
random_bytes(void *bytes, size_t n)
{
	uint8_t *p = bytes;

	while (n > 0) {
		const ssize_t got = getrandom(p, n, 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			abort();
		}
		p += got;
		n -= (size_t)got;
	}
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
is_dash_position(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

bool
uuid_parse(struct str text, struct uuid *ret_uuid)
{
	struct uuid uuid = { { 0 } };
	size_t nibble = 0;

	if (text.len != UUID_TEXT_BYTES - 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int digit;

		if (is_dash_position(i)) {
			if (text.ptr[i] != '-')
				return false;
			continue;
		}
		digit = hex_digit(text.ptr[i]);
		if (digit < 0)
			return false;
		uuid.bytes[nibble / 2] =
		    (uint8_t)(uuid.bytes[nibble / 2] << 4 | digit);
		nibble++;
	}
	*ret_uuid = uuid;
	return true;
}

void
uuid_format(const struct uuid *uuid, char text[UUID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	size_t nibble = 0;

	for (size_t i = 0; i < UUID_TEXT_BYTES - 1; i++) {
		if (is_dash_position(i)) {
			text[i] = '-';
			continue;
		}
		text[i] =
		    digits[nibble % 2 == 0 ? uuid->bytes[nibble / 2] >> 4 :
					     uuid->bytes[nibble / 2] & 0x0f];
		nibble++;
	}
	text[UUID_TEXT_BYTES - 1] = '\0';
}

bool
uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, UUID_BYTES) == 0;
}

int
uuid_version(const struct uuid *uuid)
{
	return uuid->bytes[6] >> 4;
}

static void
set_version(struct uuid *uuid, uint8_t version)
{
	uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | version << 4);
	uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

struct uuid
uuid_random(void)
{
	struct uuid uuid;

	random_bytes(uuid.bytes, sizeof(uuid.bytes));
	set_version(&uuid, 4);
	return uuid;
}

struct uuid
uuid_sortable(int64_t now_ms)
{
	struct uuid uuid;

	random_bytes(uuid.bytes, sizeof(uuid.bytes));
	for (size_t i = 0; i < 6; i++)
		uuid.bytes[i] = (uint8_t)((uint64_t)now_ms >> (40 - 8 * i));
	set_version(&uuid, 7);
	return uuid;
}
