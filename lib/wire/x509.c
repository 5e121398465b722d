/* SPDX-License-Identifier: MIT */
#include "wire/x509.h"

#include "base/cleanup.h"
#include "wire/base64.h"

#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sodium.h>

/*
 * 112 bits: SHA-1 and MD5 do not count, nor do RSA keys below 2,048 bits.
 * What stronger things Apple moves to is Apple's affair.
 */
#define SECURITY_LEVEL 2

/* Apple has one or two chains at a time. */
#define SLOTS 8

#define HASH_BYTES crypto_hash_sha256_BYTES

/* When all three certificates are valid, both ends included. */
struct window {
	bool is_trusted;
	int64_t from_s;
	int64_t to_s;
};

struct x509_leaf {
	uint8_t id[HASH_BYTES]; /* of the three texts it came in */
	EVP_PKEY *key; /* NULL: the slot is free */
	struct window below[X509_ROOTS_MAX];
};

struct x509_trust {
	bool is_strict;
	ASN1_OBJECT *leaf_marker;
	ASN1_OBJECT *intermediate_marker;
	/*
	 * A store a root: of several with the same name OpenSSL tries only
	 * one.
	 */
	X509_STORE *store[X509_ROOTS_MAX];
	X509 *root[X509_ROOTS_MAX];
	size_t roots_count;
	uint8_t denied[X509_DENIED_MAX][HASH_BYTES];
	size_t denied_count;
	struct x509_leaf slot[SLOTS];
	size_t oldest_slot;
};

struct chain {
	X509 *certificate[X509_CHAIN_LENGTH];
};

static void
free_chain(struct chain *chain)
{
	for (size_t i = 0; i < X509_CHAIN_LENGTH; i++)
		X509_free(chain->certificate[i]);
}

static void *
need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

struct x509_trust *
x509_trust_new(const struct x509_rules *rules)
{
	struct x509_trust *trust = need(calloc(1, sizeof(*trust)));

	trust->is_strict = rules->is_strict;
	trust->leaf_marker = need(OBJ_txt2obj(rules->leaf_marker, 1));
	trust->intermediate_marker =
	    need(OBJ_txt2obj(rules->intermediate_marker, 1));
	return trust;
}

void
x509_trust_free(struct x509_trust *trust)
{
	if (trust == NULL)
		return;
	ASN1_OBJECT_free(trust->leaf_marker);
	ASN1_OBJECT_free(trust->intermediate_marker);
	for (size_t i = 0; i < trust->roots_count; i++) {
		X509_STORE_free(trust->store[i]);
		X509_free(trust->root[i]);
	}
	for (size_t i = 0; i < SLOTS; i++)
		EVP_PKEY_free(trust->slot[i].key);
	free(trust);
}

/* Exactly one certificate, exactly in the form that was signed. */
static X509 *
read_der(const uint8_t *der, size_t n)
{
	const unsigned char *at = der;
	unsigned char *again = NULL;
	X509 *certificate = d2i_X509(NULL, &at, (long)n);
	int again_bytes;
	bool ok;

	if (certificate == NULL)
		return NULL;
	again_bytes = i2d_X509(certificate, &again);
	ok = at == der + n && again_bytes > 0 && (size_t)again_bytes == n &&
	    memcmp(again, der, n) == 0;
	OPENSSL_free(again);
	if (!ok) {
		X509_free(certificate);
		return NULL;
	}
	return certificate;
}

/* Takes the certificate over. */
static bool
add_root(struct x509_trust *trust, X509 *root)
{
	X509_STORE *store;

	if (trust->roots_count == X509_ROOTS_MAX) {
		X509_free(root);
		return false;
	}
	store = need(X509_STORE_new());
	if (X509_STORE_add_cert(store, root) != 1)
		abort();
	trust->store[trust->roots_count] = store;
	trust->root[trust->roots_count] = root;
	trust->roots_count++;
	return true;
}

static bool
add_pem(struct x509_trust *trust, struct str file)
{
	BIO *bio = need(BIO_new_mem_buf(file.ptr, (int)file.len));
	size_t added = 0;
	bool ok = true;
	X509 *root;

	while (ok && (root = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		ok = add_root(trust, root);
		added++;
	}
	/* Where no further one begins is the end; all else is damage. */
	ok = ok && added > 0 &&
	    ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	(void)BIO_free(bio);
	return ok;
}

bool
x509_trust_add_roots(struct x509_trust *trust, struct str file)
{
	X509 *root;
	bool ok;

	if (file.len == 0 || file.len > X509_ROOTS_FILE_BYTES_MAX)
		return false;
	ERR_clear_error();
	if ((uint8_t)file.ptr[0] == (V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED)) {
		root = read_der((const uint8_t *)file.ptr, file.len);
		ok = root != NULL && add_root(trust, root);
	} else {
		ok = add_pem(trust, file);
	}
	ERR_clear_error();
	return ok;
}

bool
x509_trust_deny(struct x509_trust *trust, struct str hex)
{
	size_t n;

	/* Tools print fingerprints with and without colons. */
	if (trust->denied_count == X509_DENIED_MAX ||
	    sodium_hex2bin(trust->denied[trust->denied_count], HASH_BYTES,
		hex.ptr, hex.len, ":", &n, NULL) != 0 ||
	    n != HASH_BYTES)
		return false;
	trust->denied_count++;
	return true;
}

static bool
is_listed(const struct x509_trust *trust, const unsigned char *bytes, size_t n)
{
	uint8_t hash[HASH_BYTES];

	(void)crypto_hash_sha256(hash, bytes, n);
	for (size_t i = 0; i < trust->denied_count; i++)
		if (memcmp(hash, trust->denied[i], HASH_BYTES) == 0)
			return true;
	return false;
}

static bool
is_denied(const struct x509_trust *trust, X509 *leaf)
{
	unsigned char *certificate = NULL, *key = NULL;
	const int certificate_bytes = i2d_X509(leaf, &certificate);
	const int key_bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &key);
	/* What cannot be looked up is not let through. */
	const bool denied = certificate_bytes <= 0 || key_bytes <= 0 ||
	    is_listed(trust, certificate, (size_t)certificate_bytes) ||
	    is_listed(trust, key, (size_t)key_bytes);

	OPENSSL_free(certificate);
	OPENSSL_free(key);
	return denied;
}

static bool
read_chain(const struct str x5c[X509_CHAIN_LENGTH], struct chain *chain)
{
	uint8_t der[X509_CERTIFICATE_BYTES_MAX];
	size_t n;

	for (size_t i = 0; i < X509_CHAIN_LENGTH; i++) {
		if (!base64_decode(BASE64_STANDARD, x5c[i], der, sizeof(der),
			&n))
			return false;
		chain->certificate[i] = read_der(der, n);
		if (chain->certificate[i] == NULL)
			return false;
	}
	return true;
}

/* By name, not by parameters that only look like the curve. */
static bool
is_p256(EVP_PKEY *key)
{
	int is_explicit = 1;
	char group[32];

	return key != NULL &&
	    EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME,
		group, sizeof(group), NULL) == 1 &&
	    strcmp(group, "prime256v1") == 0 &&
	    EVP_PKEY_get_int_param(key,
		OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
		&is_explicit) == 1 &&
	    is_explicit == 0;
}

/* The rules that OpenSSL does not know. */
static bool
keeps_rules(const struct x509_trust *trust, const struct chain *chain)
{
	X509 *leaf = chain->certificate[0];
	X509 *intermediate = chain->certificate[1];

	return is_p256(X509_get0_pubkey(leaf)) &&
	    (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) != 0 &&
	    X509_check_ca(intermediate) == 1 &&
	    X509_get_ext_by_OBJ(leaf, trust->leaf_marker, -1) >= 0 &&
	    X509_get_ext_by_OBJ(intermediate, trust->intermediate_marker, -1) >=
	    0;
}

/* Leaf, our intermediate, this root, and all that RFC 5280 asks but time. */
static bool
is_below(const struct x509_trust *trust, const struct chain *chain,
    X509_STORE *store)
{
	X509_STORE_CTX *context = need(X509_STORE_CTX_new());
	STACK_OF(X509) *untrusted = need(sk_X509_new_null());
	const STACK_OF(X509) * built;
	X509_VERIFY_PARAM *param;
	bool ok;

	if (sk_X509_push(untrusted, chain->certificate[1]) != 1 ||
	    X509_STORE_CTX_init(context, store, chain->certificate[0],
		untrusted) != 1)
		abort();
	param = X509_STORE_CTX_get0_param(context);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	(void)X509_VERIFY_PARAM_set_flags(param,
	    X509_V_FLAG_NO_CHECK_TIME |
		(trust->is_strict ? (unsigned long)X509_V_FLAG_X509_STRICT :
				    0));
	ok = X509_verify_cert(context) == 1;
	built = X509_STORE_CTX_get0_chain(context);
	ok = ok && sk_X509_num(built) == X509_CHAIN_LENGTH &&
	    X509_cmp(sk_X509_value(built, 1), chain->certificate[1]) == 0;
	X509_STORE_CTX_free(context);
	sk_X509_free(untrusted);
	return ok;
}

static bool
narrow(struct window *window, const X509 *certificate)
{
	struct tm from, to;
	int64_t from_s, to_s;

	if (ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &from) != 1 ||
	    ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &to) != 1)
		return false;
	from_s = timegm(&from);
	to_s = timegm(&to);
	if (from_s > window->from_s)
		window->from_s = from_s;
	if (to_s < window->to_s)
		window->to_s = to_s;
	return true;
}

static struct window
judge(const struct x509_trust *trust, const struct chain *chain, size_t root)
{
	struct window window = { .from_s = INT64_MIN, .to_s = INT64_MAX };

	window.is_trusted = narrow(&window, chain->certificate[0]) &&
	    narrow(&window, chain->certificate[1]) &&
	    narrow(&window, trust->root[root]) &&
	    is_below(trust, chain, trust->store[root]);
	return window;
}

static void
name_chain(const struct str x5c[X509_CHAIN_LENGTH], uint8_t id[HASH_BYTES])
{
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < X509_CHAIN_LENGTH; i++) {
		(void)crypto_hash_sha256_update(&state,
		    (const unsigned char *)x5c[i].ptr, x5c[i].len);
		/* Not of the alphabet, so it keeps the texts apart. */
		(void)crypto_hash_sha256_update(&state,
		    (const unsigned char *)".", 1);
	}
	(void)crypto_hash_sha256_final(&state, id);
}

static const struct x509_leaf *
find_leaf(const struct x509_trust *trust, const uint8_t id[HASH_BYTES])
{
	for (size_t i = 0; i < SLOTS; i++)
		if (trust->slot[i].key != NULL &&
		    memcmp(trust->slot[i].id, id, HASH_BYTES) == 0)
			return &trust->slot[i];
	return NULL;
}

/* Only chains that a root stands behind are kept, so junk evicts nothing. */
static enum x509_verdict
examine(struct x509_trust *trust, const struct str x5c[X509_CHAIN_LENGTH],
    struct x509_leaf *leaf)
{
	CLEANUP(free_chain) struct chain chain = { 0 };
	bool is_trusted = false;

	if (!read_chain(x5c, &chain))
		return X509_UNREADABLE;
	if (is_denied(trust, chain.certificate[0]))
		return X509_DENIED;
	if (!keeps_rules(trust, &chain))
		return X509_UNTRUSTED;
	for (size_t i = 0; i < trust->roots_count; i++) {
		leaf->below[i] = judge(trust, &chain, i);
		is_trusted = is_trusted || leaf->below[i].is_trusted;
	}
	if (!is_trusted)
		return X509_UNTRUSTED;
	leaf->key = need(X509_get_pubkey(chain.certificate[0]));
	return X509_GOOD;
}

static bool
is_valid_at(const struct x509_trust *trust, const struct x509_leaf *leaf,
    int64_t at_s)
{
	for (size_t i = 0; i < trust->roots_count; i++)
		if (leaf->below[i].is_trusted &&
		    at_s >= leaf->below[i].from_s &&
		    at_s <= leaf->below[i].to_s)
			return true;
	return false;
}

enum x509_verdict
x509_verify(struct x509_trust *trust, const struct str x5c[X509_CHAIN_LENGTH],
    int64_t at_ms, const struct x509_leaf **ret_leaf)
{
	struct x509_leaf fresh = { 0 };
	const struct x509_leaf *leaf;
	enum x509_verdict verdict;

	name_chain(x5c, fresh.id);
	leaf = find_leaf(trust, fresh.id);
	if (leaf == NULL) {
		struct x509_leaf *slot = &trust->slot[trust->oldest_slot];

		verdict = examine(trust, x5c, &fresh);
		/* libcurl would take what is left there for its own. */
		ERR_clear_error();
		if (verdict != X509_GOOD)
			return verdict;
		EVP_PKEY_free(slot->key);
		*slot = fresh;
		trust->oldest_slot = (trust->oldest_slot + 1) % SLOTS;
		leaf = slot;
	}
	/* Certificates count in seconds; a date before 1970 is never valid. */
	if (at_ms < 0 || !is_valid_at(trust, leaf, at_ms / 1000))
		return X509_NOT_VALID_THEN;
	*ret_leaf = leaf;
	return X509_GOOD;
}

/* r and s as OpenSSL wants them; NULL when memory is out. */
static int
to_der(const uint8_t raw[X509_SIGNATURE_BYTES], unsigned char **der)
{
	const int half = X509_SIGNATURE_BYTES / 2;
	ECDSA_SIG *pair = need(ECDSA_SIG_new());
	int n;

	if (ECDSA_SIG_set0(pair, need(BN_bin2bn(raw, half, NULL)),
		need(BN_bin2bn(raw + half, half, NULL))) != 1)
		abort();
	n = i2d_ECDSA_SIG(pair, der);
	ECDSA_SIG_free(pair);
	return n;
}

bool
x509_leaf_signed(const struct x509_leaf *leaf, struct str message,
    const uint8_t signature[X509_SIGNATURE_BYTES])
{
	EVP_MD_CTX *context = need(EVP_MD_CTX_new());
	unsigned char *der = NULL;
	const int n = to_der(signature, &der);
	bool ok;

	/* OpenSSL refuses numbers that are zero or past the curve's order. */
	ok = n > 0 &&
	    EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL,
		leaf->key) == 1 &&
	    EVP_DigestVerify(context, der, (size_t)n,
		(const unsigned char *)message.ptr, message.len) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return ok;
}
