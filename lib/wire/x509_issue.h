/* SPDX-License-Identifier: MIT */
#ifndef WIRE_X509_ISSUE_H
#define WIRE_X509_ISSUE_H

#include "base/buf.h"
#include "wire/x509.h"

/*
 * The other side of wire/x509.h and wire/jws.h, for the stand-ins of sandbox
 * mode: a chain of our own and tokens signed below it.
 */

/* Four blocks of PEM take about 2,500 bytes. */
#define X509_IDENTITY_BYTES_MAX ((size_t)16 * 1024)

struct x509_issue {
	const char *name; /* of all three, with what each one is */
	const char *leaf_marker;
	const char *intermediate_marker;
	int64_t from_ms;
	int64_t to_ms; /* a date before 2050 */
};

/*
 * Appends an identity: the leaf's key (P-256) and the chain leaf,
 * intermediate, root in PEM.  The other two keys are forgotten.
 */
void x509_issue(const struct x509_issue *issue, struct buf *identity);

/* The last certificate of an identity, in PEM; "" when there is none. */
struct str x509_identity_root(struct str identity);

/*
 * Appends a compact JWS of this payload (a JSON object), with the identity's
 * chain in x5c.  False, with nothing appended, when it is not an identity.
 */
bool jws_sign(struct str identity, struct str payload, struct buf *out);

#endif
