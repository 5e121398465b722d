/* SPDX-License-Identifier: MIT */
#include "domain/notices.h"

#include "fixture.h"

struct text {
	const char *key;
	struct str text;
};

static enum err
add_text(struct db *db, void *arg)
{
	const struct text *text = arg;

	return notices_add(db, text->key, text->text, NOW);
}

static void
add(const struct fixture *f, const char *key, const char *text)
{
	struct text t = { key, str_from(text) };

	assert_int_equal(db_transaction(f->db, add_text, &t), OK);
}

static void
take_at(const struct fixture *f, int64_t now_ms, struct notice_batch *batch,
    size_t count)
{
	assert_int_equal(notices_take(f->db, now_ms, MINUTE, batch), OK);
	assert_int_equal(batch->count, count);
}

static void
a_key_is_told_once(void **state)
{
	const struct fixture *f = *state;
	struct notice_batch batch;

	add(f, "a", "first");
	add(f, "a", "second");
	take_at(f, NOW, &batch, 1);
	assert_string_equal(batch.notice[0].text, "first");
	assert_int_equal(notices_sent(f->db, &batch, NOW, NOW), OK);
	add(f, "a", "third");
	take_at(f, NOW, &batch, 0);
}

static void
what_waits_goes_together_and_one_message_at_a_time(void **state)
{
	const struct fixture *f = *state;
	struct notice_batch batch, other;
	char key[16];

	for (int i = 0; i < NOTICE_BATCH_MAX + 1; i++) {
		(void)snprintf(key, sizeof(key), "%d", i);
		add(f, key, key);
	}
	take_at(f, NOW, &batch, NOTICE_BATCH_MAX);
	take_at(f, NOW + MINUTE - 1, &other, 0);
	assert_int_equal(notices_sent(f->db, &batch, NOW, NOW + SECOND), OK);
	take_at(f, NOW + SECOND - 1, &other, 0);
	take_at(f, NOW + SECOND, &other, 1);
	assert_string_equal(other.notice[0].text, "20");
	assert_false(other.notice[0].is_doubtful);
}

static void
whoever_dies_over_it_is_followed_by_one_who_says_so(void **state)
{
	const struct fixture *f = *state;
	struct notice_batch batch;

	add(f, "a", "text");
	take_at(f, NOW, &batch, 1);
	assert_false(batch.notice[0].is_doubtful);
	add(f, "b", "later");
	take_at(f, NOW + MINUTE, &batch, 2);
	assert_true(batch.notice[0].is_doubtful);
	assert_false(batch.notice[1].is_doubtful);
	/* Certainly not sent this time, but perhaps the first time. */
	assert_int_equal(notices_failed(f->db, &batch, false, SECOND, 0,
			     NOW + MINUTE),
	    OK);
	take_at(f, NOW + HOUR, &batch, 2);
	assert_true(batch.notice[0].is_doubtful);
	assert_false(batch.notice[1].is_doubtful);
}

static void
failures_wait_longer_and_longer_or_as_long_as_they_are_told(void **state)
{
	const struct fixture *f = *state;
	struct notice_batch batch;
	int64_t now_ms = NOW;

	add(f, "a", "text");
	take_at(f, now_ms, &batch, 1);
	for (int i = 0; i < 20; i++) {
		int64_t wait_ms = SECOND * (INT64_C(1) << i);

		if (wait_ms > HOUR)
			wait_ms = HOUR;
		assert_int_equal(notices_failed(f->db, &batch, false, SECOND, 0,
				     now_ms),
		    OK);
		take_at(f, now_ms + wait_ms - 1, &batch, 0);
		now_ms += wait_ms;
		take_at(f, now_ms, &batch, 1);
		assert_false(batch.notice[0].is_doubtful);
	}
	assert_int_equal(notices_failed(f->db, &batch, false, SECOND,
			     now_ms + 7 * HOUR, now_ms),
	    OK);
	take_at(f, now_ms + 7 * HOUR - 1, &batch, 0);
	take_at(f, now_ms + 7 * HOUR, &batch, 1);
}

static void
a_text_is_cut_between_characters(void **state)
{
	const struct fixture *f = *state;
	static char text[NOTICE_BYTES_MAX + 5];
	struct notice_batch batch;

	for (size_t i = 0; i + 4 < sizeof(text); i += 4)
		memcpy(text + i, "\xf0\x9f\x94\xb4", 4);
	add(f, "a", text);
	take_at(f, NOW, &batch, 1);
	assert_int_equal(strlen(batch.notice[0].text), NOTICE_BYTES_MAX);
}

static void
a_message_holds_no_more_than_fits(void **state)
{
	const struct fixture *f = *state;
	static char text[NOTICE_CHARS_MAX + 1];
	struct notice_batch batch;
	char key[16];
	size_t bytes = 0;

	memset(text, 'x', NOTICE_CHARS_MAX);
	for (int i = 0; i < NOTICE_BATCH_MAX; i++) {
		(void)snprintf(key, sizeof(key), "%d", i);
		add(f, key, text);
	}
	assert_int_equal(notices_take(f->db, NOW, MINUTE, &batch), OK);
	for (size_t i = 0; i < batch.count; i++)
		bytes += strlen(batch.notice[i].text);
	assert_true(batch.count > 1);
	assert_true(bytes <= NOTICE_BATCH_BYTES_MAX);
}

static void
the_oldest_give_way_and_the_old_go(void **state)
{
	const struct fixture *f = *state;
	struct notice_batch batch;
	char key[16];
	int64_t count;

	for (int i = 0; i < NOTICES_WAITING_MAX + 3; i++) {
		(void)snprintf(key, sizeof(key), "%d", i);
		add(f, key, key);
	}
	assert_int_equal(notices_purge(f->db, NOW, 10), OK);
	assert_int_equal(notices_waiting_count(f->db, &count), OK);
	assert_int_equal(count, NOTICES_WAITING_MAX);
	take_at(f, NOW, &batch, NOTICE_BATCH_MAX);
	assert_string_equal(batch.notice[0].text, "3");
	assert_int_equal(notices_purge(f->db, NOW + 1, NOTICES_WAITING_MAX),
	    OK);
	assert_int_equal(notices_waiting_count(f->db, &count), OK);
	assert_int_equal(count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_is_told_once),
		TEST(what_waits_goes_together_and_one_message_at_a_time),
		TEST(whoever_dies_over_it_is_followed_by_one_who_says_so),
		TEST(
		    failures_wait_longer_and_longer_or_as_long_as_they_are_told),
		TEST(a_text_is_cut_between_characters),
		TEST(a_message_holds_no_more_than_fits),
		TEST(the_oldest_give_way_and_the_old_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
