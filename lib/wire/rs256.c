/* SPDX-License-Identifier: MIT */
#include "wire/rs256.h"

#include "base/cleanup.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/json_writer.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#define MODULUS_BYTES_MAX (RS256_MODULUS_BITS_MAX / 8)

/* Everybody uses 65537; a long exponent only makes checking slow. */
#define EXPONENT_BYTES_MAX 4

static void
free_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void
free_number(BIGNUM **number)
{
	BN_free(*number);
}

static void
free_bio(BIO **bio)
{
	(void)BIO_free(*bio);
}

/* A token's three parts, the first two decoded. */
struct parts {
	struct str header;
	struct str claims;
	struct str signed_text;
	struct str signature; /* still encoded */
};

static bool
decode(struct arena *arena, struct str text, struct str *ret_bytes)
{
	const size_t size = BASE64_DECODED_BYTES_MAX(text.len);
	char *bytes = arena_alloc(arena, size);
	size_t n;

	if (!base64_decode(BASE64_URL, text, bytes, size, &n))
		return false;
	*ret_bytes = (struct str){ bytes, n };
	return true;
}

static bool
take_apart(struct arena *arena, struct str token, struct parts *parts)
{
	struct str header, claims, rest;

	if (token.len > RS256_TOKEN_BYTES_MAX ||
	    !str_cut(token, '.', &header, &rest) ||
	    !str_cut(rest, '.', &claims, &parts->signature))
		return false;
	parts->signed_text =
	    (struct str){ token.ptr, header.len + 1 + claims.len };
	return decode(arena, header, &parts->header) &&
	    decode(arena, claims, &parts->claims);
}

bool
rs256_peek(struct arena *arena, struct str token, struct str *ret_claims)
{
	struct parts parts;

	if (!take_apart(arena, token, &parts))
		return false;
	*ret_claims = parts.claims;
	return true;
}

/* Absent, or exactly this word. */
static bool
is_or_absent(const struct json *object, const char *name, struct str word)
{
	const struct json *member = json_member(object, name);
	struct str text;

	return member == NULL ||
	    (json_to_str(member, &text) && str_equal(text, word));
}

static bool
is_rsa_key(const struct json *key)
{
	struct str kty;

	return json_to_str(json_member(key, "kty"), &kty) &&
	    str_equal(kty, STR("RSA")) &&
	    is_or_absent(key, "alg", STR("RS256")) &&
	    is_or_absent(key, "use", STR("sig"));
}

static BIGNUM *
read_number(const struct json *key, const char *name, size_t bytes_max)
{
	unsigned char bytes[MODULUS_BYTES_MAX];
	struct str text;
	size_t n;

	if (!json_to_str(json_member(key, name), &text) ||
	    !base64_decode(BASE64_URL, text, bytes, bytes_max, &n) || n == 0)
		return NULL;
	return BN_bin2bn(bytes, (int)n, NULL);
}

static EVP_PKEY *
make_key(const BIGNUM *n, const BIGNUM *e)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (build == NULL || context == NULL ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1 ||
	    (params = OSSL_PARAM_BLD_to_param(build)) == NULL)
		abort();
	if (EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(context);
	return key;
}

/* NULL for a key that is not one, or too small, or too slow. */
static EVP_PKEY *
read_public_key(const struct json *key)
{
	CLEANUP(free_number)
	BIGNUM *n = read_number(key, "n", MODULUS_BYTES_MAX);
	CLEANUP(free_number)
	BIGNUM *e = read_number(key, "e", EXPONENT_BYTES_MAX);

	if (n == NULL || e == NULL || BN_num_bits(n) < RS256_MODULUS_BITS_MIN ||
	    !BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e))
		return NULL;
	return make_key(n, e);
}

static const struct json *
first_key(struct arena *arena, struct str key_set)
{
	if (key_set.len > RS256_KEY_SET_BYTES_MAX)
		return NULL;
	return json_first(json_member(json_parse(arena, key_set), "keys"));
}

static const struct json *
find_key(struct arena *arena, struct str key_set, struct str kid)
{
	const struct json *key = first_key(arena, key_set);
	struct str name;

	for (; key != NULL; key = json_next(key))
		if (is_rsa_key(key) &&
		    json_to_str(json_member(key, "kid"), &name) &&
		    str_equal(name, kid))
			return key;
	return NULL;
}

bool
rs256_has_keys(struct arena *arena, struct str key_set)
{
	const struct json *key = first_key(arena, key_set);
	struct str kid;

	for (; key != NULL; key = json_next(key)) {
		CLEANUP(free_key) EVP_PKEY *public_key = NULL;

		if (!is_rsa_key(key) ||
		    !json_to_str(json_member(key, "kid"), &kid))
			continue;
		public_key = read_public_key(key);
		if (public_key != NULL)
			return true;
	}
	return false;
}

static bool
is_signed(EVP_PKEY *key, const struct parts *parts)
{
	unsigned char signature[MODULUS_BYTES_MAX];
	EVP_MD_CTX *context;
	bool ok;
	size_t n;

	if (!base64_decode(BASE64_URL, parts->signature, signature,
		sizeof(signature), &n))
		return false;
	context = EVP_MD_CTX_new();
	if (context == NULL)
		abort();
	/* The padding that RSA has unless told otherwise is PKCS #1 v1.5. */
	ok =
	    EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestVerify(context, signature, n,
		(const unsigned char *)parts->signed_text.ptr,
		parts->signed_text.len) == 1;
	EVP_MD_CTX_free(context);
	return ok;
}

enum rs256_verdict
rs256_verify(struct arena *arena, struct str key_set, struct str token,
    struct str *ret_claims)
{
	CLEANUP(free_key) EVP_PKEY *public_key = NULL;
	const struct json *header, *key;
	struct parts parts;
	struct str alg, kid;

	if (!take_apart(arena, token, &parts))
		return RS256_BAD;
	header = json_parse(arena, parts.header);
	if (!json_to_str(json_member(header, "alg"), &alg) ||
	    !str_equal(alg, STR("RS256")) ||
	    !json_to_str(json_member(header, "kid"), &kid) ||
	    json_member(header, "crit") != NULL)
		return RS256_BAD;
	key = find_key(arena, key_set, kid);
	if (key == NULL)
		return RS256_UNKNOWN_KEY;
	public_key = read_public_key(key);
	if (public_key == NULL || !is_signed(public_key, &parts))
		return RS256_BAD;
	*ret_claims = parts.claims;
	return RS256_OK;
}

bool
rs256_generate(struct buf *key_pem)
{
	CLEANUP(free_key)
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA",
	    (size_t)RS256_MODULUS_BITS_MIN);
	CLEANUP(free_bio) BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	if (key == NULL || bio == NULL ||
	    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		return false;
	n = BIO_get_mem_data(bio, &text);
	buf_append(key_pem, (struct str){ text, (size_t)n });
	explicit_bzero(text, (size_t)n);
	return !key_pem->failed;
}

/* Without it OpenSSL asks the terminal. */
static int
no_password(char *text, int size, int is_writing, void *arg)
{
	(void)text;
	(void)size;
	(void)is_writing;
	(void)arg;
	return -1;
}

static EVP_PKEY *
read_private_key(struct str pem)
{
	CLEANUP(free_bio) BIO *bio = NULL;
	EVP_PKEY *key;

	if (pem.len == 0 || pem.len > RS256_KEY_FILE_BYTES_MAX)
		return NULL;
	bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	if (bio == NULL)
		abort();
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (key != NULL &&
	    (EVP_PKEY_is_a(key, "RSA") != 1 ||
		EVP_PKEY_get_bits(key) > RS256_MODULUS_BITS_MAX)) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static void
write_number(const EVP_PKEY *key, const char *param, const char *name,
    struct json_writer *w)
{
	CLEANUP(free_number) BIGNUM *number = NULL;
	unsigned char bytes[MODULUS_BYTES_MAX];
	struct buf text;
	int n;

	if (EVP_PKEY_get_bn_param(key, param, &number) != 1)
		abort();
	n = BN_bn2bin(number, bytes);
	buf_init(&text, BASE64_ENCODED_LENGTH(MODULUS_BYTES_MAX));
	base64_encode(BASE64_URL, bytes, (size_t)n, &text);
	json_str(w, name, buf_str(&text));
	buf_free(&text);
}

bool
rs256_write_key_set(struct str key_pem, const char *kid, struct buf *out)
{
	CLEANUP(free_key) EVP_PKEY *key = read_private_key(key_pem);
	struct json_writer w = json_writer(out);

	if (key == NULL)
		return false;
	json_begin_object(&w, NULL);
	json_begin_array(&w, "keys");
	json_begin_object(&w, NULL);
	json_text(&w, "kty", "RSA");
	json_text(&w, "kid", kid);
	json_text(&w, "use", "sig");
	json_text(&w, "alg", "RS256");
	write_number(key, OSSL_PKEY_PARAM_RSA_N, "n", &w);
	write_number(key, OSSL_PKEY_PARAM_RSA_E, "e", &w);
	json_end_object(&w);
	json_end_array(&w);
	json_end_object(&w);
	return !out->failed;
}

static void
write_header(const char *kid, struct buf *out)
{
	struct json_writer w;
	struct buf header;

	buf_init(&header, 512);
	w = json_writer(&header);
	json_begin_object(&w, NULL);
	json_text(&w, "alg", "RS256");
	json_text(&w, "kid", kid);
	json_end_object(&w);
	base64_encode(BASE64_URL, header.ptr, header.len, out);
	out->failed |= header.failed;
	buf_free(&header);
}

bool
rs256_sign(struct str key_pem, const char *kid, struct str claims,
    struct buf *out)
{
	CLEANUP(free_key) EVP_PKEY *key = read_private_key(key_pem);
	unsigned char signature[MODULUS_BYTES_MAX];
	size_t n = sizeof(signature);
	const size_t start = out->len;
	EVP_MD_CTX *context;
	bool ok;

	if (key == NULL)
		return false;
	write_header(kid, out);
	buf_append_char(out, '.');
	base64_encode(BASE64_URL, claims.ptr, claims.len, out);
	if (out->failed)
		return false;
	context = EVP_MD_CTX_new();
	if (context == NULL)
		abort();
	ok = EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(context, signature, &n,
		(const unsigned char *)out->ptr + start, out->len - start) == 1;
	EVP_MD_CTX_free(context);
	if (!ok)
		return false;
	buf_append_char(out, '.');
	base64_encode(BASE64_URL, signature, n, out);
	return !out->failed;
}
