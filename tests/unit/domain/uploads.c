/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/manifest.h"
#include "domain/storage.h"
#include "domain/uploads.h"

static const struct upload_limits limits = { 3, 1000 };
static const struct uuid first = { { 1 } }, second = { { 2 } };

static enum err
begin(const struct fixture *f, const struct uuid *id, int64_t size_bytes)
{
	return uploads_begin(f->db, id, &f->ada, "image/jpeg", size_bytes,
	    &limits, NOW);
}

static enum err
finish(const struct fixture *f, const struct uuid *id, const char *name,
    bool is_replacing)
{
	return uploads_finish(f->db, id, str_from(name), sha256, is_replacing);
}

/* A picture of Ada's, whole. */
static void
stored(const struct fixture *f, const struct uuid *id, const char *name)
{
	assert_int_equal(begin(f, id, 10), OK);
	assert_int_equal(finish(f, id, name, false), OK);
}

static enum err
find(const struct fixture *f, const char *name, struct media *ret_media)
{
	return media_find(f->db, STR("thumbnails"), str_from(name), ret_media);
}

static size_t
deleting(const struct fixture *f)
{
	struct media media[8];
	size_t count = 0;

	assert_int_equal(media_to_delete(f->db, 8, media, &count), OK);
	return count;
}

static void
a_picture_appears_whole_and_with_its_name(void **state)
{
	const struct fixture *f = *state;
	struct media media;

	assert_int_equal(begin(f, &first, 10), OK);
	assert_int_equal(find(f, "ada/me.jpg", &media), ERR_NOT_FOUND);
	assert_int_equal(finish(f, &first, "ada/me.jpg", false), OK);
	assert_int_equal(find(f, "ada/me.jpg", &media), OK);
	assert_true(uuid_equal(&media.id, &first));
	assert_true(uuid_equal(&media.user_id, &f->ada));
	assert_string_equal(media.content_type, "image/jpeg");
	assert_int_equal(media.size_bytes, 10);
	assert_int_equal(media.created_at_ms, NOW);
	/* It is stored once. */
	assert_int_equal(finish(f, &first, "ada/other.jpg", false),
	    ERR_CONFLICT);
}

static void
a_name_is_replaced_only_by_who_says_so(void **state)
{
	const struct fixture *f = *state;
	struct media media;

	stored(f, &first, "ada/me.jpg");
	assert_int_equal(begin(f, &second, 20), OK);
	assert_int_equal(finish(f, &second, "ada/me.jpg", false), ERR_CONFLICT);
	assert_int_equal(find(f, "ada/me.jpg", &media), OK);
	assert_int_equal(media.size_bytes, 10);
	assert_int_equal(finish(f, &second, "ada/me.jpg", true), OK);
	assert_int_equal(find(f, "ada/me.jpg", &media), OK);
	assert_int_equal(media.size_bytes, 20);
	assert_int_equal(deleting(f), 1);
}

static void
the_picture_of_a_job_keeps_its_name(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;

	assert_int_equal(grant(f, &f->ada, 10), OK);
	job_id = submit(f, "key");
	stored(f, &first, "ada/me.jpg");
	damage(f, "UPDATE objects SET job_id = %s", literal_of(&job_id).text);
	assert_int_equal(begin(f, &second, 20), OK);
	assert_int_equal(finish(f, &second, "ada/me.jpg", true), ERR_CONFLICT);
	assert_int_equal(deleting(f), 0);
}

static void
nobody_keeps_more_than_the_limits(void **state)
{
	const struct fixture *f = *state;
	const struct uuid third = { { 3 } }, fourth = { { 4 } };

	assert_int_equal(begin(f, &first, 1001), ERR_RATE_LIMITED);
	assert_int_equal(begin(f, &first, 1000), OK);
	assert_int_equal(begin(f, &second, 1), ERR_RATE_LIMITED);
	/* Others have limits of their own. */
	assert_int_equal(uploads_begin(f->db, &second, &f->bob, "image/png",
			     1000, &limits, NOW),
	    OK);
	/* What is given up does not count. */
	assert_int_equal(uploads_abandon(f->db, &first), OK);
	stored(f, &third, "ada/3.jpg");
	stored(f, &fourth, "ada/4.jpg");
	stored(f, &(const struct uuid){ { 5 } }, "ada/5.jpg");
	assert_int_equal(begin(f, &(const struct uuid){ { 6 } }, 1),
	    ERR_RATE_LIMITED);
}

static void
who_is_not_active_brings_nothing(void **state)
{
	const struct fixture *f = *state;

	damage(f, "UPDATE users SET status = 'banned' WHERE id = %s",
	    literal_of(&f->ada).text);
	assert_int_equal(begin(f, &first, 10), ERR_UNAUTHORIZED);
}

static void
what_is_given_up_never_gets_its_name(void **state)
{
	const struct fixture *f = *state;
	struct media media;

	assert_int_equal(begin(f, &first, 10), OK);
	assert_int_equal(uploads_abandon(f->db, &first), OK);
	assert_int_equal(deleting(f), 1);
	assert_int_equal(finish(f, &first, "ada/me.jpg", true), ERR_CONFLICT);
	/* What has its name is not given up. */
	stored(f, &second, "ada/me.jpg");
	assert_int_equal(uploads_abandon(f->db, &second), OK);
	assert_int_equal(find(f, "ada/me.jpg", &media), OK);
}

static void
a_user_removes_own_pictures_by_their_names(void **state)
{
	const struct fixture *f = *state;
	const struct str names[] = { STR("ada/1.jpg"), STR("ada/none.jpg"),
		STR("ada/2.jpg") };
	struct media removed[3];
	size_t count = 9;

	stored(f, &first, "ada/1.jpg");
	stored(f, &second, "ada/2.jpg");
	assert_int_equal(uploads_remove(f->db, &f->bob, names, 3, removed,
			     &count),
	    OK);
	assert_int_equal(count, 0);
	assert_int_equal(uploads_remove(f->db, &f->ada, names, 3, removed,
			     &count),
	    OK);
	assert_int_equal(count, 2);
	assert_true(uuid_equal(&removed[0].id, &first));
	assert_string_equal(removed[1].name, "ada/2.jpg");
	assert_string_equal(removed[1].content_type, "image/jpeg");
	assert_int_equal(removed[1].size_bytes, 10);
	assert_int_equal(deleting(f), 2);
	assert_int_equal(uploads_remove(f->db, &f->ada, names, 3, removed,
			     &count),
	    OK);
	assert_int_equal(count, 0);
}

static void
old_pictures_go_and_uploads_that_never_ended(void **state)
{
	const struct fixture *f = *state;

	stored(f, &first, "ada/1.jpg");
	assert_int_equal(begin(f, &second, 10), OK);
	assert_int_equal(uploads_purge(f->db, NOW, NOW, 10), OK);
	assert_int_equal(deleting(f), 0);
	assert_int_equal(uploads_purge(f->db, NOW + 1, NOW + 1, 0), OK);
	assert_int_equal(deleting(f), 0);
	assert_int_equal(uploads_purge(f->db, NOW + 1, NOW, 10), OK);
	assert_int_equal(deleting(f), 1);
	assert_int_equal(uploads_purge(f->db, NOW, NOW + 1, 10), OK);
	assert_int_equal(deleting(f), 2);
}

static void
an_old_picture_stays_while_a_job_needs_it(void **state)
{
	const struct fixture *f = *state;
	struct uuid job_id;

	assert_int_equal(grant(f, &f->ada, 10), OK);
	job_id = submit(f, "key");
	stored(f, &first, "ada/1.jpg");
	damage(f, "UPDATE jobs SET image_object_id = %s",
	    literal_of(&first).text);
	assert_int_equal(uploads_purge(f->db, NOW + 1, 0, 10), OK);
	assert_int_equal(deleting(f), 0);
	damage(f, "UPDATE jobs SET due_at_ms = NULL WHERE id = %s",
	    literal_of(&job_id).text);
	assert_int_equal(uploads_purge(f->db, NOW + 1, 0, 10), OK);
	assert_int_equal(deleting(f), 1);
}

struct listing {
	int count;
	enum err answer;
};

static enum err
list_one(void *arg, const struct manifest_entry *entry)
{
	struct listing *listing = arg;

	assert_string_equal(entry->bucket, "thumbnails");
	assert_int_equal(entry->size_bytes, 10);
	listing->count++;
	return listing->answer;
}

static enum err
list(const struct fixture *f, struct listing *listing)
{
	listing->count = 0;
	return manifest_each(f->db, list_one, listing);
}

static void
a_backup_lists_what_is_stored_until_it_cannot(void **state)
{
	const struct fixture *f = *state;
	struct listing listing = { 0, OK };

	stored(f, &first, "ada/1.jpg");
	stored(f, &second, "ada/2.jpg");
	assert_int_equal(begin(f, &(const struct uuid){ { 3 } }, 10), OK);
	assert_int_equal(list(f, &listing), OK);
	assert_int_equal(listing.count, 2);
	listing.answer = ERR_INTERNAL;
	assert_int_equal(list(f, &listing), ERR_INTERNAL);
	assert_int_equal(listing.count, 1);
}

/* Of a disk on which so many bytes beside ours are free. */
static enum storage_level
measured(const struct fixture *f, int64_t quota_bytes, int64_t free_bytes,
    bool is_expected)
{
	struct storage_use use, read;
	bool is_news = !is_expected;

	assert_int_equal(storage_measure(f->db, quota_bytes, free_bytes, 100,
			     NOW, &use, &is_news),
	    OK);
	assert_int_equal(is_news, is_expected);
	assert_int_equal(storage_read(f->db, &read), OK);
	assert_int_equal(read.level, use.level);
	assert_int_equal(read.used_bytes, use.used_bytes);
	assert_int_equal(read.limit_bytes, use.limit_bytes);
	return use.level;
}

static void
a_full_disk_or_quota_takes_nothing_on(void **state)
{
	const struct fixture *f = *state;
	struct storage_use use;
	bool is_news;

	assert_int_equal(storage_measure(f->db, 1000, 5000, 100, NOW, &use,
			     &is_news),
	    OK);
	assert_int_equal(use.used_bytes, 0);
	assert_int_equal(use.limit_bytes, 1000);
	assert_int_equal(begin(f, &first, 800), OK);
	assert_int_equal(measured(f, 1010, 5000, false), STORAGE_OK);
	assert_int_equal(measured(f, 1000, 5000, true), STORAGE_WARNING);
	assert_int_equal(measured(f, 1000, 5000, false), STORAGE_WARNING);
	assert_int_equal(measured(f, 880, 5000, true), STORAGE_ALARM);
	assert_int_equal(storage_check_room(f->db), OK);
	assert_int_equal(measured(f, 800, 5000, true), STORAGE_FULL);
	assert_int_equal(storage_check_room(f->db), ERR_SERVICE_UNAVAILABLE);
	/* Without a quota the disk is the limit, but for the reserve. */
	assert_int_equal(measured(f, 0, 100, false), STORAGE_FULL);
	assert_int_equal(measured(f, 0, 5000, true), STORAGE_OK);
	/* Less is free than is to be kept free. */
	assert_int_equal(storage_measure(f->db, 0, -1000, 100, NOW, &use,
			     &is_news),
	    OK);
	assert_int_equal(use.limit_bytes, 0);
	assert_int_equal(use.level, STORAGE_FULL);
}

static void
a_bad_level_is_said_again_each_quarter_of_an_hour(void **state)
{
	const struct fixture *f = *state;
	const int64_t begins_ms = NOW / STORAGE_REMIND_MS * STORAGE_REMIND_MS;
	struct storage_use use;
	bool is_news;

	for (int64_t i = 0; i < 4; i++) {
		/* Twice in each quarter, by who knows nothing of the first. */
		assert_int_equal(storage_measure(f->db, 0, -1000, 100,
				     begins_ms + i * STORAGE_REMIND_MS / 2,
				     &use, &is_news),
		    OK);
		assert_int_equal(is_news, i % 2 == 0);
	}
	for (int64_t i = 0; i < 4; i++) {
		assert_int_equal(storage_measure(f->db, 0, 5000, 100,
				     begins_ms + i * STORAGE_REMIND_MS, &use,
				     &is_news),
		    OK);
		assert_int_equal(is_news, i == 0);
	}
}

static void
levels_have_names(void **state)
{
	(void)state;
	assert_string_equal(storage_level_name(STORAGE_OK), "ok");
	assert_string_equal(storage_level_name(STORAGE_WARNING), "warning");
	assert_string_equal(storage_level_name(STORAGE_ALARM), "alarm");
	assert_string_equal(storage_level_name(STORAGE_FULL), "full");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_picture_appears_whole_and_with_its_name),
		TEST(a_name_is_replaced_only_by_who_says_so),
		TEST(the_picture_of_a_job_keeps_its_name),
		TEST(nobody_keeps_more_than_the_limits),
		TEST(who_is_not_active_brings_nothing),
		TEST(what_is_given_up_never_gets_its_name),
		TEST(a_user_removes_own_pictures_by_their_names),
		TEST(old_pictures_go_and_uploads_that_never_ended),
		TEST(an_old_picture_stays_while_a_job_needs_it),
		TEST(a_backup_lists_what_is_stored_until_it_cannot),
		TEST(a_full_disk_or_quota_takes_nothing_on),
		TEST(a_bad_level_is_said_again_each_quarter_of_an_hour),
		cmocka_unit_test(levels_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
