/* SPDX-License-Identifier: MIT */
#include "wire/rs256.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A key whose private half is gone, and the one token it ever signed. */
static const char key_set[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"0s-dB7CEW2oK_X1fN3BSWhuhzmItFtU5x"
    "79MtvKkUUpsFyp6eB3K6EARGt4bXYIYqV13oPvTik_3QpYFpfvFqDv6D8Ebx"
    "N-IMvb98U4nh4yCYuiIdQ3ZszuVxyXmnOTXRSuPGHm0sXMG7jhaFoszdUtnT"
    "BYfUm55LKv19LnUI2c_b8CNMN9MOcGz87RTcFwUES--XH9GQzySXOHpEqtKl"
    "-2FsT0tqhL1ZkLG0TdkiUXTYTOSs-o6UD1G-9vYg-jOVwcdZ5bjb-5iNsCTJ"
    "HJZYqSQDaEmP-0si5sVdgwY-TR2kycScQUHJu1WYGjOTYs8JMd_v1ySSwnYg"
    "uXEIgyGvQ\",\"e\":\"AQAB\",\"kid\":\"second\",\"use\":\"sig\",\"alg\":"
    "\"RS25"
    "6\"}]}";
static const char token[] =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InNlY29uZCJ9.eyJpc3MiOiJodHRwczo"
    "vL2FwcGxlaWQuYXBwbGUuY29tIiwic3ViIjoiMDAxMjM0LmFiYyIsImF1ZCI"
    "6ImNvbS5leGFtcGxlLmFwcCIsImV4cCI6MTc5MDAwMzYwMCwiaWF0IjoxNzk"
    "wMDAwMDAwfQ.GMUkKTKRPOLfxReeKrYpTZQtEc77NpmTOYsGHYW7C4dnHhyv"
    "aJEsSfW8PMcxICOH6Fjun9g0_IjJDiKNHl1IE2O4H4wANSYJkezovrfoG_14"
    "O3mvo57WjX_kcBTrvUdzLmnu8JXEjvMNEEya30P9RCz3Oiyjt0kjJV-V-JNF"
    "DkKVm9dwZOe5VruvLjq6ZT5tkePkJtERL3zo-mdYn8b_yVgRdWCNuLg-AGdY"
    "u_NA5JlTh4RMRF4cQld_RGXrGoqAHtjAHzVgHV-K_h_vX2mp4jI8FO5X_0No"
    "BW3sRbX828Tp8xoXKRZxKiD9bfE8iceIuNzfyLQ0m1gK3s12veANPA";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };
	static struct arena arena;
	struct str claims;

	if (arena.base == NULL)
		arena_init(&arena, (size_t)16 * 1024 * 1024);
	arena_reset(&arena);
	(void)rs256_peek(&arena, text, &claims);
	if (rs256_verify(&arena, str_from(key_set), text, &claims) == RS256_OK)
		assert(str_equal(text, str_from(token)));
	(void)rs256_has_keys(&arena, text);
	(void)rs256_verify(&arena, text, str_from(token), &claims);
	return 0;
}
