/* SPDX-License-Identifier: MIT */
#include "wire/x509_issue.h"

#include "base/config.h"
#include "wire/base64.h"
#include "wire/jws.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define VECTORS "tests/vectors/apple/"
#define LEAF_MARKER "1.2.840.113635.100.6.11.1"
#define INTERMEDIATE_MARKER "1.2.840.113635.100.6.2.1"

/* The date of the library's own tests, and others of its choice. */
#define DATE_MS INT64_C(1761962975000)
#define DATE_2042_MS INT64_C(2280946846000)

static struct x509_trust *
new_trust(bool is_strict, const char *root)
{
	struct x509_trust *trust = x509_trust_new(&(const struct x509_rules){
	    LEAF_MARKER, INTERMEDIATE_MARKER, is_strict });
	struct buf file;
	char path[128];

	if (root == NULL)
		return trust;
	buf_init(&file, X509_ROOTS_FILE_BYTES_MAX);
	(void)snprintf(path, sizeof(path), VECTORS "%s", root);
	assert_true(config_read_file(path, false, &file));
	assert_true(x509_trust_add_roots(trust, buf_str(&file)));
	buf_free(&file);
	return trust;
}

/* The certificates of the library's tests, as x5c has them. */
struct x5c {
	struct buf text[X509_CHAIN_LENGTH];
	struct str str[X509_CHAIN_LENGTH];
};

static void
read_x5c(struct x5c *x5c, const char *leaf, const char *intermediate)
{
	const char *const names[] = { leaf, intermediate, "ROOT_CA" };
	struct buf der;
	char path[128];

	buf_init(&der, X509_CERTIFICATE_BYTES_MAX);
	for (size_t i = 0; i < X509_CHAIN_LENGTH; i++) {
		(void)snprintf(path, sizeof(path), VECTORS "inline/%s.der",
		    names[i]);
		buf_clear(&der);
		assert_true(config_read_file(path, false, &der));
		buf_init(&x5c->text[i], 2 * X509_CERTIFICATE_BYTES_MAX);
		base64_encode(BASE64_STANDARD, der.ptr, der.len, &x5c->text[i]);
		x5c->str[i] = buf_str(&x5c->text[i]);
	}
	buf_free(&der);
}

static void
free_x5c(struct x5c *x5c)
{
	for (size_t i = 0; i < X509_CHAIN_LENGTH; i++)
		buf_free(&x5c->text[i]);
}

static enum x509_verdict
judge(struct x509_trust *trust, const char *leaf, const char *intermediate,
    int64_t at_ms)
{
	const struct x509_leaf *found = NULL;
	enum x509_verdict verdict;
	struct x5c x5c;

	read_x5c(&x5c, leaf, intermediate);
	verdict = x509_verify(trust, x5c.str, at_ms, &found);
	assert_int_equal(verdict == X509_GOOD, found != NULL);
	/* What is remembered says the same. */
	assert_int_equal(x509_verify(trust, x5c.str, at_ms, &found), verdict);
	free_x5c(&x5c);
	return verdict;
}

static void
apples_test_chains_come_out_as_apple_says(void **state)
{
	static const struct {
		const char *leaf, *intermediate;
		const char *root;
		int64_t at_ms;
		enum x509_verdict verdict;
	} cases[] = {
		{ "LEAF_CERT", "INTERMEDIATE_CA", "inline/ROOT_CA.der", DATE_MS,
		    X509_GOOD },
		{ "LEAF_CERT", "INTERMEDIATE_CA", "certs/testCA.der", DATE_MS,
		    X509_GOOD },
		{ "LEAF_CERT", "INTERMEDIATE_CA", "inline/ROOT_CA.der",
		    DATE_2042_MS, X509_NOT_VALID_THEN },
		{ "LEAF_CERT", "INTERMEDIATE_CA", "inline/REAL_APPLE_ROOT.der",
		    DATE_MS, X509_UNTRUSTED },
		{ "LEAF_CERT", "INTERMEDIATE_CA", NULL, DATE_MS,
		    X509_UNTRUSTED },
		{ "LEAF_CERT_FOR_INTERMEDIATE_CA_INVALID_OID",
		    "INTERMEDIATE_CA_INVALID_OID", "inline/ROOT_CA.der",
		    DATE_MS, X509_UNTRUSTED },
		{ "LEAF_CERT_INVALID_OID", "INTERMEDIATE_CA",
		    "inline/ROOT_CA.der", DATE_MS, X509_UNTRUSTED },
		{ "INTERMEDIATE_CA", "ROOT_CA", "inline/ROOT_CA.der", DATE_MS,
		    X509_UNTRUSTED },
		{ "REAL_APPLE_SIGNING_CERTIFICATE", "REAL_APPLE_INTERMEDIATE",
		    "roots/AppleRootCA-G3.der", DATE_MS, X509_GOOD },
		{ "REAL_APPLE_SIGNING_CERTIFICATE", "REAL_APPLE_INTERMEDIATE",
		    "roots/AppleRootCA-G3.der", INT64_C(1735700000000),
		    X509_NOT_VALID_THEN },
		{ "REAL_APPLE_SIGNING_CERTIFICATE", "REAL_APPLE_INTERMEDIATE",
		    "roots/AppleRootCA-G3.der", INT64_C(1830000000000),
		    X509_NOT_VALID_THEN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct x509_trust *trust = new_trust(false, cases[i].root);

		assert_int_equal(judge(trust, cases[i].leaf,
				     cases[i].intermediate, cases[i].at_ms),
		    cases[i].verdict);
		x509_trust_free(trust);
	}
}

static void
strictly_apples_real_chain_passes_and_its_test_chain_does_not(void **state)
{
	struct x509_trust *real = new_trust(true, "roots/AppleRootCA-G3.der");
	struct x509_trust *test = new_trust(true, "inline/ROOT_CA.der");

	(void)state;
	assert_int_equal(judge(real, "REAL_APPLE_SIGNING_CERTIFICATE",
			     "REAL_APPLE_INTERMEDIATE", DATE_MS),
	    X509_GOOD);
	assert_int_equal(judge(test, "LEAF_CERT", "INTERMEDIATE_CA", DATE_MS),
	    X509_UNTRUSTED);
	x509_trust_free(real);
	x509_trust_free(test);
}

/* 2025-09-19 .. 2027-10-13 17:47:23Z, both ends included. */
static void
a_remembered_chain_is_still_judged_by_its_date(void **state)
{
	struct x509_trust *trust = new_trust(true, "roots/AppleRootCA-G3.der");
	int64_t from_ms = INT64_C(1735700000000), to_ms = DATE_MS;

	(void)state;
	/* Where its validity begins, to the second ... */
	while (to_ms - from_ms > 1000) {
		const int64_t middle_ms =
		    from_ms / 1000 * 1000 + (to_ms - from_ms) / 2000 * 1000;
		const enum x509_verdict verdict =
		    judge(trust, "REAL_APPLE_SIGNING_CERTIFICATE",
			"REAL_APPLE_INTERMEDIATE", middle_ms);

		if (verdict == X509_GOOD)
			to_ms = middle_ms;
		else
			from_ms = middle_ms;
	}
	/* ... and it is the leaf's notBefore, in whole seconds. */
	assert_int_equal(to_ms % 1000, 0);
	assert_int_equal(judge(trust, "REAL_APPLE_SIGNING_CERTIFICATE",
			     "REAL_APPLE_INTERMEDIATE", to_ms),
	    X509_GOOD);
	assert_int_equal(judge(trust, "REAL_APPLE_SIGNING_CERTIFICATE",
			     "REAL_APPLE_INTERMEDIATE", to_ms - 1),
	    X509_NOT_VALID_THEN);
	assert_int_equal(judge(trust, "REAL_APPLE_SIGNING_CERTIFICATE",
			     "REAL_APPLE_INTERMEDIATE", -1),
	    X509_NOT_VALID_THEN);
	x509_trust_free(trust);
}

static void
a_leaf_is_denied_by_its_hash_or_its_keys(void **state)
{
	/* As `openssl x509 -fingerprint -sha256` prints it, and of its key. */
	static const char *const denied[] = {
		"4C:38:15:56:", /* too short: not a hash */
		"xx",
		"",
	};
	struct x509_trust *trust = new_trust(true, "roots/AppleRootCA-G3.der");
	char hex[2 * 32 + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		assert_false(x509_trust_deny(trust, str_from(denied[i])));
	memset(hex, 'a', sizeof(hex) - 1);
	hex[64] = '\0';
	assert_true(x509_trust_deny(trust, str_from(hex)));
	assert_int_equal(judge(trust, "REAL_APPLE_SIGNING_CERTIFICATE",
			     "REAL_APPLE_INTERMEDIATE", DATE_MS),
	    X509_GOOD);
	x509_trust_free(trust);

	trust = new_trust(true, "roots/AppleRootCA-G3.der");
	assert_true(x509_trust_deny(trust,
	    STR("4C:38:15:56:C1:61:21:E6:05:D1:FC:2E:EF:6D:0D:E4:E0:72:ED:65:"
		"96:4F:E7:2F:57:5F:19:71:1E:84:C4:17")));
	assert_int_equal(judge(trust, "REAL_APPLE_SIGNING_CERTIFICATE",
			     "REAL_APPLE_INTERMEDIATE", DATE_MS),
	    X509_DENIED);
	x509_trust_free(trust);

	trust = new_trust(true, "roots/AppleRootCA-G3.der");
	assert_true(x509_trust_deny(trust,
	    STR("3ed34dca125023c9883dbc6f6cf136f078161069002cd61e9340512ada99a1"
		"e9")));
	assert_int_equal(judge(trust, "REAL_APPLE_SIGNING_CERTIFICATE",
			     "REAL_APPLE_INTERMEDIATE", DATE_MS),
	    X509_DENIED);
	for (size_t i = 1; i < X509_DENIED_MAX; i++)
		assert_true(x509_trust_deny(trust, str_from(hex)));
	assert_false(x509_trust_deny(trust, str_from(hex)));
	x509_trust_free(trust);
}

static void
issue(struct buf *identity)
{
	x509_issue(
	    &(const struct x509_issue){
		.name = "Test",
		.leaf_marker = LEAF_MARKER,
		.intermediate_marker = INTERMEDIATE_MARKER,
		.from_ms = DATE_MS,
		.to_ms = DATE_MS + 1000000,
	    },
	    identity);
	assert_false(identity->failed);
}

static void
roots_are_read_from_pem_and_der_up_to_a_number(void **state)
{
	struct x509_trust *trust = new_trust(true, NULL);
	struct buf identity, many;
	struct str root;

	(void)state;
	buf_init(&identity, X509_IDENTITY_BYTES_MAX);
	buf_init(&many, X509_ROOTS_FILE_BYTES_MAX);
	issue(&identity);
	root = x509_identity_root(buf_str(&identity));
	assert_true(str_starts_with(root, STR("-----BEGIN CERTIFICATE-----")));

	assert_false(x509_trust_add_roots(trust, STR("")));
	assert_false(x509_trust_add_roots(trust, STR("not a certificate")));
	assert_false(x509_trust_add_roots(trust, STR("\x30\x82\x01")));
	for (int i = 0; i < X509_ROOTS_MAX; i++) {
		buf_append(&many, root);
		buf_append_char(&many, '\n');
	}
	assert_true(x509_trust_add_roots(trust, buf_str(&many)));
	assert_false(x509_trust_add_roots(trust, root));
	x509_trust_free(trust);

	/* Damage in the second of them is not passed over. */
	trust = new_trust(true, NULL);
	buf_clear(&many);
	buf_append(&many, root);
	buf_append(&many, STR("\n"));
	buf_append(&many, root);
	many.ptr[root.len + 60] = '!';
	assert_false(x509_trust_add_roots(trust, buf_str(&many)));
	x509_trust_free(trust);
	buf_free(&identity);
	buf_free(&many);
}

/* Our own identity signs; `payload` and its proof are taken apart again. */
static enum x509_verdict
judge_own(struct x509_trust *trust, struct str identity, int64_t at_ms,
    bool *ret_is_signed)
{
	const struct x509_leaf *leaf = NULL;
	enum x509_verdict verdict;
	struct arena arena;
	struct jws jws;
	struct buf text;

	arena_init(&arena, (size_t)4 * 1024 * 1024);
	buf_init(&text, JWS_BYTES_MAX);
	assert_true(jws_sign(identity, STR("{\"a\":1}"), &text));
	assert_int_equal(jws_parse(&arena, buf_str(&text), &jws), JWS_OK);
	verdict = x509_verify(trust, jws.x5c, at_ms, &leaf);
	if (verdict == X509_GOOD) {
		*ret_is_signed =
		    x509_leaf_signed(leaf, jws.signed_text, jws.signature);
		/* Each byte of the signature counts. */
		for (size_t i = 0; i < sizeof(jws.signature); i++) {
			jws.signature[i] ^= 1;
			assert_false(x509_leaf_signed(leaf, jws.signed_text,
			    jws.signature));
			jws.signature[i] ^= 1;
		}
		memset(jws.signature, 0, sizeof(jws.signature));
		assert_false(
		    x509_leaf_signed(leaf, jws.signed_text, jws.signature));
	}
	buf_free(&text);
	arena_free(&arena);
	return verdict;
}

static void
what_we_issue_is_good_from_its_first_to_its_last_second(void **state)
{
	struct x509_trust *trust = new_trust(true, NULL);
	struct buf identity, other;
	bool is_signed = false;
	struct str id;

	(void)state;
	buf_init(&identity, X509_IDENTITY_BYTES_MAX);
	buf_init(&other, X509_IDENTITY_BYTES_MAX);
	issue(&identity);
	issue(&other);
	id = buf_str(&identity);
	/* The other one has the same name: it is tried, and is not it. */
	assert_true(
	    x509_trust_add_roots(trust, x509_identity_root(buf_str(&other))));
	assert_int_equal(judge_own(trust, id, DATE_MS, &is_signed),
	    X509_UNTRUSTED);
	assert_true(x509_trust_add_roots(trust, x509_identity_root(id)));

	assert_int_equal(judge_own(trust, id, DATE_MS, &is_signed), X509_GOOD);
	assert_true(is_signed);
	assert_int_equal(judge_own(trust, id, DATE_MS - 1, &is_signed),
	    X509_NOT_VALID_THEN);
	assert_int_equal(judge_own(trust, id, DATE_MS + 1000999, &is_signed),
	    X509_GOOD);
	assert_int_equal(judge_own(trust, id, DATE_MS + 1001000, &is_signed),
	    X509_NOT_VALID_THEN);
	x509_trust_free(trust);
	buf_free(&identity);
	buf_free(&other);
}

/* More chains than are remembered, over and over. */
static void
a_forgotten_chain_is_judged_again(void **state)
{
	enum { CHAINS = 12 };
	struct x509_trust *trust = new_trust(true, NULL);
	struct buf identity[CHAINS];
	bool is_signed = false;

	(void)state;
	for (size_t i = 0; i < CHAINS; i++) {
		buf_init(&identity[i], X509_IDENTITY_BYTES_MAX);
		issue(&identity[i]);
		if (i < X509_ROOTS_MAX)
			assert_true(x509_trust_add_roots(trust,
			    x509_identity_root(buf_str(&identity[i]))));
	}
	for (size_t i = 0; i < (size_t)3 * CHAINS; i++) {
		const size_t which = i % CHAINS;

		is_signed = false;
		assert_int_equal(judge_own(trust, buf_str(&identity[which]),
				     DATE_MS, &is_signed),
		    which < X509_ROOTS_MAX ? X509_GOOD : X509_UNTRUSTED);
		assert_int_equal(is_signed, which < X509_ROOTS_MAX);
	}
	for (size_t i = 0; i < CHAINS; i++)
		buf_free(&identity[i]);
	x509_trust_free(trust);
}

static void
what_is_no_identity_signs_nothing(void **state)
{
	struct buf identity, out;
	struct str id;

	(void)state;
	buf_init(&identity, X509_IDENTITY_BYTES_MAX);
	buf_init(&out, JWS_BYTES_MAX);
	issue(&identity);
	id = buf_str(&identity);
	buf_append(&out, STR("before"));
	assert_false(jws_sign(STR(""), STR("{}"), &out));
	assert_false(jws_sign(STR("x"), STR("{}"), &out));
	/* The chain alone, and the key alone. */
	assert_false(jws_sign(x509_identity_root(id), STR("{}"), &out));
	assert_false(jws_sign((struct str){ id.ptr, 300 }, STR("{}"), &out));
	assert_true(str_equal(buf_str(&out), STR("before")));
	assert_true(str_equal(x509_identity_root(STR("")), STR("")));
	buf_free(&identity);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apples_test_chains_come_out_as_apple_says),
		cmocka_unit_test(
		    strictly_apples_real_chain_passes_and_its_test_chain_does_not),
		cmocka_unit_test(
		    a_remembered_chain_is_still_judged_by_its_date),
		cmocka_unit_test(a_leaf_is_denied_by_its_hash_or_its_keys),
		cmocka_unit_test(
		    roots_are_read_from_pem_and_der_up_to_a_number),
		cmocka_unit_test(
		    what_we_issue_is_good_from_its_first_to_its_last_second),
		cmocka_unit_test(a_forgotten_chain_is_judged_again),
		cmocka_unit_test(what_is_no_identity_signs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
