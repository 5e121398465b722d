/* SPDX-License-Identifier: MIT */
#include "provider/appstore.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "provider/appstore_check.h"
#include "provider/appstore_sandbox.h"

#define SANDBOX_BUNDLE_ID "app.rendio.sandbox"

/* What the process keeps; `trust` is NULL until it is first needed. */
static struct {
	struct x509_trust *trust;
	struct x509_trust *sandbox_trust;
} kept;

void
appstore_forget(void)
{
	x509_trust_free(kept.trust);
	x509_trust_free(kept.sandbox_trust);
	kept.trust = NULL;
	kept.sandbox_trust = NULL;
}

const char *
appstore_bundle_id(const struct config *config)
{
	if (!config_is_set(config, CONFIG_APPLE_BUNDLE_ID) &&
	    config_is_sandbox(config))
		return SANDBOX_BUNDLE_ID;
	return config_text(config, CONFIG_APPLE_BUNDLE_ID);
}

static struct x509_trust *
new_trust(bool is_strict)
{
	return x509_trust_new(&(const struct x509_rules){
	    .leaf_marker = APPSTORE_LEAF_MARKER,
	    .intermediate_marker = APPSTORE_INTERMEDIATE_MARKER,
	    .is_strict = is_strict,
	});
}

static bool
add_file(struct x509_trust *trust, struct str path)
{
	CLEANUP(buf_free) struct buf file = { 0 };
	char name[CONFIG_VALUE_BYTES_MAX];

	buf_init(&file, X509_ROOTS_FILE_BYTES_MAX);
	return str_copy(path, name, sizeof(name)) &&
	    config_read_file(name, false, &file) &&
	    x509_trust_add_roots(trust, buf_str(&file));
}

/* Adds each item of a list separated by commas. */
static bool
add_each(struct x509_trust *trust, struct str list,
    bool (*add)(struct x509_trust *trust, struct str item))
{
	struct str item, rest;

	while (list.len > 0) {
		(void)str_cut(list, ',', &item, &rest);
		if (!add(trust, str_trim(item)))
			return false;
		list = rest;
	}
	return true;
}

static bool
fill_trust(const struct config *config, struct x509_trust *trust,
    struct buf *problem)
{
	const struct str files =
	    str_from(config_text(config, CONFIG_APPLE_ROOT_CA_FILE));

	if (files.len == 0 ?
		!x509_trust_add_roots(trust, str_from(appstore_root_pem)) :
		!add_each(trust, files, add_file)) {
		buf_appendf(problem,
		    "RENDIO_APPLE_ROOT_CA_FILE does not name readable PEM "
		    "files with 1 to %d certificates",
		    X509_ROOTS_MAX);
		return false;
	}
	if (!add_each(trust,
		str_from(config_text(config, CONFIG_APPLE_DENIED_LEAVES)),
		x509_trust_deny)) {
		buf_appendf(problem,
		    "RENDIO_APPLE_DENIED_LEAVES is not a list of at most %d "
		    "SHA-256 in hex",
		    X509_DENIED_MAX);
		return false;
	}
	return true;
}

static bool
read_app_id(const struct config *config, int64_t *ret_app_id)
{
	const char *text = config_text(config, CONFIG_APPLE_APP_ID);

	if (text[0] != '\0')
		return str_to_int64(str_from(text), 1, INT64_MAX, ret_app_id);
	*ret_app_id = 0;
	return true;
}

bool
appstore_is_ready(const struct config *config, struct buf *problem)
{
	struct x509_trust *trust;
	int64_t app_id;

	if (!read_app_id(config, &app_id) ||
	    (app_id == 0 && !config_is_sandbox(config))) {
		buf_appendf(problem,
		    "RENDIO_APPLE_APP_ID must be the app's number in the App "
		    "Store");
		return false;
	}
	if (appstore_bundle_id(config)[0] == '\0') {
		buf_appendf(problem, "RENDIO_APPLE_BUNDLE_ID must be set");
		return false;
	}
	if (kept.trust != NULL)
		return true;
	trust = new_trust(config_number(config, CONFIG_APPLE_X509_STRICT) == 1);
	if (!fill_trust(config, trust, problem)) {
		x509_trust_free(trust);
		return false;
	}
	kept.trust = trust;
	return true;
}

/* Our own root; where there is no such file yet nothing was sold by us. */
static struct x509_trust *
sandbox_trust(const struct config *config)
{
	CLEANUP(buf_free) struct buf root = { 0 };
	struct x509_trust *trust;

	if (!config_is_sandbox(config))
		return NULL;
	if (kept.sandbox_trust != NULL)
		return kept.sandbox_trust;
	buf_init(&root, X509_ROOTS_FILE_BYTES_MAX);
	if (!appstore_sandbox_root(config, &root))
		return NULL;
	trust = new_trust(true);
	if (!x509_trust_add_roots(trust, buf_str(&root))) {
		x509_trust_free(trust);
		return NULL;
	}
	kept.sandbox_trust = trust;
	return trust;
}

static enum appstore_verdict
check(const struct config *config, struct arena *arena, enum appstore_kind kind,
    struct str jws, int64_t now_ms, struct appstore_proof *ret_proof)
{
	CLEANUP(buf_free) struct buf problem = { 0 };
	struct appstore_rules rules = {
		.bundle_id = str_from(appstore_bundle_id(config)),
		.takes_production = true,
		.takes_sandbox = true,
	};

	buf_init(&problem, 512);
	if (!appstore_is_ready(config, &problem)) {
		log_line(LOG_ERROR, "appstore", "problem", problem.ptr);
		return APPSTORE_UNAVAILABLE;
	}
	(void)read_app_id(config, &rules.app_id);
	rules.trust = kept.trust;
	rules.sandbox_trust = sandbox_trust(config);
	return appstore_check(&rules, arena, kind, jws, now_ms, ret_proof);
}

enum appstore_verdict
appstore_verify_transaction(const struct config *config, struct arena *arena,
    struct str jws, int64_t now_ms,
    struct appstore_transaction *ret_transaction)
{
	struct appstore_proof proof;
	const enum appstore_verdict verdict = check(config, arena,
	    APPSTORE_KIND_TRANSACTION, jws, now_ms, &proof);

	if (verdict == APPSTORE_OK)
		*ret_transaction = proof.transaction;
	return verdict;
}

enum appstore_verdict
appstore_verify_renewal(const struct config *config, struct arena *arena,
    struct str jws, int64_t now_ms, struct appstore_renewal *ret_renewal)
{
	struct appstore_proof proof;
	const enum appstore_verdict verdict =
	    check(config, arena, APPSTORE_KIND_RENEWAL, jws, now_ms, &proof);

	if (verdict == APPSTORE_OK)
		*ret_renewal = proof.renewal;
	return verdict;
}

enum appstore_verdict
appstore_verify_notification(const struct config *config, struct arena *arena,
    struct str jws, int64_t now_ms,
    struct appstore_notification *ret_notification)
{
	struct appstore_proof proof;
	const enum appstore_verdict verdict = check(config, arena,
	    APPSTORE_KIND_NOTIFICATION, jws, now_ms, &proof);

	if (verdict == APPSTORE_OK)
		*ret_notification = proof.notification;
	return verdict;
}

enum appstore_verdict
appstore_verify_app_transaction(const struct config *config,
    struct arena *arena, struct str jws, int64_t now_ms,
    struct appstore_app_transaction *ret_app_transaction)
{
	struct appstore_proof proof;
	const enum appstore_verdict verdict = check(config, arena,
	    APPSTORE_KIND_APP_TRANSACTION, jws, now_ms, &proof);

	if (verdict == APPSTORE_OK)
		*ret_app_transaction = proof.app_transaction;
	return verdict;
}

bool
appstore_read_body(struct arena *arena, struct str body,
    struct str *ret_signed_payload)
{
	return json_to_str(json_member(json_parse(arena, body),
			       "signedPayload"),
	    ret_signed_payload);
}
