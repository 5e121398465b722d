/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPSTORE_CHECK_H
#define PROVIDER_APPSTORE_CHECK_H

#include "provider/appstore_read.h"
#include "wire/x509.h"

/*
 * The one path on which a signed payload becomes trusted, for the endpoints
 * and for `rendio verify-jws`; provider/appstore.h is the door.
 */

enum appstore_kind {
	APPSTORE_KIND_TRANSACTION,
	APPSTORE_KIND_RENEWAL,
	APPSTORE_KIND_NOTIFICATION,
	APPSTORE_KIND_APP_TRANSACTION,
};

/* A chain's two marks, without which any developer's would pass. */
#define APPSTORE_LEAF_MARKER "1.2.840.113635.100.6.11.1"
#define APPSTORE_INTERMEDIATE_MARKER "1.2.840.113635.100.6.2.1"

/* Apple Root CA - G3, in PEM. */
extern const char appstore_root_pem[];

struct appstore_rules {
	struct x509_trust *trust;
	struct x509_trust *sandbox_trust; /* for Sandbox alone; may be NULL */
	struct str bundle_id;
	int64_t app_id; /* 0 = unknown: what names one is refused */
	bool takes_production;
	bool takes_sandbox;
};

struct appstore_proof {
	struct str payload_text; /* JSON, as it was signed */
	/* One of them, by kind. */
	struct appstore_transaction transaction;
	struct appstore_renewal renewal;
	struct appstore_notification notification;
	struct appstore_app_transaction app_transaction;
};

/*
 * Verifies and decodes, nested proofs included.  *ret_proof is written on
 * APPSTORE_OK and APPSTORE_INCOMPLETE: both are proven.  Verdicts about the
 * app, the environment and the payload are only given of what is signed.
 */
enum appstore_verdict appstore_check(const struct appstore_rules *rules,
    struct arena *arena, enum appstore_kind kind, struct str jws,
    int64_t now_ms, struct appstore_proof *ret_proof);

#endif
