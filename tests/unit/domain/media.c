/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "domain/media.h"

static const struct uuid object = { { 1, 2, 3 } };

static int
set_up_rich(void **state)
{
	const int result = set_up(state);
	const struct fixture *f = *state;

	if (result == 0)
		assert_int_equal(grant(f, &f->ada, 10), OK);
	return result;
}

enum step_kind { ANNOUNCE, STORE, DELETE_ALL, DELETE_STORED };

struct step {
	enum step_kind kind;
	const struct fixture *f;
	const struct uuid *job_id;
};

static enum err
take_step(struct db *db, void *arg)
{
	const struct step *step = arg;

	switch (step->kind) {
	case ANNOUNCE:
		return media_announce_video(db, &object, &step->f->ada,
		    step->job_id, NOW);
	case STORE:
		return media_stored(db, &object, 99, sha256);
	case DELETE_ALL:
		return media_delete_of_job(db, step->job_id);
	case DELETE_STORED:
		return media_delete_stored_of_job(db, step->job_id);
	}
	return ERR_INTERNAL;
}

static enum err
take(const struct fixture *f, enum step_kind kind, const struct uuid *job_id)
{
	struct step step = { kind, f, job_id };

	return db_transaction(f->db, take_step, &step);
}

static struct str
name_of(const struct fixture *f, const struct uuid *job_id)
{
	static char name[MEDIA_NAME_BYTES];
	char user[UUID_TEXT_BYTES], job[UUID_TEXT_BYTES];

	uuid_format(&f->ada, user);
	uuid_format(job_id, job);
	(void)snprintf(name, sizeof(name), "%s/%s.mp4", user, job);
	return str_from(name);
}

static enum err
find(const struct fixture *f, const struct uuid *job_id,
    struct media *ret_media)
{
	return media_find(f->db, STR("videos"), name_of(f, job_id), ret_media);
}

static size_t
deleting(const struct fixture *f, size_t max)
{
	struct media media[4];
	size_t count = 0;

	assert_true(max <= COUNT_OF(media));
	assert_int_equal(media_to_delete(f->db, max, media, &count), OK);
	return count;
}

static void
a_video_is_found_by_its_name_once_it_is_stored(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	struct media media;

	assert_int_equal(find(f, &job_id, &media), ERR_NOT_FOUND);
	assert_int_equal(take(f, ANNOUNCE, &job_id), OK);
	assert_int_equal(find(f, &job_id, &media), ERR_NOT_FOUND);
	assert_int_equal(take(f, STORE, &job_id), OK);
	assert_int_equal(find(f, &job_id, &media), OK);
	assert_true(uuid_equal(&media.id, &object));
	assert_true(uuid_equal(&media.user_id, &f->ada));
	assert_string_equal(media.bucket, "videos");
	assert_string_equal(media.content_type, "video/mp4");
	assert_int_equal(media.size_bytes, 99);
	/* A name counts in its own bucket only. */
	assert_int_equal(media_find(f->db, STR("thumbnails"),
			     name_of(f, &job_id), &media),
	    ERR_NOT_FOUND);
}

static void
announcing_twice_changes_nothing(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	struct media media;

	assert_int_equal(take(f, ANNOUNCE, &job_id), OK);
	assert_int_equal(take(f, ANNOUNCE, &job_id), OK);
	assert_int_equal(take(f, STORE, &job_id), OK);
	assert_int_equal(take(f, ANNOUNCE, &job_id), OK);
	assert_int_equal(find(f, &job_id, &media), OK);
}

static void
only_what_is_being_stored_becomes_stored(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");

	assert_int_equal(take(f, STORE, &job_id), ERR_CONFLICT);
	assert_int_equal(take(f, ANNOUNCE, &job_id), OK);
	assert_int_equal(take(f, DELETE_ALL, &job_id), OK);
	assert_int_equal(take(f, STORE, &job_id), ERR_CONFLICT);
}

static void
what_is_deleted_is_not_found_and_goes_after_its_file(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	struct media media;

	assert_int_equal(take(f, ANNOUNCE, &job_id), OK);
	assert_int_equal(take(f, STORE, &job_id), OK);
	/* Forgetting is for what was marked. */
	assert_int_equal(media_forget(f->db, &object), OK);
	assert_int_equal(find(f, &job_id, &media), OK);
	assert_int_equal(deleting(f, 4), 0);
	assert_int_equal(take(f, DELETE_STORED, &job_id), OK);
	assert_int_equal(find(f, &job_id, &media), ERR_NOT_FOUND);
	assert_int_equal(deleting(f, 4), 1);
	assert_int_equal(deleting(f, 0), 0);
	assert_int_equal(media_to_delete(f->db, 1, &media, &(size_t){ 0 }), OK);
	assert_true(uuid_equal(&media.id, &object));
	assert_string_equal(media.bucket, "videos");
	assert_int_equal(media_forget(f->db, &object), OK);
	assert_int_equal(deleting(f, 4), 0);
}

static void
what_has_not_arrived_is_deleted_only_when_all_is(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");

	assert_int_equal(take(f, ANNOUNCE, &job_id), OK);
	assert_int_equal(take(f, DELETE_STORED, &job_id), OK);
	assert_int_equal(deleting(f, 4), 0);
	assert_int_equal(take(f, DELETE_ALL, &job_id), OK);
	assert_int_equal(deleting(f, 4), 1);
}

struct names {
	size_t count;
	char last[MEDIA_NAME_BYTES];
};

static void
note_name(void *arg, const struct media *media)
{
	struct names *names = arg;

	names->count++;
	(void)str_copy(str_from(media->name), names->last, sizeof(names->last));
}

static enum err
list(const struct fixture *f, const struct uuid *user_id, const char *prefix,
    size_t max, struct names *names)
{
	names->count = 0;
	return media_list(f->db, STR("videos"), user_id, str_from(prefix), max,
	    note_name, names);
}

static void
a_user_lists_own_files_by_the_beginning_of_their_names(void **state)
{
	const struct fixture *f = *state;
	struct names names;

	damage(f,
	    "INSERT INTO objects (id, bucket, name, user_id, state,"
	    " content_type, size_bytes, sha256, created_at_ms) VALUES"
	    " (randomblob(16), 'videos', 'a/1', %s, 'stored', 'video/mp4', 1,"
	    "  zeroblob(32), 1),"
	    " (randomblob(16), 'videos', 'a/2', %s, 'stored', 'video/mp4', 1,"
	    "  zeroblob(32), 1),"
	    " (randomblob(16), 'videos', 'b/1', %s, 'stored', 'video/mp4', 1,"
	    "  zeroblob(32), 1)",
	    literal_of(&f->ada).text, literal_of(&f->ada).text,
	    literal_of(&f->ada).text);
	assert_int_equal(list(f, &f->ada, "a/", 9, &names), OK);
	assert_int_equal(names.count, 2);
	assert_string_equal(names.last, "a/2");
	assert_int_equal(list(f, &f->ada, "a/", 1, &names), OK);
	assert_int_equal(names.count, 1);
	assert_int_equal(list(f, &f->ada, "", 9, &names), OK);
	assert_int_equal(names.count, 3);
	assert_int_equal(list(f, &f->bob, "", 9, &names), OK);
	assert_int_equal(names.count, 0);
}

static void
a_file_is_found_by_its_id_while_it_is_there(void **state)
{
	const struct fixture *f = *state;
	const struct uuid job_id = submit(f, "key");
	struct media media;

	assert_int_equal(take(f, ANNOUNCE, &job_id), OK);
	assert_int_equal(media_find_by_id(f->db, &object, &media),
	    ERR_NOT_FOUND);
	assert_int_equal(take(f, STORE, &job_id), OK);
	assert_int_equal(media_find_by_id(f->db, &object, &media), OK);
	assert_int_equal(media.size_bytes, 99);
	/* Its user deleted it, and its file is still there. */
	assert_int_equal(take(f, DELETE_STORED, &job_id), OK);
	assert_int_equal(media_find_by_id(f->db, &object, &media), OK);
	assert_int_equal(media_forget(f->db, &object), OK);
	assert_int_equal(media_find_by_id(f->db, &object, &media),
	    ERR_NOT_FOUND);
}

#define RICH(function) \
	cmocka_unit_test_setup_teardown(function, set_up_rich, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RICH(a_video_is_found_by_its_name_once_it_is_stored),
		RICH(announcing_twice_changes_nothing),
		RICH(only_what_is_being_stored_becomes_stored),
		RICH(what_is_deleted_is_not_found_and_goes_after_its_file),
		RICH(what_has_not_arrived_is_deleted_only_when_all_is),
		RICH(a_user_lists_own_files_by_the_beginning_of_their_names),
		RICH(a_file_is_found_by_its_id_while_it_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
