/* SPDX-License-Identifier: MIT */
#include "provider/devicecheck.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/uuid.h"
#include "provider/devicecheck_apple.h"
#include "wire/base64.h"
#include "wire/json.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY_FILE "tests/vectors/apple/testSigningKey.p8"

static const uint8_t secret[32] = { 1, 2, 3 };
static const uint8_t other_secret[32] = { 1, 2, 4 };

static char state_dir[] = "/tmp/rendio-devices-XXXXXX";
static struct config config;

static void
parse_config(struct config *c, const char *lines)
{
	char text[128];
	char *environment[] = { text, NULL };
	struct buf problem;

	(void)snprintf(text, sizeof(text), "RENDIO_STATE_DIR=%s", state_dir);
	buf_init(&problem, 512);
	assert_true(config_parse(c, str_from(lines), environment, &problem));
	buf_free(&problem);
}

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(state_dir) == NULL)
		return -1;
	parse_config(&config, "");
	return 0;
}

static int
remove_one(const char *path, const struct stat *info, int type,
    struct FTW *place)
{
	(void)info;
	(void)type;
	(void)place;
	return remove(path);
}

static int
tear_down(void **state)
{
	(void)state;
	config_free(&config);
	return nftw(state_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The stand-in. */

static void
make_token(const char *name, struct buf *token)
{
	buf_init(token, DEVICECHECK_TOKEN_BYTES_MAX);
	assert_true(devicecheck_sandbox_token(secret, str_from(name), token));
}

static void
a_phone_without_bits_was_never_set(void **state)
{
	CLEANUP(buf_free) struct buf token;
	struct devicecheck_bits bits = { true, true, true };

	(void)state;
	make_token("new-phone", &token);
	assert_int_equal(devicecheck_query(&config, secret, buf_str(&token),
			     &bits),
	    DEVICECHECK_OK);
	assert_false(bits.ever_set);
	assert_false(bits.bit0);
	assert_false(bits.bit1);
}

static void
bits_belong_to_the_phone_not_to_the_token(void **state)
{
	CLEANUP(buf_free) struct buf first;
	CLEANUP(buf_free) struct buf second;
	CLEANUP(buf_free) struct buf foreign;
	struct devicecheck_bits bits;

	(void)state;
	make_token("phone-a", &first);
	make_token("phone-a", &second);
	make_token("phone-b", &foreign);
	assert_false(str_equal(buf_str(&first), buf_str(&second)));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(devicecheck_update(&config, secret,
				     buf_str(&first), i & 1, i >> 1),
		    DEVICECHECK_OK);
		assert_int_equal(devicecheck_query(&config, secret,
				     buf_str(&second), &bits),
		    DEVICECHECK_OK);
		assert_true(bits.ever_set);
		assert_int_equal(bits.bit0, i & 1);
		assert_int_equal(bits.bit1, i >> 1);
	}
	assert_int_equal(devicecheck_query(&config, secret, buf_str(&foreign),
			     &bits),
	    DEVICECHECK_OK);
	assert_false(bits.ever_set);
}

static void
only_our_tokens_are_taken(void **state)
{
	static const char *const forged[] = { "", "AAAA", "not base64!",
		"cGhvbmUtYQ==" };
	struct devicecheck_bits bits;
	CLEANUP(buf_free) struct buf token;

	(void)state;
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		assert_int_equal(devicecheck_query(&config, secret,
				     str_from(forged[i]), &bits),
		    DEVICECHECK_BAD_TOKEN);
		assert_int_equal(devicecheck_update(&config, secret,
				     str_from(forged[i]), true, true),
		    DEVICECHECK_BAD_TOKEN);
	}
	make_token("phone", &token);
	assert_int_equal(devicecheck_query(&config, other_secret,
			     buf_str(&token), &bits),
	    DEVICECHECK_BAD_TOKEN);
	/* Every character counts. */
	for (size_t i = 0; i < token.len; i++) {
		const char kept = token.ptr[i];

		token.ptr[i] = kept == 'A' ? 'B' : 'A';
		assert_int_equal(devicecheck_query(&config, secret,
				     buf_str(&token), &bits),
		    DEVICECHECK_BAD_TOKEN);
		token.ptr[i] = kept;
	}
}

static void
a_phone_has_a_short_plain_name(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = { { "a", true }, { "Ada-1_x.y", true }, { "", false },
		{ "a b", false }, { "../x", false }, { "\xc3\xa4", false } };
	char name[66];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(buf_free) struct buf token;

		buf_init(&token, 512);
		assert_int_equal(devicecheck_sandbox_token(secret,
				     str_from(cases[i].name), &token),
		    cases[i].ok);
	}
	memset(name, 'n', sizeof(name));
	for (size_t n = 63; n <= 65; n++) {
		CLEANUP(buf_free) struct buf token;
		struct devicecheck_bits bits;
		const bool ok = n <= DEVICECHECK_SANDBOX_NAME_BYTES_MAX;

		buf_init(&token, 512);
		assert_int_equal(devicecheck_sandbox_token(secret,
				     (struct str){ name, n }, &token),
		    ok);
		if (ok)
			assert_int_equal(devicecheck_query(&config, secret,
					     buf_str(&token), &bits),
			    DEVICECHECK_OK);
	}
}

/* Apple's answers. */

static struct fetch_response
answered(int status, const char *body)
{
	return (struct fetch_response){
		.phase = FETCH_ANSWERED,
		.status = status,
		.body = str_from(body),
	};
}

static void
two_booleans_are_the_bits(void **state)
{
	struct fetch_response response = answered(200,
	    "{\"bit0\":true,\"bit1\":false,\"last_update_time\":\"2026-10\"}");
	struct devicecheck_bits bits;

	(void)state;
	assert_int_equal(devicecheck_apple_query_answer(&response, &bits),
	    DEVICECHECK_OK);
	assert_true(bits.ever_set);
	assert_true(bits.bit0);
	assert_false(bits.bit1);
}

static void
a_sentence_about_bit_state_means_never_set(void **state)
{
	static const char *const sentences[] = { "Failed to find bit state",
		"Bit State Not Found", "  FAILED TO FIND BIT STATE\r\n" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fetch_response response = answered(200, sentences[i]);
		struct devicecheck_bits bits = { true, true, true };

		assert_int_equal(devicecheck_apple_query_answer(&response,
				     &bits),
		    DEVICECHECK_OK);
		assert_false(bits.ever_set);
		assert_false(bits.bit0);
		assert_false(bits.bit1);
	}
}

static void
any_other_success_says_nothing_about_the_bits(void **state)
{
	static const char *const bodies[] = { "", "OK", "{}", "[]", "null",
		"{\"bit0\":true}", "{\"bit0\":1,\"bit1\":0}",
		"{\"bit0\":\"true\",\"bit1\":\"false\"}",
		"{\"error\":\"bit state\"}", "<html>welcome</html>" };

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct fetch_response response = answered(200, bodies[i]);
		struct devicecheck_bits bits = { true, true, true };

		assert_int_equal(devicecheck_apple_query_answer(&response,
				     &bits),
		    DEVICECHECK_UNAVAILABLE);
		assert_true(bits.bit0 && bits.bit1 && bits.ever_set);
	}
}

static void
only_a_400_that_names_the_device_token_blames_the_client(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum devicecheck_verdict verdict;
	} cases[] = {
		{ 400, "Missing or incorrectly formatted device token payload",
		    DEVICECHECK_BAD_TOKEN },
		{ 400, "Bad Device Token", DEVICECHECK_BAD_TOKEN },
		{ 400, "Missing or incorrectly formatted bits",
		    DEVICECHECK_UNAVAILABLE },
		{ 400, "Missing or incorrectly formatted time stamp",
		    DEVICECHECK_UNAVAILABLE },
		{ 400, "Missing or badly formatted authorization token",
		    DEVICECHECK_UNAVAILABLE },
		{ 401, "Unable to verify authorization token",
		    DEVICECHECK_UNAVAILABLE },
		{ 403, "device token", DEVICECHECK_UNAVAILABLE },
		{ 404, "Failed to find bit state", DEVICECHECK_UNAVAILABLE },
		{ 405, "Method Not Allowed", DEVICECHECK_UNAVAILABLE },
		{ 429, "", DEVICECHECK_UNAVAILABLE },
		{ 500, "device token", DEVICECHECK_UNAVAILABLE },
		{ 503, "", DEVICECHECK_UNAVAILABLE },
		{ 302, "", DEVICECHECK_UNAVAILABLE },
		{ 204, "", DEVICECHECK_UNAVAILABLE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch_response response =
		    answered(cases[i].status, cases[i].body);
		struct devicecheck_bits bits;

		assert_int_equal(devicecheck_apple_query_answer(&response,
				     &bits),
		    cases[i].verdict);
		assert_int_equal(devicecheck_apple_update_answer(&response),
		    cases[i].verdict);
	}
}

static void
half_an_answer_is_none(void **state)
{
	struct fetch_response response =
	    answered(200, "{\"bit0\":true,\"bit1\":false}");
	struct devicecheck_bits bits;

	(void)state;
	response.phase = FETCH_MAYBE_SENT;
	assert_int_equal(devicecheck_apple_query_answer(&response, &bits),
	    DEVICECHECK_UNAVAILABLE);
	assert_int_equal(devicecheck_apple_update_answer(&response),
	    DEVICECHECK_UNCERTAIN);
	response.phase = FETCH_NOT_SENT;
	assert_int_equal(devicecheck_apple_update_answer(&response),
	    DEVICECHECK_UNAVAILABLE);
	response = answered(200, "");
	assert_int_equal(devicecheck_apple_update_answer(&response),
	    DEVICECHECK_OK);
}

/* A pretended Apple: answers one request a connection, keeps the last one. */

static char *last_request;
#define REQUEST_BYTES 4096

static pid_t
serve(const char *answer, uint16_t *ret_port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(in);
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	last_request = mmap(NULL, REQUEST_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(last_request, MAP_FAILED);
	assert_int_equal(bind(listener, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &size),
	    0);
	assert_int_equal(listen(listener, 8), 0);
	*ret_port = ntohs(in.sin_port);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			const int fd = accept(listener, NULL, NULL);
			size_t n = 0;

			/* Our bodies end with the brace of the object. */
			memset(last_request, 0, REQUEST_BYTES);
			while (n == 0 || last_request[n - 1] != '}') {
				const ssize_t got = read(fd, last_request + n,
				    REQUEST_BYTES - 1 - n);

				if (got <= 0)
					_exit(1);
				n += (size_t)got;
			}
			if (write(fd, answer, strlen(answer)) < 0)
				_exit(1);
			(void)close(fd);
		}
	}
	(void)close(listener);
	return pid;
}

static void
parse_live(struct config *c, uint16_t port)
{
	char lines[512];

	(void)snprintf(lines, sizeof(lines),
	    "RENDIO_MODE=live\nRENDIO_DEVICECHECK_URL=http://127.0.0.1:%d\n"
	    "RENDIO_ALLOW_PRIVATE_UPSTREAMS=1\n"
	    "RENDIO_APPLE_TEAM_ID=TEAM123456\n"
	    "RENDIO_DEVICECHECK_KEY_ID=KEY1234567\n"
	    "RENDIO_DEVICECHECK_KEY_FILE=" KEY_FILE "\n",
	    port);
	parse_config(c, lines);
}

static void
assert_bearer_is_ours(void)
{
	static const char field[] = "\r\nAuthorization: Bearer ";
	const char *at = strstr(last_request, field);
	struct str header, claims, rest;
	const struct json *document;
	struct arena arena;
	struct str text;
	char decoded[512];
	int64_t iat;
	size_t n;

	assert_non_null(at);
	rest = str_from(at + sizeof(field) - 1);
	assert_true(str_cut(rest, '.', &header, &rest));
	assert_true(str_cut(rest, '.', &claims, &rest));
	assert_true(
	    base64_decode(BASE64_URL, header, decoded, sizeof(decoded), &n));
	assert_true(str_equal((struct str){ decoded, n },
	    STR("{\"alg\":\"ES256\",\"kid\":\"KEY1234567\","
		"\"typ\":\"JWT\"}")));
	assert_true(
	    base64_decode(BASE64_URL, claims, decoded, sizeof(decoded), &n));
	arena_init(&arena, (size_t)1024 * 1024);
	document = json_parse(&arena, (struct str){ decoded, n });
	assert_true(json_to_str(json_member(document, "iss"), &text));
	assert_true(str_equal(text, STR("TEAM123456")));
	assert_true(
	    json_to_int64(json_member(document, "iat"), 0, JSON_INT_MAX, &iat));
	assert_in_range(clock_now_ms() / 1000 - iat, 0, 60);
	arena_free(&arena);
}

static void
apple_is_asked_in_apples_words(void **state)
{
	CLEANUP(config_free) struct config live = { 0 };
	struct devicecheck_bits bits;
	const struct json *body;
	struct uuid transaction_id;
	struct arena arena;
	struct str text;
	int64_t timestamp;
	uint16_t port;
	bool bit;
	const pid_t pid = serve("HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n"
				"{\"bit0\":false,\"bit1\":true }",
	    &port);

	(void)state;
	parse_live(&live, port);
	arena_init(&arena, (size_t)1024 * 1024);
	assert_int_equal(devicecheck_query(&live, secret, STR("dG9rZW4="),
			     &bits),
	    DEVICECHECK_OK);
	assert_true(bits.bit1);
	assert_non_null(
	    strstr(last_request, "POST /v1/query_two_bits HTTP/1.1\r\n"));
	assert_bearer_is_ours();
	body =
	    json_parse(&arena, str_from(strstr(last_request, "\r\n\r\n") + 4));
	assert_true(json_to_str(json_member(body, "device_token"), &text));
	assert_true(str_equal(text, STR("dG9rZW4=")));
	assert_true(
	    json_to_uuid(json_member(body, "transaction_id"), &transaction_id));
	assert_true(json_to_int64(json_member(body, "timestamp"),
	    clock_now_ms() - 60000, clock_now_ms(), &timestamp));
	assert_null(json_member(body, "bit0"));

	assert_int_equal(devicecheck_update(&live, secret, STR("dG9rZW4="),
			     true, false),
	    DEVICECHECK_OK);
	assert_non_null(
	    strstr(last_request, "POST /v1/update_two_bits HTTP/1.1\r\n"));
	assert_bearer_is_ours();
	body =
	    json_parse(&arena, str_from(strstr(last_request, "\r\n\r\n") + 4));
	assert_true(json_to_bool(json_member(body, "bit0"), &bit) && bit);
	assert_true(json_to_bool(json_member(body, "bit1"), &bit) && !bit);
	arena_free(&arena);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static void
an_apple_out_of_reach_is_unavailable(void **state)
{
	CLEANUP(config_free) struct config live = { 0 };
	struct devicecheck_bits bits;

	(void)state;
	parse_live(&live, 1);
	assert_int_equal(devicecheck_query(&live, secret, STR("dG9rZW4="),
			     &bits),
	    DEVICECHECK_UNAVAILABLE);
	assert_int_equal(devicecheck_update(&live, secret, STR("dG9rZW4="),
			     true, true),
	    DEVICECHECK_UNAVAILABLE);
}

static void
a_token_has_the_largest_size_and_not_a_byte_more(void **state)
{
	static char token[DEVICECHECK_TOKEN_BYTES_MAX + 1];
	CLEANUP(config_free) struct config live = { 0 };
	struct devicecheck_bits bits;

	(void)state;
	parse_live(&live, 1);
	memset(token, 'A', sizeof(token));
	for (size_t n = DEVICECHECK_TOKEN_BYTES_MAX - 1; n <= sizeof(token);
	     n++)
		assert_int_equal(devicecheck_query(&live, secret,
				     (struct str){ token, n }, &bits),
		    n <= DEVICECHECK_TOKEN_BYTES_MAX ? DEVICECHECK_UNAVAILABLE :
						       DEVICECHECK_BAD_TOKEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_phone_without_bits_was_never_set),
		cmocka_unit_test(bits_belong_to_the_phone_not_to_the_token),
		cmocka_unit_test(only_our_tokens_are_taken),
		cmocka_unit_test(a_phone_has_a_short_plain_name),
		cmocka_unit_test(two_booleans_are_the_bits),
		cmocka_unit_test(a_sentence_about_bit_state_means_never_set),
		cmocka_unit_test(any_other_success_says_nothing_about_the_bits),
		cmocka_unit_test(
		    only_a_400_that_names_the_device_token_blames_the_client),
		cmocka_unit_test(half_an_answer_is_none),
		cmocka_unit_test(apple_is_asked_in_apples_words),
		cmocka_unit_test(an_apple_out_of_reach_is_unavailable),
		cmocka_unit_test(
		    a_token_has_the_largest_size_and_not_a_byte_more),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
