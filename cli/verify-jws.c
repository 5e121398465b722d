/* SPDX-License-Identifier: MIT */
/*
 * rendio verify-jws -- judges a JWS of the App Store as the endpoints do, by
 * the roots and for the app that the caller names.
 *
 *   {"verdict":"accept","reason":"ok","payload":{...}}
 *
 * A payload that is proven but lacks what a purchase must have is accepted
 * with the reason "incomplete".  What is rejected has no payload: nobody
 * vouches for it.
 */

#include "cli.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "provider/appstore_check.h"

static bool
read_kind(const char *name, enum appstore_kind *ret_kind)
{
	static const char *const names[] = {
		[APPSTORE_KIND_TRANSACTION] = "transaction",
		[APPSTORE_KIND_RENEWAL] = "renewal",
		[APPSTORE_KIND_NOTIFICATION] = "notification",
		[APPSTORE_KIND_APP_TRANSACTION] = "app_transaction",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (name != NULL && strcmp(name, names[i]) == 0) {
			*ret_kind = (enum appstore_kind)i;
			return true;
		}
	return false;
}

/* Those of Xcode are known words; nothing is ever accepted of them. */
static bool
read_environment(const char *name, struct appstore_rules *rules)
{
	if (name == NULL)
		return false;
	rules->takes_production = strcmp(name, "Production") == 0;
	rules->takes_sandbox = strcmp(name, "Sandbox") == 0;
	return rules->takes_production || rules->takes_sandbox ||
	    strcmp(name, "Xcode") == 0 || strcmp(name, "LocalTesting") == 0;
}

static bool
add_root(struct x509_trust *trust, const char *path)
{
	CLEANUP(buf_free) struct buf file = { 0 };

	buf_init(&file, X509_ROOTS_FILE_BYTES_MAX);
	return config_read_file(path, false, &file) &&
	    x509_trust_add_roots(trust, buf_str(&file));
}

/* NULL, or the file that holds no root. */
static const char *
add_roots(const struct args *args, struct x509_trust *trust)
{
	if (args->root == NULL && args->count == 0)
		return x509_trust_add_roots(trust,
			   str_from(appstore_root_pem)) ?
		    NULL :
		    "(built in)";
	if (args->root != NULL && !add_root(trust, args->root))
		return args->root;
	for (int i = 0; i < args->count; i++)
		if (!add_root(trust, args->arg[i]))
			return args->arg[i];
	return NULL;
}

static int
print_verdict(enum appstore_verdict verdict, struct str payload)
{
	const bool is_proven =
	    verdict == APPSTORE_OK || verdict == APPSTORE_INCOMPLETE;
	struct json_writer w;
	struct buf out;
	int status;

	buf_init(&out, 2 * APPSTORE_JWS_BYTES_MAX);
	w = json_writer(&out);
	json_begin_object(&w, NULL);
	json_text(&w, "verdict", is_proven ? "accept" : "reject");
	json_text(&w, "reason", appstore_verdict_name(verdict));
	if (is_proven)
		json_raw(&w, "payload", payload);
	else
		json_null(&w, "payload");
	json_end_object(&w);
	status = cli_print(&out);
	if (status == CLI_OK && !is_proven)
		return CLI_NEGATIVE;
	return status;
}

static bool
read_input(struct buf *text)
{
	char chunk[4096];
	size_t n;

	while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0) {
		const size_t room = text->bytes_max - text->len;

		buf_append(text, (struct str){ chunk, n < room ? n : room });
		if (n > room)
			break;
	}
	return ferror(stdin) == 0;
}

static int
verify(const struct appstore_rules *rules, enum appstore_kind kind)
{
	CLEANUP(buf_free) struct buf text = { 0 };
	enum appstore_verdict verdict;
	struct appstore_proof proof = { 0 };
	struct arena arena;
	struct str jws;
	int status;

	/* One more than may be, and a line's end. */
	buf_init(&text, APPSTORE_JWS_BYTES_MAX + 2);
	if (!read_input(&text))
		return cli_fail("standard input cannot be read");
	/* What is cut off there is too long anyway. */
	jws = buf_str(&text);
	if (str_ends_with(jws, STR("\n")))
		jws.len--;
	arena_init(&arena, APPSTORE_ARENA_BYTES);
	verdict =
	    appstore_check(rules, &arena, kind, jws, clock_now_ms(), &proof);
	status = print_verdict(verdict, proof.payload_text);
	arena_free(&arena);
	return status;
}

int
verify_jws_command(const struct args *args)
{
	struct appstore_rules rules = {
		.bundle_id = str_from(args->bundle_id),
	};
	enum appstore_kind kind;
	const char *bad_root;
	int status;

	if (!read_kind(args->kind, &kind))
		return cli_misuse("--kind",
		    args->kind == NULL ? "is wanted" : args->kind);
	if (!read_environment(args->environment, &rules))
		return cli_misuse("--environment",
		    args->environment == NULL ? "is wanted" :
						args->environment);
	if (rules.bundle_id.len == 0)
		return cli_misuse("--bundle-id", "is wanted");
	if (args->app_id != NULL &&
	    !str_to_int64(str_from(args->app_id), 1, INT64_MAX, &rules.app_id))
		return cli_misuse("--app-id is not a number", args->app_id);
	rules.trust = x509_trust_new(&(const struct x509_rules){
	    .leaf_marker = APPSTORE_LEAF_MARKER,
	    .intermediate_marker = APPSTORE_INTERMEDIATE_MARKER,
	    .is_strict = !args->is_lax,
	});
	bad_root = add_roots(args, rules.trust);
	status = bad_root != NULL ?
	    cli_misuse("no certificate in PEM or DER", bad_root) :
	    verify(&rules, kind);
	x509_trust_free(rules.trust);
	return status;
}
