/* SPDX-License-Identifier: MIT */
#include "wire/seal.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define CHUNK_BYTES 65536
#define FRAME_BYTES 17

static const struct str passphrase = { "correct horse battery", 21 };

static int
file_of(const void *bytes, size_t n)
{
	const int fd = memfd_create("seal", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static size_t
content_of(int fd, char *bytes, size_t size)
{
	ssize_t n;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	n = read(fd, bytes, size);
	assert_true(n >= 0);
	return (size_t)n;
}

static int
sealed_of(const char *bytes, size_t n)
{
	const int from = file_of(bytes, n), to = file_of("", 0);

	assert_int_equal(seal_close(from, to, passphrase), SEAL_OK);
	(void)close(from);
	assert_int_equal(lseek(to, 0, SEEK_SET), 0);
	return to;
}

static enum seal_verdict
open_of(const char *sealed, size_t n, struct str with)
{
	const int from = file_of(sealed, n), to = file_of("", 0);
	const enum seal_verdict verdict = seal_open(from, to, with);

	(void)close(from);
	(void)close(to);
	return verdict;
}

static void
what_was_sealed_opens_as_it_was_at_every_length(void **state)
{
	static const size_t lengths[] = { 0, 1, CHUNK_BYTES - 1, CHUNK_BYTES,
		CHUNK_BYTES + 1, 3 * CHUNK_BYTES };
	static char plain[3 * CHUNK_BYTES], back[4 * CHUNK_BYTES];

	(void)state;
	randombytes_buf(plain, sizeof(plain));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		const int sealed = sealed_of(plain, lengths[i]);
		const int to = file_of("", 0);

		assert_int_equal(seal_open(sealed, to, passphrase), SEAL_OK);
		assert_int_equal(content_of(to, back, sizeof(back)),
		    lengths[i]);
		assert_memory_equal(back, plain, lengths[i]);
		(void)close(sealed);
		(void)close(to);
	}
}

static void
another_passphrase_a_changed_bit_and_a_cut_do_not_open(void **state)
{
	static char plain[CHUNK_BYTES + 10], bytes[2 * CHUNK_BYTES];
	const int sealed = sealed_of(plain, sizeof(plain));
	const size_t n = content_of(sealed, bytes, sizeof(bytes));
	/* One of each part: magic, salt, header, first and last chunk. */
	const size_t places[] = { 0, 20, 40, 100, n - 1 };

	(void)state;
	(void)close(sealed);
	assert_int_equal(open_of(bytes, n, passphrase), SEAL_OK);
	assert_int_equal(open_of(bytes, n, STR("correct horse batterx")),
	    SEAL_BAD);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		bytes[places[i]] ^= 1;
		assert_int_equal(open_of(bytes, n, passphrase), SEAL_BAD);
		bytes[places[i]] ^= 1;
	}
	assert_int_equal(open_of(bytes, n - 1, passphrase), SEAL_BAD);
	/* Exactly the last chunk is missing. */
	assert_int_equal(open_of(bytes, n - 10 - FRAME_BYTES, passphrase),
	    SEAL_BAD);
	bytes[n] = 0;
	assert_int_equal(open_of(bytes, n + 1, passphrase), SEAL_BAD);
	assert_int_equal(open_of("", 0, passphrase), SEAL_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_was_sealed_opens_as_it_was_at_every_length),
		cmocka_unit_test(
		    another_passphrase_a_changed_bit_and_a_cut_do_not_open),
	};

	return sodium_init() < 0 ? 1 :
				   cmocka_run_group_tests(tests, NULL, NULL);
}
