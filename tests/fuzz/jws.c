/* SPDX-License-Identifier: MIT */
#include "wire/jws.h"

#include "base/buf.h"
#include "wire/base64.h"

#include <assert.h>
#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Apple's published test root, and an intermediate below it. */
static const char root[] =
    "MIIBgjCCASmgAwIBAgIJALUc5ALiH5pbMAoGCCqGSM49BAMDMDYxCzAJBgNVBAYTAlVT"
    "MRMwEQYDVQQIDApDYWxpZm9ybmlhMRIwEAYDVQQHDAlDdXBlcnRpbm8wHhcNMjMwMTA1"
    "MjEzMDIyWhcNMzMwMTAyMjEzMDIyWjA2MQswCQYDVQQGEwJVUzETMBEGA1UECAwKQ2Fs"
    "aWZvcm5pYTESMBAGA1UEBwwJQ3VwZXJ0aW5vMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD"
    "QgAEc+/Bl+gospo6tf9Z7io5tdKdrlN1YdVnqEhEDXDShzdAJPQijamXIMHf8xWWTa1z"
    "goYTxOKpbuJtDplz1XriTaMgMB4wDAYDVR0TBAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYw"
    "CgYIKoZIzj0EAwMDRwAwRAIgemWQXnMAdTad2JDJWng9U4uBBL5mA7WI05H7oH7c6iQC"
    "IHiRqMjNfzUAyiu9h6rOU/K+iTR0I/3Y/NSWsXHX+acc";
static const char intermediate[] =
    "MIIBnzCCAUWgAwIBAgIBCzAKBggqhkjOPQQDAzA2MQswCQYDVQQGEwJVUzETMBEGA1UE"
    "CAwKQ2FsaWZvcm5pYTESMBAGA1UEBwwJQ3VwZXJ0aW5vMB4XDTIzMDEwNTIxMzEwNVoX"
    "DTMzMDEwMTIxMzEwNVowRTELMAkGA1UEBhMCVVMxCzAJBgNVBAgMAkNBMRIwEAYDVQQH"
    "DAlDdXBlcnRpbm8xFTATBgNVBAoMDEludGVybWVkaWF0ZTBZMBMGByqGSM49AgEGCCqG"
    "SM49AwEHA0IABBUN5V9rKjfRiMAIojEA0Av5Mp0oF+O0cL4gzrTF178inUHugj7Et46N"
    "rkQ7hKgMVnjogq45Q1rMs+cMHVNILWqjNTAzMA8GA1UdEwQIMAYBAf8CAQAwDgYDVR0P"
    "AQH/BAQDAgEGMBAGCiqGSIb3Y2QGAgEEAgUAMAoGCCqGSM49BAMDA0gAMEUCIQCmsIKY"
    "s41ullssHX4rVveUT0Z7Is5/hLK1lFPTtun3hAIgc2+2RG5+gNcFVcs+XJeEl4GZ+ojl"
    "3ROOmll+ye7dynQ=";

/* When Apple's test vectors were signed. */
#define DATE_MS INT64_C(1681314324000)

/* The SHA-256 of all that was ever signed below that root and published. */
static const char *const signed_texts[] = {
	/* testNotification */
	"c69c1a02ce630822a2bfa47ca8994bf62b4f6ce0640f0d033403ca9d5c9abf6d",
	/* transactionInfo */
	"0da64262dbf32b0861663aece392b48b0653c1b9354a98e2fe6d3b53eaae2467",
	/* wrongBundleId */
	"36ecf8e4808e0d1d82e18de7e2c8876b40f610fabe507474fdaf51aa2c20cfbd",
	/* renewalInfo */
	"aefd46c62d9380250180b97aa3608d1d50dc40fad1922eec6a302f3d25d8119c",
};

static struct x509_trust *
new_trust(void)
{
	static uint8_t der[2048];
	struct x509_trust *trust = x509_trust_new(&(const struct x509_rules){
	    "1.2.840.113635.100.6.11.1", "1.2.840.113635.100.6.2.1", false });
	size_t n;

	if (!base64_decode(BASE64_STANDARD, str_from(root), der, sizeof(der),
		&n) ||
	    !x509_trust_add_roots(trust, (struct str){ (const char *)der, n }))
		abort();
	return trust;
}

static bool
is_published(struct str text)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof(hash) + 1];

	(void)crypto_hash_sha256(hash, (const unsigned char *)text.ptr,
	    text.len);
	(void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	for (size_t i = 0; i < sizeof(signed_texts) / sizeof(signed_texts[0]);
	     i++)
		if (strcmp(hex, signed_texts[i]) == 0)
			return true;
	return false;
}

static void
judge_token(struct x509_trust *trust, struct str text)
{
	const struct x509_leaf *leaf;
	static struct arena arena;
	struct jws jws;

	if (arena.base == NULL)
		arena_init(&arena, (size_t)16 * 1024 * 1024);
	arena_reset(&arena);
	if (jws_parse(&arena, text, &jws) == JWS_OK &&
	    x509_verify(trust, jws.x5c, DATE_MS, &leaf) == X509_GOOD &&
	    x509_leaf_signed(leaf, jws.signed_text, jws.signature))
		assert(is_published(jws.signed_text));
}

/* The bytes as each of the three certificates. */
static void
judge_certificate(struct x509_trust *trust, struct str der)
{
	struct buf text;
	struct str own;

	if (der.len > X509_CERTIFICATE_BYTES_MAX)
		return;
	buf_init(&text, 2 * X509_CERTIFICATE_BYTES_MAX);
	base64_encode(BASE64_STANDARD, der.ptr, der.len, &text);
	own = buf_str(&text);
	for (size_t i = 0; i < X509_CHAIN_LENGTH; i++) {
		struct str x5c[] = { own, str_from(intermediate),
			str_from(root) };
		const struct x509_leaf *leaf;

		x5c[0] = i == 0 ? own : x5c[1];
		x5c[i] = own;
		(void)x509_verify(trust, x5c, DATE_MS, &leaf);
	}
	buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };
	static struct x509_trust *trust;
	struct x509_trust *own;

	if (trust == NULL)
		trust = new_trust();
	judge_token(trust, text);
	judge_certificate(trust, text);
	own = x509_trust_new(
	    &(const struct x509_rules){ "1.2.3", "1.2.4", true });
	if (x509_trust_add_roots(own, text))
		judge_certificate(own, text);
	x509_trust_free(own);
	return 0;
}
