/* SPDX-License-Identifier: MIT */
#include "wire/openssl.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/*
 * Weak: this alone is no reason for a program to load OpenSSL, which is half a
 * megabyte of each.
 */
#pragma weak CRYPTO_set_mem_functions

static void *
get(size_t size, const char *file, int line)
{
	void *piece = size == 0 ? NULL : malloc(size);

	(void)file, (void)line;
	if (piece == NULL && size > 0)
		abort();
	return piece;
}

static void
give_back(void *piece, const char *file, int line)
{
	(void)file, (void)line;
	free(piece);
}

static void *
resize(void *piece, size_t size, const char *file, int line)
{
	void *resized;

	if (size == 0) {
		give_back(piece, file, line);
		return NULL;
	}
	resized = realloc(piece, size);
	if (resized == NULL)
		abort();
	return resized;
}

void
openssl_end_without_memory(void)
{
	if (CRYPTO_set_mem_functions != NULL)
		(void)CRYPTO_set_mem_functions(get, resize, give_back);
}
