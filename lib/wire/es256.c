/* SPDX-License-Identifier: MIT */
#include "wire/es256.h"

#include "wire/base64.h"
#include "wire/json.h"
#include "wire/json_writer.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>

#define NUMBER_BYTES (ES256_SIGNATURE_BYTES / 2)

/* A DER signature is at most two 33-byte integers and three headers. */
#define DER_BYTES_MAX 72

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
read_key(struct str pem)
{
	EVP_PKEY *key;
	char group[32];
	BIO *bio;

	if (pem.len == 0 || pem.len > ES256_KEY_FILE_BYTES_MAX)
		return NULL;
	bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	if (bio == NULL)
		abort();
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	(void)BIO_free(bio);
	if (key != NULL &&
	    (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME,
		 group, sizeof(group), NULL) != 1 ||
		strcmp(group, "prime256v1") != 0)) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static bool
sign_der(EVP_PKEY *key, struct str message, unsigned char der[DER_BYTES_MAX],
    size_t *der_bytes)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok;

	if (context == NULL)
		abort();
	*der_bytes = DER_BYTES_MAX;
	ok = EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(context, der, der_bytes,
		(const unsigned char *)message.ptr, message.len) == 1;
	EVP_MD_CTX_free(context);
	return ok;
}

static bool
der_to_raw(const unsigned char *der, size_t der_bytes,
    uint8_t raw[ES256_SIGNATURE_BYTES])
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)der_bytes);
	bool ok;

	if (pair == NULL)
		return false;
	ok = BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, NUMBER_BYTES) ==
		NUMBER_BYTES &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + NUMBER_BYTES,
		NUMBER_BYTES) == NUMBER_BYTES;
	ECDSA_SIG_free(pair);
	return ok;
}

bool
es256_sign(struct str key_pem, struct str message,
    uint8_t ret_signature[ES256_SIGNATURE_BYTES])
{
	uint8_t raw[ES256_SIGNATURE_BYTES];
	unsigned char der[DER_BYTES_MAX];
	size_t der_bytes;
	EVP_PKEY *key = read_key(key_pem);
	bool ok;

	if (key == NULL)
		return false;
	ok = sign_der(key, message, der, &der_bytes) &&
	    der_to_raw(der, der_bytes, raw);
	EVP_PKEY_free(key);
	if (ok)
		memcpy(ret_signature, raw, sizeof(raw));
	return ok;
}

bool
es256_jwt(struct str key_pem, const char *key_id, struct str claims,
    struct buf *out)
{
	uint8_t signature[ES256_SIGNATURE_BYTES];
	const size_t start = out->len;
	struct json_writer w;
	struct buf header;
	bool ok;

	buf_init(&header, 512);
	w = json_writer(&header);
	json_begin_object(&w, NULL);
	json_text(&w, "alg", "ES256");
	json_text(&w, "kid", key_id);
	json_text(&w, "typ", "JWT");
	json_end_object(&w);
	base64_encode(BASE64_URL, header.ptr, header.len, out);
	out->failed |= header.failed;
	buf_free(&header);
	buf_append_char(out, '.');
	base64_encode(BASE64_URL, claims.ptr, claims.len, out);
	ok = !out->failed &&
	    es256_sign(key_pem,
		(struct str){ out->ptr + start, out->len - start }, signature);
	if (ok) {
		buf_append_char(out, '.');
		base64_encode(BASE64_URL, signature, sizeof(signature), out);
		ok = !out->failed;
	}
	if (!ok && out->ptr != NULL) {
		out->len = start;
		out->ptr[start] = '\0';
	}
	return ok;
}
