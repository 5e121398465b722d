/* SPDX-License-Identifier: MIT */
#include "wire/fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HERE "https://cdn.test/a/b.mp4?x=1"

static struct fetch_response
redirect(int status, const char *headers)
{
	return (struct fetch_response){
		.phase = FETCH_ANSWERED,
		.status = status,
		.headers = str_from(headers),
	};
}

static void
a_redirect_is_read_from_where_it_was_given(void **state)
{
	static const char *const cases[][2] = {
		{ "Location: https://other.test/c\r\n",
		    "https://other.test/c" },
		{ "location: //other.test/c\r\n", "https://other.test/c" },
		{ "Location: /c/d\r\n", "https://cdn.test/c/d" },
		{ "Location: c\r\n", "https://cdn.test/a/c" },
		{ "Location: ?y=2\r\n", "https://cdn.test/a/b.mp4?y=2" },
		{ "Location: ../../../c\r\n", "https://cdn.test/c" },
		{ "Location: /c#part\r\n", "https://cdn.test/c" },
		{ "Location: http://[::ffff:127.0.0.1]/\r\n",
		    "http://[::ffff:127.0.0.1]/" },
	};
	static const int statuses[] = { 301, 302, 303, 307, 308 };
	char url[FETCH_URL_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t j = 0; j < 5; j++) {
			const struct fetch_response response =
			    redirect(statuses[j], cases[i][0]);

			assert_true(fetch_redirect(&response, HERE, url));
			assert_string_equal(url, cases[i][1]);
		}
}

static void
what_is_no_redirect_leads_nowhere(void **state)
{
	char long_header[FETCH_URL_BYTES_MAX + 64];
	char url[FETCH_URL_BYTES_MAX] = "untouched";
	struct fetch_response response;
	const int n = snprintf(long_header, sizeof(long_header), "Location: /");

	(void)state;
	response = redirect(200, "Location: /c\r\n");
	assert_false(fetch_redirect(&response, HERE, url));
	response = redirect(304, "Location: /c\r\n");
	assert_false(fetch_redirect(&response, HERE, url));
	response = redirect(302, "Content-Length: 0\r\n");
	assert_false(fetch_redirect(&response, HERE, url));
	response = redirect(302, "Location: https://a b/\r\n");
	assert_false(fetch_redirect(&response, HERE, url));
	response = redirect(302, "Location: /c\r\n");
	response.phase = FETCH_MAYBE_SENT;
	assert_false(fetch_redirect(&response, HERE, url));
	memset(long_header + n, 'a', FETCH_URL_BYTES_MAX);
	long_header[n + FETCH_URL_BYTES_MAX] = '\0';
	response = redirect(302, long_header);
	assert_false(fetch_redirect(&response, HERE, url));
	assert_string_equal(url, "untouched");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_redirect_is_read_from_where_it_was_given),
		cmocka_unit_test(what_is_no_redirect_leads_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
