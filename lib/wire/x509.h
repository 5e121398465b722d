/* SPDX-License-Identifier: MIT */
#ifndef WIRE_X509_H
#define WIRE_X509_H

#include "base/str.h"

/*
 * Chains of three certificates (RFC 5280) below roots that we pinned: leaf,
 * intermediate, root.  OpenSSL judges them; nothing of the system's store is
 * ever trusted.  Revocation is not asked about: a list of denied leaves is
 * the emergency brake.
 */

#define X509_CHAIN_LENGTH 3

/* A certificate of Apple's has about 1,000 bytes. */
#define X509_CERTIFICATE_BYTES_MAX ((size_t)8192)

/* A file with roots holds a few of them. */
#define X509_ROOTS_FILE_BYTES_MAX ((size_t)64 * 1024)
#define X509_ROOTS_MAX 8

/* More leaves than are ever in use at once. */
#define X509_DENIED_MAX 64

enum x509_verdict {
	X509_GOOD,
	X509_UNREADABLE, /* not three certificates in DER, in base64 */
	X509_UNTRUSTED, /* no root of ours, or against the rules */
	X509_NOT_VALID_THEN, /* one of the three, at that date */
	X509_DENIED,
};

/* What a chain must have, apart from what RFC 5280 asks. */
struct x509_rules {
	const char *leaf_marker; /* OID of an extension, "1.2.840..." */
	const char *intermediate_marker;
	bool is_strict; /* X509_V_FLAG_X509_STRICT */
};

/*
 * What is trusted, with the last few chains that were found good: a chain's
 * verdict depends on nothing but its bytes and the date, and the date is
 * looked at each time.
 */
struct x509_trust;

/* Borrows the rules' texts for the call only.  Never NULL. */
struct x509_trust *x509_trust_new(const struct x509_rules *rules);
void x509_trust_free(struct x509_trust *trust);

/*
 * Adds the roots in `file`: PEM of one or more, or DER of one.  False, with
 * some perhaps added, when there is none, one is unreadable or there are too
 * many.
 */
bool x509_trust_add_roots(struct x509_trust *trust, struct str file);

/*
 * Denies leaves by a SHA-256 in hex: of the certificate, or of its public key
 * (SubjectPublicKeyInfo).  Prefer the key: whoever stole it can change the
 * bytes of the certificate's signature, and so the certificate's hash, without
 * making it invalid.  False for other text or when there are too many.
 */
bool x509_trust_deny(struct x509_trust *trust, struct str hex);

/* The leaf's key, P-256. */
struct x509_leaf;

/*
 * Judges the chain x5c (standard base64 of DER: leaf, intermediate, root) at
 * a date.  The third is only read: trust comes from our roots.  *ret_leaf
 * lives until the next call.
 */
enum x509_verdict
x509_verify(struct x509_trust *trust, const struct str x5c[X509_CHAIN_LENGTH],
    int64_t at_ms, const struct x509_leaf **ret_leaf);

#define X509_SIGNATURE_BYTES 64

/* Did the leaf sign this with ES256 (r and s, 32 bytes each)? */
bool x509_leaf_signed(const struct x509_leaf *leaf, struct str message,
    const uint8_t signature[X509_SIGNATURE_BYTES]);

#endif
