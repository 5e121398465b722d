/* SPDX-License-Identifier: MIT */
#ifndef WIRE_EVP_H
#define WIRE_EVP_H

#include <openssl/bio.h>
#include <openssl/types.h>

/*
 * What we use of <openssl/evp.h> and <openssl/pem.h>.  The headers themselves
 * cannot be included, because they name a parameter `rand`, a word that
 * base/banned.h refuses anywhere.
 */
EVP_PKEY *PEM_read_bio_PrivateKey(BIO *bio, EVP_PKEY **key,
    int (*password)(char *text, int size, int is_writing, void *arg),
    void *arg);
int EVP_PKEY_get_utf8_string_param(const EVP_PKEY *key, const char *name,
    char *text, size_t size, size_t *ret_len);
void EVP_PKEY_free(EVP_PKEY *key);

const EVP_MD *EVP_sha256(void);
EVP_MD_CTX *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(EVP_MD_CTX *context);
int EVP_DigestSignInit(EVP_MD_CTX *context, EVP_PKEY_CTX **key_context,
    const EVP_MD *digest, ENGINE *engine, EVP_PKEY *key);
int EVP_DigestSign(EVP_MD_CTX *context, unsigned char *signature,
    size_t *signature_bytes, const unsigned char *message, size_t n);
int EVP_DigestVerifyInit(EVP_MD_CTX *context, EVP_PKEY_CTX **key_context,
    const EVP_MD *digest, ENGINE *engine, EVP_PKEY *key);
int EVP_DigestVerify(EVP_MD_CTX *context, const unsigned char *signature,
    size_t signature_bytes, const unsigned char *message, size_t n);

#endif
