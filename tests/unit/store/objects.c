/* SPDX-License-Identifier: MIT */
#define UNBROKEN
#include "../domain/fixture.h"

#include "store/objects.h"

#include <fcntl.h>

static const struct uuid id = { { 0x01, 0x98, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0,
    0, 0, 0, 0, 0x0f } };

static int
set_up_media(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;

	*f = (struct fixture){ .dir = "/tmp/rendio-unit-XXXXXX" };
	*state = f;
	if (mkdtemp(f->dir) == NULL)
		return -1;
	make_directory(f, "media");
	make_directory(f, "media/videos");
	make_directory(f, "media/thumbnails");
	return 0;
}

static int
open_partial(const struct fixture *f)
{
	int fd = -1;

	assert_int_equal(objects_open_partial(f->dir, "videos", &id, &fd), OK);
	assert_true(fd >= 0);
	return fd;
}

static void
publish(const struct fixture *f, const char *text)
{
	const int fd = open_partial(f);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(objects_publish(f->dir, "videos", &id, fd), OK);
	assert_int_equal(close(fd), 0);
}

static int64_t
size_of(const struct fixture *f)
{
	return objects_size_bytes(f->dir, "videos", &id);
}

struct seen {
	int count;
	struct uuid last;
	enum err answer;
};

static enum err
see(void *arg, const struct uuid *object_id)
{
	struct seen *seen = arg;

	seen->count++;
	seen->last = *object_id;
	return seen->answer;
}

static void
a_place_is_made_of_bucket_and_id(void **state)
{
	char path[OBJECT_PATH_BYTES];

	(void)state;
	objects_relative_path("videos", &id, path);
	assert_string_equal(path,
	    "videos/0f/01980000-0000-7000-8000-00000000000f");
}

static void
an_object_appears_whole_or_not_at_all(void **state)
{
	const struct fixture *f = *state;
	struct seen seen = { 0 };
	const int fd = open_partial(f);

	assert_int_equal(size_of(f), -1);
	assert_int_equal(write(fd, "12345", 5), 5);
	assert_int_equal(size_of(f), -1);
	assert_int_equal(objects_each(f->dir, "videos", see, &seen), OK);
	assert_int_equal(seen.count, 0);
	assert_int_equal(objects_publish(f->dir, "videos", &id, fd), OK);
	assert_int_equal(close(fd), 0);
	assert_int_equal(size_of(f), 5);
	assert_int_equal(objects_each(f->dir, "videos", see, &seen), OK);
	assert_int_equal(seen.count, 1);
	assert_true(uuid_equal(&seen.last, &id));
}

static void
what_an_earlier_try_left_is_dropped(void **state)
{
	const struct fixture *f = *state;
	const int fd = open_partial(f);

	assert_int_equal(write(fd, "long remains", 12), 12);
	assert_int_equal(close(fd), 0);
	publish(f, "new");
	assert_int_equal(size_of(f), 3);
}

static void
a_partial_file_can_be_read_back(void **state)
{
	const struct fixture *f = *state;
	const int fd = open_partial(f);
	char text[4] = "";

	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(pread(fd, text, 3, 0), 3);
	assert_string_equal(text, "abc");
	assert_int_equal(close(fd), 0);
}

static void
others_than_the_router_cannot_read_a_file(void **state)
{
	const struct fixture *f = *state;
	char path[OBJECT_PATH_BYTES], relative[OBJECT_PATH_BYTES / 2];
	struct stat st;

	(void)umask(0);
	publish(f, "x");
	(void)umask(022);
	objects_relative_path("videos", &id, path);
	(void)str_copy(str_from(path), relative, sizeof(relative));
	(void)snprintf(path, sizeof(path), "%s/media/%s", f->dir, relative);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void
an_object_is_replaced_as_a_whole(void **state)
{
	const struct fixture *f = *state;

	publish(f, "first");
	publish(f, "second one");
	assert_int_equal(size_of(f), 10);
}

static void
removing_takes_the_object_and_twice_is_no_error(void **state)
{
	const struct fixture *f = *state;
	struct seen seen = { 0 };
	int fd;

	assert_int_equal(objects_remove(f->dir, "videos", &id), OK);
	publish(f, "x");
	fd = open_partial(f);
	assert_int_equal(close(fd), 0);
	assert_int_equal(objects_remove(f->dir, "videos", &id), OK);
	assert_int_equal(size_of(f), -1);
	assert_int_equal(objects_each(f->dir, "videos", see, &seen), OK);
	assert_int_equal(seen.count, 0);
	assert_int_equal(objects_remove(f->dir, "videos", &id), OK);
}

static void
buckets_are_apart(void **state)
{
	const struct fixture *f = *state;
	struct seen seen = { 0 };

	publish(f, "x");
	assert_int_equal(objects_size_bytes(f->dir, "thumbnails", &id), -1);
	assert_int_equal(objects_each(f->dir, "thumbnails", see, &seen), OK);
	assert_int_equal(seen.count, 0);
}

static void
a_walk_ends_when_it_is_told_to_and_passes_strangers_over(void **state)
{
	const struct fixture *f = *state;
	struct seen seen = { .answer = ERR_CONFLICT };
	struct uuid other = id;
	char path[256];
	int fd;

	publish(f, "x");
	other.bytes[0] = 0x77;
	assert_int_equal(objects_open_partial(f->dir, "videos", &other, &fd),
	    OK);
	assert_int_equal(objects_publish(f->dir, "videos", &other, fd), OK);
	assert_int_equal(close(fd), 0);
	(void)snprintf(path, sizeof(path), "%s/media/videos/0f/README", f->dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(objects_each(f->dir, "videos", see, &seen),
	    ERR_CONFLICT);
	assert_int_equal(seen.count, 1);
	seen = (struct seen){ .answer = OK };
	assert_int_equal(objects_each(f->dir, "videos", see, &seen), OK);
	assert_int_equal(seen.count, 2);
}

static void
a_link_in_the_place_of_a_file_is_not_followed(void **state)
{
	char text[16];
	const struct fixture *f = *state;
	char target[128], path[OBJECT_PATH_BYTES], link_path[OBJECT_PATH_BYTES];
	int fd;

	publish(f, "x");
	(void)snprintf(target, sizeof(target), "%s/secret", f->dir);
	fd = open(target, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "secret", 6), 6);
	assert_int_equal(close(fd), 0);
	objects_relative_path("videos", &id, path);
	assert_true(snprintf(link_path, sizeof(link_path), "%s/media/%.200s",
			f->dir, path) < (int)sizeof(link_path));
	assert_int_equal(unlink(link_path), 0);
	assert_int_equal(symlink(target, link_path), 0);
	assert_int_equal(size_of(f), -1);
	/* Publishing puts a file there and leaves the link's target alone. */
	publish(f, "x");
	assert_int_equal(size_of(f), 1);
	fd = open(target, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 6);
	assert_int_equal(close(fd), 0);
}

#define MEDIA(function) \
	cmocka_unit_test_setup_teardown(function, set_up_media, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MEDIA(a_place_is_made_of_bucket_and_id),
		MEDIA(an_object_appears_whole_or_not_at_all),
		MEDIA(what_an_earlier_try_left_is_dropped),
		MEDIA(a_partial_file_can_be_read_back),
		MEDIA(others_than_the_router_cannot_read_a_file),
		MEDIA(an_object_is_replaced_as_a_whole),
		MEDIA(removing_takes_the_object_and_twice_is_no_error),
		MEDIA(buckets_are_apart),
		MEDIA(a_walk_ends_when_it_is_told_to_and_passes_strangers_over),
		MEDIA(a_link_in_the_place_of_a_file_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
