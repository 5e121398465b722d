/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdalign.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARENA_BYTES_MAX ((size_t)1024 * 1024)

static int
setup(void **state)
{
	static struct arena arena;

	arena_init(&arena, ARENA_BYTES_MAX);
	*state = &arena;
	return 0;
}

static int
teardown(void **state)
{
	arena_free(*state);
	return 0;
}

static void
pieces_are_zeroed_aligned_and_apart(void **state)
{
	struct arena *arena = *state;
	char *before = NULL;
	size_t before_bytes = 0;

	for (size_t bytes = 1; bytes < 100; bytes++) {
		char *piece = arena_alloc(arena, bytes);

		assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
		assert_true(before == NULL || piece >= before + before_bytes);
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(piece[i], 0);
		memset(piece, 0xff, bytes);
		before = piece;
		before_bytes = bytes;
	}
}

static void
memory_is_zeroed_again_after_a_reset(void **state)
{
	/* Below and above what a reset gives back to the kernel. */
	static const size_t sizes[] = { 100, ARENA_BYTES_MAX / 2 };
	struct arena *arena = *state;

	for (size_t n = 0; n < 2; n++) {
		char *piece = arena_alloc(arena, sizes[n]);

		memset(piece, 0xff, sizes[n]);
		arena_reset(arena);
		assert_int_equal(arena->used_bytes, 0);
		piece = arena_alloc(arena, sizes[n]);
		for (size_t i = 0; i < sizes[n]; i++)
			assert_int_equal(piece[i], 0);
		arena_reset(arena);
	}
}

static void
a_copied_string_is_terminated_and_independent(void **state)
{
	char original[] = "abc";
	char *copy = arena_strdup(*state, (struct str){ original, 2 });

	original[0] = 'x';
	assert_string_equal(copy, "ab");
	assert_string_equal(arena_strdup(*state, (struct str){ NULL, 0 }), "");
}

/* Does taking this many bytes from a fresh arena end the process? */
static bool
ends_the_process(size_t bytes)
{
	const pid_t child = fork();
	int status;

	if (child == 0) {
		struct arena arena;

		arena_init(&arena, 4096);
		(void)arena_alloc(&arena, bytes);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void
running_out_ends_the_process(void **state)
{
	(void)state;
	assert_false(ends_the_process(4096 - 16));
	assert_true(ends_the_process(4097));
	assert_true(ends_the_process(SIZE_MAX));
	assert_true(ends_the_process(SIZE_MAX - 8));
}

static void
freeing_twice_is_harmless(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 4096);
	arena_free(&arena);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
		cmocka_unit_test(memory_is_zeroed_again_after_a_reset),
		cmocka_unit_test(a_copied_string_is_terminated_and_independent),
		cmocka_unit_test(running_out_ends_the_process),
		cmocka_unit_test(freeing_twice_is_harmless),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
