/* SPDX-License-Identifier: MIT */
#include "wire/fetch.h"

#include <curl/curl.h>

/*
 * Where URLs lead, as libcurl's own parser reads them: what it reads here is
 * where it would go.
 */

bool
fetch_redirect(const struct fetch_response *response, const char *url,
    char ret_url[FETCH_URL_BYTES_MAX])
{
	const int status = response->status;
	char location[FETCH_URL_BYTES_MAX];
	char *whole = NULL;
	struct str value;
	CURLU *parts;
	bool ok;

	if (response->phase != FETCH_ANSWERED ||
	    (status != 301 && status != 302 && status != 303 && status != 307 &&
		status != 308) ||
	    !fetch_header(response, "Location", &value) ||
	    !str_copy(value, location, sizeof(location)))
		return false;
	parts = curl_url();
	if (parts == NULL)
		abort();
	/* The second is read relative to the first. */
	ok = curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_set(parts, CURLUPART_URL, location, 0) == CURLUE_OK &&
	    curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_URL, &whole, 0) == CURLUE_OK &&
	    str_copy(str_from(whole), ret_url, FETCH_URL_BYTES_MAX);
	curl_free(whole);
	curl_url_cleanup(parts);
	return ok;
}

/* Splits "host:8080"; a host without a port, "[::1]" too, keeps *port. */
static void
split_port(struct str *host, struct str *port)
{
	size_t digits = 0;

	while (digits < host->len && host->ptr[host->len - digits - 1] >= '0' &&
	    host->ptr[host->len - digits - 1] <= '9')
		digits++;
	if (digits == 0 || digits == host->len ||
	    host->ptr[host->len - digits - 1] != ':')
		return;
	*port = (struct str){ host->ptr + host->len - digits, digits };
	host->len -= digits + 1;
}

static bool
host_matches(struct str host, struct str pattern)
{
	if (!str_starts_with(pattern, STR("*.")))
		return str_equal_nocase(host, pattern);
	/* ".example.com" must follow at least one byte. */
	pattern.ptr++;
	pattern.len--;
	if (host.len <= pattern.len)
		return false;
	host.ptr += host.len - pattern.len;
	host.len = pattern.len;
	return str_equal_nocase(host, pattern);
}

bool
fetch_url_has_host(const char *url, struct str host)
{
	/* libcurl's own parser: what it reads here is where it would go. */
	CURLU *parts = curl_url();
	char *scheme = NULL, *name = NULL, *port = NULL, *user = NULL;
	struct str wanted_port;
	bool matches = false;

	if (parts == NULL)
		abort();
	if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_HOST, &name, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ==
		CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER) {
		const bool is_https = strcmp(scheme, "https") == 0;

		wanted_port = is_https ? STR("443") : STR("80");
		split_port(&host, &wanted_port);
		matches = (is_https || strcmp(scheme, "http") == 0) &&
		    str_equal(str_from(port), wanted_port) &&
		    host_matches(str_from(name), host);
	}
	curl_free(scheme);
	curl_free(name);
	curl_free(port);
	curl_free(user);
	curl_url_cleanup(parts);
	return matches;
}
