/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_IDENTITIES_H
#define DOMAIN_IDENTITIES_H

#include "domain/sessions.h"

/*
 * Identities: accounts that belong to an Apple ID.
 *
 * What Apple says of a person was checked by the caller; here it meets our
 * accounts.  A guest whose Apple ID is new to us is upgraded in place, so its
 * id, credits and jobs stay; a guest whose Apple ID has an account already is
 * merged into that account (domain/merges.h).
 */

#define IDENTITY_HASH_BYTES 32

/* What Apple vouches for. */
struct identity {
	const char *sub;
	const char *email; /* verified; "" = not told */
	bool is_single_use; /* the token is taken once */
	uint8_t hash[IDENTITY_HASH_BYTES]; /* of the token */
	int64_t expires_at_ms;
};

enum identity_verdict {
	IDENTITY_OK,
	IDENTITY_REPLAYED, /* the token was taken before */
	IDENTITY_TAKEN, /* it has an account, or the account has one */
};

struct identity_entry {
	/* Given by the caller: */
	const struct identity *identity;
	const struct uuid *user_id; /* who asks; NULL = nobody */
	enum lang lang;
	bool counts_sandbox; /* of a merge: see credits_move() */
	int64_t now_ms;
	/* Filled in: */
	enum identity_verdict verdict;
	struct session session; /* when the verdict is OK */
};

/*
 * Signs in to the account of the identity.  If there is none, a guest who
 * asks is upgraded; else an account is made, without a gift, which is a
 * phone's.  Errors: ERR_USER_BANNED.
 */
enum err identities_sign_in(struct db *db, struct identity_entry *entry);

/* Upgrades who asks, or says IDENTITY_TAKEN; user_id is not NULL. */
enum err identities_link(struct db *db, struct identity_entry *entry);

/*
 * Upgrades the guest who asks, or merges it into the identity's account; the
 * session is of the account that survives.  Errors: ERR_CONFLICT when who
 * asks is no guest, or no longer; ERR_USER_BANNED.
 */
enum err identities_merge(struct db *db, struct identity_entry *entry);

/* What Apple tells of an identity later. */
enum identity_news {
	IDENTITY_EMAIL, /* the address is now `email`, "" = none */
	IDENTITY_SIGNED_OUT, /* no longer wants to be signed in here */
	IDENTITY_GONE, /* the Apple ID was deleted */
};

/*
 * Takes note of news, once for each hash; what concerns nobody is taken note
 * of too.  Signed out, all sessions end, and a renewed sign-in finds the
 * account again.  A deleted Apple ID never comes back: the account becomes a
 * guest's again, so that its phone still gets in to what was bought.
 */
enum err identities_notify(struct db *db, const struct identity *identity,
    enum identity_news news, int64_t now_ms);

/* The sealed refresh token of a user's consent. */
#define IDENTITY_SEALED_BYTES_MAX ((size_t)4096)
#define IDENTITY_CLIENT_ID_BYTES 256

struct identity_consent {
	char client_id[IDENTITY_CLIENT_ID_BYTES];
	uint8_t sealed[IDENTITY_SEALED_BYTES_MAX];
	size_t sealed_bytes;
};

/*
 * Keeps it in place of an older one, if the user still has an identity.  Whose
 * account was deleted while Apple was asked, it is kept of to be taken back.
 */
enum err identities_keep_consent(struct db *db, const struct uuid *user_id,
    const struct identity_consent *consent, int64_t now_ms);

/* Errors: ERR_NOT_FOUND. */
enum err identities_get_consent(struct db *db, const struct uuid *user_id,
    struct identity_consent *ret_consent);

/* Forgets up to `limit` used tokens that have expired. */
enum err identities_purge(struct db *db, int64_t now_ms, int64_t limit);

#endif
