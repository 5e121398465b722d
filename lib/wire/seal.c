/* SPDX-License-Identifier: MIT */
#include "wire/seal.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <unistd.h>

#define MAGIC "RENDIO-SEAL-1\n"
#define MAGIC_BYTES (sizeof(MAGIC) - 1)
#define CHUNK_BYTES ((size_t)64 * 1024)
#define SEALED_BYTES \
	(CHUNK_BYTES + crypto_secretstream_xchacha20poly1305_ABYTES)

/* What makes a guess dear: a second and 256 MiB. */
#define KEY_OPSLIMIT crypto_pwhash_OPSLIMIT_MODERATE
#define KEY_MEMLIMIT crypto_pwhash_MEMLIMIT_MODERATE

struct head {
	unsigned char magic[MAGIC_BYTES];
	unsigned char salt[crypto_pwhash_SALTBYTES];
	unsigned char stream[crypto_secretstream_xchacha20poly1305_HEADERBYTES];
};

static_assert(sizeof(struct head) ==
	MAGIC_BYTES + crypto_pwhash_SALTBYTES +
	    crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    "the head is written as it is in memory");

/* As much as there is, up to n bytes; fewer only at the end. */
static bool
read_full(int fd, unsigned char *bytes, size_t n, size_t *ret_n)
{
	size_t got = 0;

	while (got < n) {
		const ssize_t r = read(fd, bytes + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return false;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	*ret_n = got;
	return true;
}

static bool
write_full(int fd, const void *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		const ssize_t w =
		    write(fd, (const char *)bytes + done, n - done);

		if (w < 0 && errno != EINTR)
			return false;
		done += w < 0 ? 0 : (size_t)w;
	}
	return true;
}

static bool
derive(struct str passphrase, const struct head *head,
    unsigned char key[crypto_secretstream_xchacha20poly1305_KEYBYTES])
{
	return crypto_pwhash(key,
		   crypto_secretstream_xchacha20poly1305_KEYBYTES,
		   passphrase.ptr, passphrase.len, head->salt, KEY_OPSLIMIT,
		   KEY_MEMLIMIT, crypto_pwhash_ALG_ARGON2ID13) == 0;
}

static enum seal_verdict
seal_chunks(crypto_secretstream_xchacha20poly1305_state *state, int from,
    int to, unsigned char *plain, unsigned char *sealed)
{
	unsigned char tag = 0;
	size_t n;

	while (tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL) {
		if (!read_full(from, plain, CHUNK_BYTES, &n))
			return SEAL_IO;
		/* A chunk that is not full is the last one, and may be empty. */
		if (n < CHUNK_BYTES)
			tag = crypto_secretstream_xchacha20poly1305_TAG_FINAL;
		(void)crypto_secretstream_xchacha20poly1305_push(state, sealed,
		    NULL, plain, n, NULL, 0, tag);
		if (!write_full(to, sealed,
			n + crypto_secretstream_xchacha20poly1305_ABYTES))
			return SEAL_IO;
	}
	return SEAL_OK;
}

static enum seal_verdict
open_chunks(crypto_secretstream_xchacha20poly1305_state *state, int from,
    int to, unsigned char *plain, unsigned char *sealed)
{
	unsigned long long plain_bytes;
	unsigned char tag = 0;
	size_t n;

	while (tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL) {
		if (!read_full(from, sealed, SEALED_BYTES, &n))
			return SEAL_IO;
		if (n < crypto_secretstream_xchacha20poly1305_ABYTES ||
		    crypto_secretstream_xchacha20poly1305_pull(state, plain,
			&plain_bytes, &tag, sealed, n, NULL, 0) != 0)
			return SEAL_BAD;
		if (!write_full(to, plain, (size_t)plain_bytes))
			return SEAL_IO;
	}
	/* Nothing may follow the end. */
	if (!read_full(from, sealed, 1, &n))
		return SEAL_IO;
	return n == 0 ? SEAL_OK : SEAL_BAD;
}

struct work {
	crypto_secretstream_xchacha20poly1305_state state;
	unsigned char key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
	unsigned char plain[CHUNK_BYTES];
	unsigned char sealed[SEALED_BYTES];
};

static struct work *
work_new(void)
{
	struct work *work = malloc(sizeof(*work));

	if (work == NULL)
		abort();
	return work;
}

static void
work_free(struct work *work)
{
	sodium_memzero(work, sizeof(*work));
	free(work);
}

enum seal_verdict
seal_close(int from, int to, struct str passphrase)
{
	struct work *work = work_new();
	enum seal_verdict verdict = SEAL_IO;
	struct head head;

	memcpy(head.magic, MAGIC, MAGIC_BYTES);
	randombytes_buf(head.salt, sizeof(head.salt));
	if (derive(passphrase, &head, work->key)) {
		(void)crypto_secretstream_xchacha20poly1305_init_push(
		    &work->state, head.stream, work->key);
		if (write_full(to, &head, sizeof(head)))
			verdict = seal_chunks(&work->state, from, to,
			    work->plain, work->sealed);
	}
	work_free(work);
	return verdict;
}

enum seal_verdict
seal_open(int from, int to, struct str passphrase)
{
	struct work *work;
	enum seal_verdict verdict = SEAL_BAD;
	struct head head;
	size_t n;

	if (!read_full(from, (unsigned char *)&head, sizeof(head), &n))
		return SEAL_IO;
	if (n != sizeof(head) || memcmp(head.magic, MAGIC, MAGIC_BYTES) != 0)
		return SEAL_BAD;
	work = work_new();
	if (!derive(passphrase, &head, work->key))
		verdict = SEAL_IO;
	else if (crypto_secretstream_xchacha20poly1305_init_pull(&work->state,
		     head.stream, work->key) == 0)
		verdict = open_chunks(&work->state, from, to, work->plain,
		    work->sealed);
	work_free(work);
	return verdict;
}
