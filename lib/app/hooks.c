/* SPDX-License-Identifier: MIT */
#include "app/hooks.h"
#include "domain/reports.h"

#include <sodium.h>

/* Half of an HMAC-SHA-256: enough for a secret that is checked online. */
#define MAC_BYTES 16
#define MAC_TEXT_BYTES (2 * MAC_BYTES + 1)

static void
write_mac(const struct keys *keys, const char *provider,
    const struct uuid *attempt_id, char text[MAC_TEXT_BYTES])
{
	crypto_auth_hmacsha256_state state;
	uint8_t mac[crypto_auth_hmacsha256_BYTES];

	(void)crypto_auth_hmacsha256_init(&state, keys->webhook, KEY_BYTES);
	(void)crypto_auth_hmacsha256_update(&state,
	    (const unsigned char *)provider, strlen(provider) + 1);
	(void)crypto_auth_hmacsha256_update(&state, attempt_id->bytes,
	    UUID_BYTES);
	(void)crypto_auth_hmacsha256_final(&state, mac);
	(void)sodium_bin2hex(text, MAC_TEXT_BYTES, mac, MAC_BYTES);
}

void
hooks_write_url(const struct config *config, const struct keys *keys,
    const char *provider, const struct uuid *attempt_id, char *url, size_t size)
{
	char id[UUID_TEXT_BYTES], mac[MAC_TEXT_BYTES];
	int n;

	uuid_format(attempt_id, id);
	write_mac(keys, provider, attempt_id, mac);
	n = snprintf(url, size, "%s/functions/v1/%s-webhook/%s.%s",
	    config_text(config, CONFIG_PUBLIC_URL), provider, id, mac);
	if (n < 0 || (size_t)n >= size)
		url[0] = '\0';
}

bool
hooks_check(const struct keys *keys, const char *provider, struct str tail,
    struct uuid *ret_attempt_id)
{
	char mac[MAC_TEXT_BYTES];
	struct str id, given;
	struct uuid attempt_id;

	if (!str_cut(tail, '.', &id, &given) || !uuid_parse(id, &attempt_id) ||
	    given.len != MAC_TEXT_BYTES - 1)
		return false;
	write_mac(keys, provider, &attempt_id, mac);
	if (sodium_memcmp(mac, given.ptr, given.len) != 0)
		return false;
	*ret_attempt_id = attempt_id;
	return true;
}

static bool
fill_report(struct report *report, const struct hook *hook)
{
	const struct provider_error *error = &hook->status->error;

	*report = (struct report){
		.attempt_id = hook->attempt_id,
		.outcome = REPORT_LOOK,
	};
	if (hook->status->state == PROVIDER_DONE) {
		report->outcome = REPORT_DONE;
		(void)str_copy(str_from(hook->status->video_url),
		    report->video_url, sizeof(report->video_url));
		report->video_bytes = hook->status->video_bytes;
	} else if (hook->status->state == PROVIDER_FAILED) {
		report->outcome = REPORT_FAILED;
		report->may_try_again = error->class == PROVIDER_RETRY_ATTEMPT;
		report->is_unbilled = error->is_unbilled;
		(void)str_copy(str_from(provider_code_name(error->code)),
		    report->error_code, sizeof(report->error_code));
	}
	return str_copy(str_from(hook->provider), report->provider,
		   sizeof(report->provider)) &&
	    hook->request_id.len > 0 &&
	    str_copy(hook->request_id, report->request_id,
		sizeof(report->request_id));
}

enum err
hooks_report(struct app *app, const struct request *req, struct response *res,
    const struct hook *hook)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	struct report report;
	enum err err;

	if (!fill_report(&report, hook))
		return ERR_INVALID_REQUEST;
	(void)crypto_hash_sha256(hash, (const unsigned char *)req->body.ptr,
	    req->body.len);
	err = reports_add(app->db, &report, hash, req->now_ms);
	if (err != OK)
		return err;
	app_nudge(app);

	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "success", true);
	json_end_object(&res->json);
	return OK;
}
