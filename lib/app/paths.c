/* SPDX-License-Identifier: MIT */
#include "app/paths.h"
#include "domain/media.h"

/* Each segment a plain name, so that a path means one object, everywhere. */
static bool
is_plain(struct str path)
{
	struct str segment;
	bool more;

	if (str_has(path, '\\'))
		return false;
	do {
		more = str_cut(path, '/', &segment, &path);
		if (segment.len == 0 || str_equal(segment, STR(".")) ||
		    str_equal(segment, STR("..")))
			return false;
	} while (more);
	return true;
}

/* Swift writes ids in upper case. */
static struct str
lower_folder(struct arena *arena, struct str name)
{
	struct str folder, rest;
	struct uuid id;
	char *copy;

	(void)str_cut(name, '/', &folder, &rest);
	if (!uuid_parse(folder, &id))
		return name;
	copy = arena_alloc(arena, name.len + 1);
	memcpy(copy, name.ptr, name.len);
	/* As long as it was, but for the end of its text. */
	uuid_format(&id, copy);
	if (name.len > folder.len)
		copy[folder.len] = '/';
	return (struct str){ copy, name.len };
}

bool
paths_read(const struct request *req, struct object_path *ret_path)
{
	struct str path, bucket, name;

	if (!http_percent_decode(req->arena, req->tail, false, &path) ||
	    !is_plain(path))
		return false;
	(void)str_cut(path, '/', &bucket, &name);
	ret_path->bucket = bucket;
	ret_path->name = lower_folder(req->arena, name);
	return true;
}

bool
paths_read_name(struct arena *arena, struct str name, struct str *ret_name)
{
	if (!is_plain(name))
		return false;
	*ret_name = lower_folder(arena, name);
	return true;
}

bool
paths_is_key(struct str name)
{
	if (name.len == 0 || name.len >= MEDIA_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		const char c = name.ptr[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= 'a' && c <= 'z') &&
		    !str_has(STR("_/!-.*'() &$@=;:+,?"), c))
			return false;
	}
	return true;
}

bool
paths_is_own(const struct request *req, struct str name)
{
	struct str folder, file;
	struct uuid owner;

	return str_cut(name, '/', &folder, &file) && file.len > 0 &&
	    uuid_parse(folder, &owner) && uuid_equal(&owner, &req->user_id);
}

bool
paths_is_bucket(struct str bucket)
{
	return str_equal(bucket, STR("thumbnails")) ||
	    str_equal(bucket, STR("videos"));
}

enum err
paths_refuse_bucket(const struct app *app, const struct request *req,
    struct response *res)
{
	return app_error(app, req, res, 404, "NoSuchBucket",
	    "Bucket not found");
}
