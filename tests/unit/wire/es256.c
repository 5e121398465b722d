/* SPDX-License-Identifier: MIT */
#include "wire/es256.h"

#include "base/cleanup.h"
#include "base/config.h"
#include "wire/base64.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ec.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define KEY_FILE "tests/vectors/apple/testSigningKey.p8"

static void
read_test_key(struct buf *pem)
{
	buf_init(pem, ES256_KEY_FILE_BYTES_MAX);
	assert_true(config_read_file(KEY_FILE, false, pem));
}

/* Made for this test by openssl genpkey. */
static const char p256_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6HR5DCrnnEaIL4Eb\n"
    "N/H1kCAjwhRZ415WwYkIU+DJIhWhRANCAASfroPHvL807f0a+G7WV2zGnGBuOlqa\n"
    "z+NY5Oun8pf9yYsqTVvW6V0wpBmM5bSSqGP1hchzT3FVJ7n4VGdCqqUz\n"
    "-----END PRIVATE KEY-----\n";

static const char p384_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBwjwv7oIPmHtazpCtO\n"
    "c+5F3HQgfim3MQvXDdcDRQq7dQNh95+ZZNSEZ5XN+jv+bSmhZANiAAQS8UFQ1wLV\n"
    "Igq3Rdd0fT07fANpgsabRD93iATXnm83zi1V15XWNQPvSHAplvD4uU3OmVhBUY70\n"
    "4AVc5ADzNPBwTYSCBGN8i5PgMSMC+vwZVSX0W4VWw0zyx0pB+/EmGxY=\n"
    "-----END PRIVATE KEY-----\n";

static const char secp256k1_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgWMTXWVh+suDLuZPZ2+wg\n"
    "nY3/0lM2d1bqxTYw9lB5uQOhRANCAAQ05JqZx0g8uhqrBqzuMn28Fy6Ha5/q/fAg\n"
    "CiH7Ddhqu5KwBdsqfSp0N4okbUpXSHO/OqsMkuQanDhv53r9sZLP\n"
    "-----END PRIVATE KEY-----\n";

static const char encrypted_pem[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjl92LS7PA1XQICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEOCkgKTBaRlUthfz30gYqW8EgZDP\n"
    "gzm+kBZCO75RQ4LuCls578/Z4MznRuz3LAru+vX7k3xRAkTm7Q18UF7zZ4Lt9Lk1\n"
    "WPeNxlRYlPsl3XSqRYfMFuElzpQN2/WISBgIQnk4iswfXrMbHM3P+EvciEsERsfL\n"
    "qfqQN96NbLc5WEC9mInNb7jg/Qs7L+Fd2haweDKHVDzEvbbpXlbjyFgwiTiL6bw=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

static const char rsa_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIBVgIBADANBgkqhkiG9w0BAQEFAASCAUAwggE8AgEAAkEAtz7EWnfGB4S79WJm\n"
    "PwTOifcU2BYxDsE5TgIYGwRD0MkRCI3ropN9zirAoiq/VER3IfQ5FlongrqTWLDA\n"
    "PkrEFQIDAQABAkA2x8TbZsMErGGkUe5PGJjGFd9dWgUAbDM9ZtLeAMBlQbUeA+sp\n"
    "QvhF1W/CmP2QJjcXOkuPMTaBxNZK7YnKUooBAiEA2WH67RxciwadGVpAPJAPoROp\n"
    "6zlJYWW/yXcJYdGN4VECIQDXzEwAVpJ/rcOE46jcwQVjasiK/t8mqYg4YBaHnMQl\n"
    "hQIhANiX4p/sOV0gitle7lAprhjtccl4u9+6tNw0qfl4BWjxAiEAlskgnefgC6j+\n"
    "AkAVQNL6keIOaNj4UgqJrWKuu2l1wQUCIQDWwN+RJ5LXy0ziZFSOd9dU11OfXb7o\n"
    "NimQdx/kqZhqrA==\n"
    "-----END PRIVATE KEY-----\n";

/* Judged by OpenSSL, which wants DER. */
static bool
signature_is_good(struct str pem, struct str message,
    const uint8_t raw[ES256_SIGNATURE_BYTES])
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	ECDSA_SIG *pair = ECDSA_SIG_new();
	unsigned char *der = NULL;
	int der_bytes;
	bool good;

	assert_int_equal(ECDSA_SIG_set0(pair, BN_bin2bn(raw, 32, NULL),
			     BN_bin2bn(raw + 32, 32, NULL)),
	    1);
	der_bytes = i2d_ECDSA_SIG(pair, &der);
	assert_true(der_bytes > 0);
	assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL,
			     key),
	    1);
	good = EVP_DigestVerify(context, der, (size_t)der_bytes,
		   (const unsigned char *)message.ptr, message.len) == 1;
	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	(void)BIO_free(bio);
	return good;
}

/* Often enough that r and s begin with a zero byte, which DER leaves out. */
static void
a_signature_is_64_raw_bytes_that_verify(void **state)
{
	CLEANUP(buf_free) struct buf pem;

	(void)state;
	read_test_key(&pem);
	for (int i = 0; i < 1000; i++) {
		uint8_t signature[ES256_SIGNATURE_BYTES];

		assert_true(
		    es256_sign(buf_str(&pem), STR("message"), signature));
		assert_true(signature_is_good(buf_str(&pem), STR("message"),
		    signature));
		assert_false(signature_is_good(buf_str(&pem), STR("messagf"),
		    signature));
	}
}

static void
a_token_has_our_header_and_claims_and_verifies(void **state)
{
	CLEANUP(buf_free) struct buf pem;
	CLEANUP(buf_free) struct buf token;
	struct str header, claims, signature, rest, signed_part;
	uint8_t raw[ES256_SIGNATURE_BYTES];
	char text[128];
	size_t n;

	(void)state;
	read_test_key(&pem);
	buf_init(&token, 1024);
	assert_true(es256_jwt(buf_str(&pem), "KEY1234567",
	    STR("{\"iss\":\"TEAM\",\"iat\":1}"), &token));
	assert_true(str_cut(buf_str(&token), '.', &header, &rest));
	assert_true(str_cut(rest, '.', &claims, &signature));
	assert_true(base64_decode(BASE64_URL, header, text, sizeof(text), &n));
	assert_true(str_equal((struct str){ text, n },
	    STR("{\"alg\":\"ES256\",\"kid\":\"KEY1234567\","
		"\"typ\":\"JWT\"}")));
	assert_true(base64_decode(BASE64_URL, claims, text, sizeof(text), &n));
	assert_true(str_equal((struct str){ text, n },
	    STR("{\"iss\":\"TEAM\",\"iat\":1}")));
	assert_true(base64_decode(BASE64_URL, signature, raw, sizeof(raw), &n));
	assert_int_equal(n, sizeof(raw));
	signed_part = (struct str){ token.ptr, header.len + 1 + claims.len };
	assert_true(signature_is_good(buf_str(&pem), signed_part, raw));
}

static void
a_token_is_appended_or_nothing_is(void **state)
{
	CLEANUP(buf_free) struct buf pem;
	CLEANUP(buf_free) struct buf token;

	(void)state;
	read_test_key(&pem);
	buf_init(&token, 1024);
	buf_append(&token, STR("Bearer "));
	assert_false(es256_jwt(STR("no key"), "KEY", STR("{}"), &token));
	assert_true(str_equal(buf_str(&token), STR("Bearer ")));
	assert_true(es256_jwt(buf_str(&pem), "KEY", STR("{}"), &token));
	assert_true(str_starts_with(buf_str(&token), STR("Bearer ey")));
}

static void
a_token_past_the_ceiling_is_none(void **state)
{
	CLEANUP(buf_free) struct buf pem;
	CLEANUP(buf_free) struct buf token;

	(void)state;
	read_test_key(&pem);
	buf_init(&token, 64);
	assert_false(es256_jwt(buf_str(&pem), "KEY", STR("{}"), &token));
	assert_int_equal(token.len, 0);
}

static void
only_plain_p256_keys_sign(void **state)
{
	static const struct {
		const char *pem;
		bool signs;
	} cases[] = { { p256_pem, true }, { p384_pem, false },
		{ secp256k1_pem, false }, { encrypted_pem, false },
		{ rsa_pem, false }, { "", false },
		{ "-----BEGIN PRIVATE KEY-----\n", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t signature[ES256_SIGNATURE_BYTES];

		assert_int_equal(es256_sign(str_from(cases[i].pem), STR("x"),
				     signature),
		    cases[i].signs);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_is_64_raw_bytes_that_verify),
		cmocka_unit_test(
		    a_token_has_our_header_and_claims_and_verifies),
		cmocka_unit_test(a_token_is_appended_or_nothing_is),
		cmocka_unit_test(a_token_past_the_ceiling_is_none),
		cmocka_unit_test(only_plain_p256_keys_sign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
