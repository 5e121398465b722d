/* SPDX-License-Identifier: MIT */
/*
 * verify-jws SECONDS < JWS -- how many of the App Store's transactions one
 * processor verifies and decodes in a second, as update-credits does, when the
 * chain is one that was seen before.  The configuration is the environment's,
 * as for every program of ours.
 *
 * Prints "VERIFICATIONS_PER_SECOND".
 */

#include "base/arena.h"
#include "base/clock.h"
#include "base/config.h"
#include "provider/appstore.h"

#include <sodium.h>

static char jws[APPSTORE_JWS_BYTES_MAX];

static void
die(const char *what, const char *why)
{
	(void)fprintf(stderr, "verify-jws: %s: %s\n", what, why);
	exit(1);
}

static void
verify(const struct config *config, struct arena *arena, struct str text)
{
	struct appstore_transaction transaction;
	const enum appstore_verdict verdict =
	    appstore_verify_transaction(config, arena, text, clock_now_ms(),
		&transaction);

	if (verdict != APPSTORE_OK)
		die("refused", appstore_verdict_name(verdict));
	arena_reset(arena);
}

int
main(int argc, char **argv)
{
	struct config config;
	struct arena arena;
	struct buf problem;
	struct str text;
	int64_t seconds, count = 0;

	buf_init(&problem, 8192);
	if (argc != 2 || !str_to_int64(str_from(argv[1]), 1, 3600, &seconds))
		die("usage", "verify-jws SECONDS < JWS");
	if (sodium_init() < 0 || !config_load(&config, &problem))
		die("configuration", problem.ptr);
	text = (struct str){ jws, fread(jws, 1, sizeof(jws), stdin) };
	while (text.len > 0 && text.ptr[text.len - 1] == '\n')
		text.len--;
	arena_init(&arena, APPSTORE_ARENA_BYTES);
	verify(&config, &arena, text);

	const int64_t began_us = clock_monotonic_us();

	while (clock_monotonic_us() - began_us < seconds * 1000000) {
		verify(&config, &arena, text);
		count++;
	}
	(void)printf("%.0f\n", (double)count / (double)seconds);
	return 0;
}
