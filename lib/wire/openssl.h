/* SPDX-License-Identifier: MIT */
#ifndef WIRE_OPENSSL_H
#define WIRE_OPENSSL_H

#include <openssl/crypto.h>
#include <stdlib.h>

/*
 * For each file that uses OpenSSL: where it finds no memory the program ends, as
 * it does everywhere in ours.  OpenSSL itself would say that it failed, and a
 * purchase that is good would be told for good that it is forged.
 */

static inline void *
openssl_malloc(size_t size, const char *file, int line)
{
	void *piece = size == 0 ? NULL : malloc(size);

	(void)file, (void)line;
	if (piece == NULL && size > 0)
		abort();
	return piece;
}

static inline void
openssl_free(void *piece, const char *file, int line)
{
	(void)file, (void)line;
	free(piece);
}

static inline void *
openssl_realloc(void *piece, size_t size, const char *file, int line)
{
	void *grown;

	if (size == 0) {
		openssl_free(piece, file, line);
		return NULL;
	}
	grown = realloc(piece, size);
	if (grown == NULL)
		abort();
	return grown;
}

/* Before main(): afterwards libcurl may have begun to use it. */
__attribute__((constructor)) static void
openssl_never_without_memory(void)
{
	(void)CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc,
	    openssl_free);
}

#endif
