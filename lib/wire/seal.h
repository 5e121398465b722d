/* SPDX-License-Identifier: MIT */
#ifndef WIRE_SEAL_H
#define WIRE_SEAL_H

#include "base/str.h"

/*
 * Sealed streams: bytes of any length under a passphrase, for what leaves the
 * machine.  By libsodium: a key by Argon2id from the passphrase and a salt,
 * then secretstream (XChaCha20-Poly1305) in chunks, the last of them marked,
 * so that a stream that was cut, changed or reordered does not open.
 *
 *	"RENDIO-SEAL-1\n"  salt (16)  stream header (24)  chunks
 */

/* Shorter ones are guessed. */
#define SEAL_PASSPHRASE_BYTES_MIN 12

enum seal_verdict {
	SEAL_OK,
	SEAL_IO, /* errno tells */
	SEAL_BAD, /* not sealed by us, damaged, or another passphrase */
};

/* Reads `from` to its end and writes it, sealed or opened, to `to`. */
enum seal_verdict seal_close(int from, int to, struct str passphrase);
enum seal_verdict seal_open(int from, int to, struct str passphrase);

#endif
