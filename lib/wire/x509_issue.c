/* SPDX-License-Identifier: MIT */
#include "wire/x509_issue.h"

#include "base/uuid.h"
#include "wire/base64.h"
#include "wire/es256.h"
#include "wire/json_writer.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define BEGIN_LINE "-----BEGIN CERTIFICATE-----"
#define END_LINE "-----END CERTIFICATE-----"

struct signed_certificate {
	EVP_PKEY *key;
	X509 *certificate;
};

/* Nothing below fails but for want of memory. */
static void
must(int ok)
{
	if (ok <= 0)
		abort();
}

static void
add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	must(extension != NULL);
	must(X509_add_ext(certificate, extension, -1));
	X509_EXTENSION_free(extension);
}

/* Apple's marks hold an ASN.1 NULL. */
static void
add_marker(X509 *certificate, const char *oid)
{
	static const unsigned char null[] = { 5, 0 };
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension;

	must(object != NULL && value != NULL);
	must(ASN1_OCTET_STRING_set(value, null, sizeof(null)));
	extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
	must(extension != NULL);
	must(X509_add_ext(certificate, extension, -1));
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(object);
}

static void
set_serial(X509 *certificate)
{
	uint8_t bytes[16];
	BIGNUM *number;

	random_bytes(bytes, sizeof(bytes));
	bytes[0] = (bytes[0] & 0x7f) | 1;
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	must(number != NULL);
	must(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) !=
	    NULL);
	BN_free(number);
}

static void
set_subject(X509 *certificate, const char *name, const char *part)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	char text[96];

	(void)snprintf(text, sizeof(text), "%s %s", name, part);
	must(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
	    (const unsigned char *)text, -1, -1, 0));
}

/* The issuer is NULL for the root, which signs itself. */
static struct signed_certificate
make(const struct x509_issue *issue, const char *part, bool is_ca,
    const char *marker, const struct signed_certificate *issuer)
{
	struct signed_certificate made = { .key = EVP_EC_gen("P-256"),
		.certificate = X509_new() };
	const struct signed_certificate *by = issuer == NULL ? &made : issuer;
	X509 *c = made.certificate;

	must(made.key != NULL && c != NULL);
	must(X509_set_version(c, X509_VERSION_3));
	set_serial(c);
	set_subject(c, issue->name, part);
	must(X509_set_issuer_name(c, X509_get_subject_name(by->certificate)));
	must(ASN1_TIME_set(X509_getm_notBefore(c), issue->from_ms / 1000) !=
	    NULL);
	must(ASN1_TIME_set(X509_getm_notAfter(c), issue->to_ms / 1000) != NULL);
	must(X509_set_pubkey(c, made.key));
	add_extension(c, by->certificate, NID_subject_key_identifier, "hash");
	add_extension(c, by->certificate, NID_authority_key_identifier,
	    "keyid:always");
	add_extension(c, by->certificate, NID_basic_constraints,
	    is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add_extension(c, by->certificate, NID_key_usage,
	    is_ca ? "critical,keyCertSign,cRLSign" :
		    "critical,digitalSignature");
	if (marker != NULL)
		add_marker(c, marker);
	must(X509_sign(c, by->key, EVP_sha256()));
	return made;
}

static void
append_bio(BIO *bio, struct buf *out)
{
	char *bytes;
	const long n = BIO_get_mem_data(bio, &bytes);

	must(n > 0);
	buf_append(out, (struct str){ bytes, (size_t)n });
	(void)BIO_free(bio);
}

void
x509_issue(const struct x509_issue *issue, struct buf *identity)
{
	struct signed_certificate root, intermediate, leaf;
	/* The memory of this kind of BIO is wiped when it is freed. */
	BIO *bio = BIO_new(BIO_s_secmem());

	must(bio != NULL);
	root = make(issue, "Root", true, NULL, NULL);
	intermediate = make(issue, "Intermediate", true,
	    issue->intermediate_marker, &root);
	leaf = make(issue, "Leaf", false, issue->leaf_marker, &intermediate);
	must(
	    PEM_write_bio_PrivateKey(bio, leaf.key, NULL, NULL, 0, NULL, NULL));
	must(PEM_write_bio_X509(bio, leaf.certificate));
	must(PEM_write_bio_X509(bio, intermediate.certificate));
	must(PEM_write_bio_X509(bio, root.certificate));
	append_bio(bio, identity);
	EVP_PKEY_free(root.key);
	EVP_PKEY_free(intermediate.key);
	EVP_PKEY_free(leaf.key);
	X509_free(root.certificate);
	X509_free(intermediate.certificate);
	X509_free(leaf.certificate);
}

/* The next certificate's block, its two lines included. */
static bool
cut_certificate(struct str *text, struct str *ret_block)
{
	const char *begin =
	    memmem(text->ptr, text->len, BEGIN_LINE, sizeof(BEGIN_LINE) - 1);
	const char *const end = text->ptr + text->len;
	const char *stop;

	if (begin == NULL)
		return false;
	stop = memmem(begin, (size_t)(end - begin), END_LINE,
	    sizeof(END_LINE) - 1);
	if (stop == NULL)
		return false;
	stop += sizeof(END_LINE) - 1;
	*ret_block = (struct str){ begin, (size_t)(stop - begin) };
	*text = (struct str){ stop, (size_t)(end - stop) };
	return true;
}

struct str
x509_identity_root(struct str identity)
{
	struct str root = STR("");

	if (identity.len == 0)
		return root;
	while (cut_certificate(&identity, &root))
		;
	return root;
}

/* Between its lines PEM is the standard base64 of the DER. */
static void
write_element(struct json_writer *w, struct str block)
{
	struct buf text;

	block.ptr += sizeof(BEGIN_LINE) - 1;
	block.len -= sizeof(BEGIN_LINE) - 1 + sizeof(END_LINE) - 1;
	buf_init(&text, X509_IDENTITY_BYTES_MAX);
	for (size_t i = 0; i < block.len; i++)
		if (block.ptr[i] != '\n' && block.ptr[i] != '\r')
			buf_append_char(&text, block.ptr[i]);
	json_str(w, NULL, buf_str(&text));
	w->buf->failed |= text.failed;
	buf_free(&text);
}

static bool
write_header(struct str identity, struct buf *header)
{
	struct json_writer w = json_writer(header);
	struct str block;
	int count = 0;

	json_begin_object(&w, NULL);
	json_text(&w, "alg", "ES256");
	json_begin_array(&w, "x5c");
	for (; cut_certificate(&identity, &block); count++)
		write_element(&w, block);
	json_end_array(&w);
	json_end_object(&w);
	return count == X509_CHAIN_LENGTH && !header->failed;
}

bool
jws_sign(struct str identity, struct str payload, struct buf *out)
{
	uint8_t signature[ES256_SIGNATURE_BYTES];
	const size_t start = out->len;
	struct buf header;
	bool ok;

	buf_init(&header, 2 * X509_IDENTITY_BYTES_MAX);
	ok = identity.len > 0 && write_header(identity, &header);
	if (ok) {
		base64_encode(BASE64_URL, header.ptr, header.len, out);
		buf_append_char(out, '.');
		base64_encode(BASE64_URL, payload.ptr, payload.len, out);
		ok = !out->failed &&
		    es256_sign(identity,
			(struct str){ out->ptr + start, out->len - start },
			signature);
	}
	if (ok) {
		buf_append_char(out, '.');
		base64_encode(BASE64_URL, signature, sizeof(signature), out);
		ok = !out->failed;
	}
	buf_free(&header);
	if (!ok && out->ptr != NULL) {
		out->len = start;
		out->ptr[start] = '\0';
	}
	return ok;
}
