/* SPDX-License-Identifier: MIT */
#include "provider/appleid.h"

#include "provider/appleid_keys.h"
#include "provider/appleid_token.h"
#include "wire/json_writer.h"
#include "wire/rs256.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1790000000000)
#define NOW_S (NOW_MS / 1000)
#define CLIENT_ID "com.example.app"
#define NONCE "raw-nonce"

struct fixture {
	char dir[64];
	struct config config;
	struct arena arena;
	struct buf token;
};

/* What a token says; NULL or 0 leaves a claim out. */
struct claims {
	const char *iss;
	const char *aud;
	const char *sub;
	const char *nonce;
	const char *email;
	const char *email_verified;
	const char *jti;
	const char *events;
	int64_t exp;
	int64_t iat;
};

static const struct claims good = {
	.iss = "https://appleid.apple.com",
	.aud = CLIENT_ID,
	.sub = "001234.abc",
	.email = "ada@example.com",
	.email_verified = "true",
	.exp = NOW_S + 1,
	.iat = NOW_S,
};

static void
write_key(const struct fixture *f)
{
	char path[128];
	struct buf pem;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/keys", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/" APPLEID_SANDBOX_KEY, f->dir);
	buf_init(&pem, RS256_KEY_FILE_BYTES_MAX);
	assert_true(
	    config_read_file("tests/vectors/rs256/key.pem", false, &pem));
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(pem.ptr, 1, pem.len, file), pem.len);
	assert_int_equal(fclose(file), 0);
	buf_free(&pem);
}

static void
configure(struct fixture *f, const char *more)
{
	struct buf file, problem;
	char *const none[] = { NULL };

	buf_init(&file, 4096);
	buf_init(&problem, 4096);
	buf_appendf(&file, "RENDIO_STATE_DIR=%s\n%s\n", f->dir, more);
	assert_true(config_parse(&f->config, buf_str(&file), none, &problem));
	buf_free(&file);
	buf_free(&problem);
}

static int
set_up(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;

	*f = (struct fixture){ .dir = "/tmp/rendio-unit-XXXXXX" };
	if (sodium_init() < 0 || mkdtemp(f->dir) == NULL)
		return -1;
	write_key(f);
	configure(f, "RENDIO_APPLEID_CLIENT_IDS=com.example.other, " CLIENT_ID);
	arena_init(&f->arena, (size_t)8 * 1024 * 1024);
	buf_init(&f->token, RS256_TOKEN_BYTES_MAX);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/" APPLEID_SANDBOX_KEY, f->dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/keys", f->dir);
	(void)rmdir(path);
	(void)rmdir(f->dir);
	config_free(&f->config);
	arena_free(&f->arena);
	buf_free(&f->token);
	return 0;
}

static void
add(struct json_writer *w, const char *name, const char *value)
{
	if (value != NULL)
		json_text(w, name, value);
}

static struct str
token_of(struct fixture *f, const struct claims *claims)
{
	struct buf text, pem;
	struct json_writer w;

	buf_init(&text, 4096);
	buf_init(&pem, RS256_KEY_FILE_BYTES_MAX);
	w = json_writer(&text);
	json_begin_object(&w, NULL);
	add(&w, "iss", claims->iss);
	add(&w, "aud", claims->aud);
	add(&w, "sub", claims->sub);
	add(&w, "nonce", claims->nonce);
	add(&w, "email", claims->email);
	add(&w, "email_verified", claims->email_verified);
	add(&w, "jti", claims->jti);
	add(&w, "events", claims->events);
	if (claims->exp != 0)
		json_int64(&w, "exp", claims->exp);
	if (claims->iat != 0)
		json_int64(&w, "iat", claims->iat);
	json_end_object(&w);
	assert_true(appleid_read_sandbox_key(&f->config, &pem));
	buf_clear(&f->token);
	assert_true(rs256_sign(buf_str(&pem), APPLEID_SANDBOX_KID,
	    buf_str(&text), &f->token));
	buf_free(&text);
	buf_free(&pem);
	return buf_str(&f->token);
}

static enum appleid_verdict
verify(struct fixture *f, const struct claims *claims, const char *nonce)
{
	struct appleid_identity identity;

	return appleid_verify(&f->config, &f->arena, token_of(f, claims),
	    str_from(nonce), NOW_MS, &identity);
}

static void
a_good_token_tells_who_it_is(void **state)
{
	struct fixture *f = *state;
	struct appleid_identity identity;
	struct claims claims = good;

	assert_int_equal(appleid_verify(&f->config, &f->arena,
			     token_of(f, &good), STR(""), NOW_MS, &identity),
	    APPLEID_OK);
	assert_string_equal(identity.sub, "001234.abc");
	assert_string_equal(identity.email, "ada@example.com");
	assert_string_equal(identity.client_id, CLIENT_ID);
	assert_false(identity.has_nonce);
	assert_int_equal(identity.expires_at_ms, NOW_MS + 1000);

	claims.iss = "https://account.apple.com";
	claims.email_verified = "false";
	assert_int_equal(appleid_verify(&f->config, &f->arena,
			     token_of(f, &claims), STR(""), NOW_MS, &identity),
	    APPLEID_OK);
	assert_string_equal(identity.email, "");
}

static void
each_claim_is_demanded(void **state)
{
	struct fixture *f = *state;
	struct claims c;

#define REFUSED(verdict, ...) \
	do { \
		c = good; \
		__VA_ARGS__; \
		assert_int_equal(verify(f, &c, ""), APPLEID_##verdict); \
	} while (0)
	REFUSED(WRONG_ISSUER, c.iss = NULL);
	REFUSED(WRONG_ISSUER, c.iss = "https://appleid.apple.com/");
	REFUSED(WRONG_ISSUER, c.iss = "https://accounts.google.com");
	REFUSED(WRONG_AUDIENCE, c.aud = NULL);
	REFUSED(WRONG_AUDIENCE, c.aud = "com.example.app2");
	REFUSED(WRONG_AUDIENCE, c.aud = "com.example.other, com.example.app");
	REFUSED(BAD_TOKEN, c.sub = NULL);
	REFUSED(BAD_TOKEN, c.sub = "");
	REFUSED(BAD_TOKEN, c.exp = 0);
	REFUSED(BAD_TOKEN, c.exp = NOW_S);
	REFUSED(BAD_TOKEN, c.iat = 0);
	REFUSED(BAD_TOKEN, c.iat = NOW_S + 61);
	REFUSED(OK, c.iat = NOW_S + 60);
#undef REFUSED
}

static void
a_nonce_is_in_both_or_in_neither_and_hashed_once(void **state)
{
	struct fixture *f = *state;
	struct claims claims = good;
	char hex[65], twice[65];

	appleid_hash_nonce(STR(NONCE), hex);
	appleid_hash_nonce(str_from(hex), twice);
	assert_int_equal(verify(f, &good, NONCE), APPLEID_BAD_NONCE);
	claims.nonce = hex;
	assert_int_equal(verify(f, &claims, NONCE), APPLEID_OK);
	assert_int_equal(verify(f, &claims, ""), APPLEID_BAD_NONCE);
	assert_int_equal(verify(f, &claims, hex), APPLEID_BAD_NONCE);
	claims.nonce = twice;
	assert_int_equal(verify(f, &claims, NONCE), APPLEID_BAD_NONCE);
	claims.nonce = NONCE;
	assert_int_equal(verify(f, &claims, NONCE), APPLEID_BAD_NONCE);
}

static void
the_stand_ins_tokens_pass_and_no_two_are_alike(void **state)
{
	struct fixture *f = *state;
	struct appleid_identity identity;
	struct buf again;

	buf_init(&again, RS256_TOKEN_BYTES_MAX);
	buf_clear(&f->token);
	assert_true(appleid_sandbox_token(&f->config, STR("ada"), STR(NONCE),
	    NOW_MS, &f->token));
	assert_true(appleid_sandbox_token(&f->config, STR("ada"), STR(NONCE),
	    NOW_MS, &again));
	assert_false(str_equal(buf_str(&f->token), buf_str(&again)));
	assert_int_equal(appleid_verify(&f->config, &f->arena, buf_str(&again),
			     STR(NONCE), NOW_MS, &identity),
	    APPLEID_OK);
	assert_string_equal(identity.sub, "ada");
	assert_string_equal(identity.client_id, "com.example.other");
	assert_true(identity.has_nonce);
	assert_false(appleid_sandbox_token(&f->config, STR("a b"), STR(""),
	    NOW_MS, &again));
	assert_false(appleid_sandbox_token(&f->config, STR(""), STR(""), NOW_MS,
	    &again));
	buf_free(&again);
}

static void
without_an_app_nobody_is_asked(void **state)
{
	struct fixture *f = *state;

	assert_true(appleid_is_configured(&f->config));
	config_free(&f->config);
	configure(f, "RENDIO_MODE=live");
	assert_false(appleid_is_configured(&f->config));
	config_free(&f->config);
	configure(f, "RENDIO_MODE=live\nRENDIO_APPLE_BUNDLE_ID=" CLIENT_ID);
	assert_true(appleid_is_configured(&f->config));
	config_free(&f->config);
	configure(f, "RENDIO_APPLEID_URL=https://127.0.0.1:1");
	assert_false(appleid_is_configured(&f->config));
}

static void
an_event_is_read_as_text_and_as_an_object(void **state)
{
	static const struct {
		const char *name;
		enum appleid_event event;
	} kinds[] = {
		{ "email-disabled", APPLEID_EMAIL_DISABLED },
		{ "email-enabled", APPLEID_EMAIL_ENABLED },
		{ "consent-revoked", APPLEID_CONSENT_REVOKED },
		{ "account-delete", APPLEID_ACCOUNT_DELETED },
		{ "account-deleted", APPLEID_ACCOUNT_DELETED },
		{ "passkey-added", APPLEID_OTHER_EVENT },
	};
	struct fixture *f = *state;
	struct appleid_notification n;
	struct claims claims = good;
	char events[256];

	claims.jti = "jti-1";
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		(void)snprintf(events, sizeof(events),
		    "{\"type\":\"%s\",\"sub\":\"s1\",\"event_time\":1,"
		    "\"email\":\"a@b.example\"}",
		    kinds[i].name);
		claims.events = events;
		assert_int_equal(appleid_verify_notification(&f->config,
				     &f->arena, token_of(f, &claims), NOW_MS,
				     &n),
		    APPLEID_OK);
		assert_int_equal(n.event, kinds[i].event);
		assert_string_equal(n.id, "jti-1");
		assert_string_equal(n.sub, "s1");
		assert_string_equal(n.email, "a@b.example");
	}
	claims.events = "{\"type\":\"consent-revoked\"}";
	assert_int_equal(appleid_verify_notification(&f->config, &f->arena,
			     token_of(f, &claims), NOW_MS, &n),
	    APPLEID_BAD_TOKEN);
	claims.events = "not json";
	assert_int_equal(appleid_verify_notification(&f->config, &f->arena,
			     token_of(f, &claims), NOW_MS, &n),
	    APPLEID_BAD_TOKEN);
	claims.events = events;
	claims.jti = NULL;
	assert_int_equal(appleid_verify_notification(&f->config, &f->arena,
			     token_of(f, &claims), NOW_MS, &n),
	    APPLEID_BAD_TOKEN);
}

static void
each_answer_about_a_consent_has_its_meaning(void **state)
{
	static const struct {
		enum fetch_phase phase;
		int status;
		const char *body;
		enum appleid_verdict grant;
		enum appleid_verdict revoke;
	} answers[] = {
		{ FETCH_ANSWERED, 200,
		    "{\"refresh_token\":\"r\",\"id_token\":\"t\"}", APPLEID_OK,
		    APPLEID_OK },
		{ FETCH_ANSWERED, 200, "", APPLEID_UNAVAILABLE, APPLEID_OK },
		{ FETCH_ANSWERED, 200, "{\"refresh_token\":\"r\"}",
		    APPLEID_UNAVAILABLE, APPLEID_OK },
		{ FETCH_ANSWERED, 400, "{\"error\":\"invalid_grant\"}",
		    APPLEID_BAD_TOKEN, APPLEID_BAD_TOKEN },
		{ FETCH_ANSWERED, 429, "", APPLEID_UNAVAILABLE,
		    APPLEID_UNAVAILABLE },
		{ FETCH_ANSWERED, 503, "<html>", APPLEID_UNAVAILABLE,
		    APPLEID_UNAVAILABLE },
		{ FETCH_NOT_SENT, 0, "", APPLEID_UNAVAILABLE,
		    APPLEID_UNAVAILABLE },
		{ FETCH_MAYBE_SENT, 0, "", APPLEID_UNAVAILABLE,
		    APPLEID_UNAVAILABLE },
	};
	struct fixture *f = *state;
	struct appleid_grant grant;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct fetch_response response = {
			.phase = answers[i].phase,
			.status = answers[i].status,
			.body = str_from(answers[i].body),
		};

		assert_int_equal(appleid_grant_answer(&f->arena, &response,
				     &grant),
		    answers[i].grant);
		assert_int_equal(appleid_revoke_answer(&response),
		    answers[i].revoke);
	}
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_token_tells_who_it_is),
		TEST(each_claim_is_demanded),
		TEST(a_nonce_is_in_both_or_in_neither_and_hashed_once),
		TEST(the_stand_ins_tokens_pass_and_no_two_are_alike),
		TEST(without_an_app_nobody_is_asked),
		TEST(an_event_is_read_as_text_and_as_an_object),
		TEST(each_answer_about_a_consent_has_its_meaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
