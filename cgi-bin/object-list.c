/* SPDX-License-Identifier: MIT */
/*
 * POST /storage/v1/object/list/BUCKET {"prefix":FOLDER,"limit"?,"offset"?,
 * "sortBy"?:{"column","order"},"search"?} -- what is in a folder of the user.
 *
 *   200 [{"name","id","updated_at","created_at","last_accessed_at",
 *        "metadata":{"size","mimetype","eTag",…}},…]
 *       names are relative to the folder; a sub-folder has neither id nor
 *       metadata; of other users' folders nothing is seen
 *   400 InvalidRequest     a member is not what it should be
 *   403 AccessDenied       no valid bearer token
 *   404 NoSuchBucket
 */

#include "app/app.h"
#include "app/files.h"
#include "app/paths.h"

/* More than a user may keep, and a busy week of videos. */
#define ROWS_MAX ((size_t)4000)

#define LIMIT_STANDARD 100
#define LIMIT_MAX 1000

struct body {
	struct str prefix;
	struct str search;
	int64_t limit;
	int64_t offset;
	const struct json *sort;
};

struct entry {
	struct str name; /* of one segment */
	const struct media *media; /* NULL = a folder */
};

struct list {
	struct arena *arena;
	struct str prefix; /* ends in '/', or is empty */
	struct str search;
	struct entry *entry;
	size_t count;
};

static void
add_entry(void *arg, const struct media *media)
{
	struct list *list = arg;
	struct media *copy = arena_alloc(list->arena, sizeof(*copy));
	struct str name, rest;
	bool is_folder;

	*copy = *media;
	name = str_from(copy->name);
	name.ptr += list->prefix.len;
	name.len -= list->prefix.len;
	is_folder = str_cut(name, '/', &name, &rest);
	if (list->search.len > 0 &&
	    (list->search.len > name.len ||
		memmem(name.ptr, name.len, list->search.ptr,
		    list->search.len) == NULL))
		return;
	/* Rows come by name, so a folder's stand together. */
	if (is_folder && list->count > 0 &&
	    list->entry[list->count - 1].media == NULL &&
	    str_equal(list->entry[list->count - 1].name, name))
		return;
	list->entry[list->count++] =
	    (struct entry){ name, is_folder ? NULL : copy };
}

static int
by_age(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	const int64_t x = a->media == NULL ? -1 : a->media->created_at_ms;
	const int64_t y = b->media == NULL ? -1 : b->media->created_at_ms;

	return (x > y) - (x < y);
}

static void
reverse(struct list *list)
{
	for (size_t i = 0; i < list->count / 2; i++) {
		const struct entry entry = list->entry[i];

		list->entry[i] = list->entry[list->count - 1 - i];
		list->entry[list->count - 1 - i] = entry;
	}
}

static bool
sort(struct list *list, const struct json *wish)
{
	struct str column = STR("name"), order = STR("asc");

	(void)json_to_str(json_member(wish, "column"), &column);
	(void)json_to_str(json_member(wish, "order"), &order);
	if (str_equal(column, STR("created_at")) ||
	    str_equal(column, STR("updated_at")) ||
	    str_equal(column, STR("last_accessed_at"))) {
		/* An empty list has no array, and qsort() wants one. */
		if (list->count > 0)
			qsort(list->entry, list->count, sizeof(*list->entry),
			    by_age);
	} else if (!str_equal(column, STR("name")))
		return false;
	if (str_equal(order, STR("desc")))
		reverse(list);
	else if (!str_equal(order, STR("asc")))
		return false;
	return true;
}

/* The rows below the folder, as entries of it. */
static enum err
read_entries(struct app *app, const struct request *req, struct str bucket,
    struct str folder, struct list *list)
{
	char user[UUID_TEXT_BYTES];
	char *prefix;

	while (str_ends_with(folder, STR("/")))
		folder.len--;
	if (folder.len > 0 && !paths_read_name(req->arena, folder, &folder))
		return OK;
	prefix = arena_alloc(req->arena, folder.len + 2);
	if (folder.len > 0)
		memcpy(prefix, folder.ptr, folder.len);
	prefix[folder.len] = '/';
	list->prefix =
	    (struct str){ prefix, folder.len == 0 ? 0 : folder.len + 1 };
	uuid_format(&req->user_id, user);
	if (folder.len > 0 && !str_equal(folder, str_from(user)) &&
	    !paths_is_own(req, folder))
		return OK;
	list->entry = arena_alloc(req->arena, ROWS_MAX * sizeof(*list->entry));
	return media_list(app->db, bucket, &req->user_id,
	    folder.len == 0 ? str_from(user) : list->prefix, ROWS_MAX,
	    add_entry, list);
}

static void
write_entry(struct json_writer *w, const struct entry *entry)
{
	json_begin_object(w, NULL);
	if (entry->media == NULL) {
		json_str(w, "name", entry->name);
		json_null(w, "id");
		json_null(w, "updated_at");
		json_null(w, "created_at");
		json_null(w, "last_accessed_at");
		json_null(w, "metadata");
	} else
		files_write_object(w, entry->name.ptr, entry->media);
	json_end_object(w);
}

static enum err
object_list(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "prefix", JSON_STR, offsetof(struct body, prefix), 0, 0 },
		{ "search", JSON_STR, offsetof(struct body, search), 0, 0 },
		{ "limit", JSON_INT64, offsetof(struct body, limit), 0, 0 },
		{ "offset", JSON_INT64, offsetof(struct body, offset), 0, 0 },
		{ "sortBy", JSON_ANY, offsetof(struct body, sort), 0, 0 },
	};
	struct body body = { .limit = LIMIT_STANDARD };
	struct list list = { .arena = req->arena };
	struct object_path path;
	struct str bad_field;
	enum err err;

	if (!paths_read(req, &path))
		return ERR_INVALID_REQUEST;
	if (!paths_is_bucket(path.bucket) || path.name.len > 0)
		return paths_refuse_bucket(app, req, res);
	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_IGNORE_UNKNOWN, &body, &bad_field) ||
	    body.limit < 1 || body.limit > LIMIT_MAX || body.offset < 0)
		return app_error(app, req, res, 400, "InvalidRequest",
		    "The list cannot be asked for like this");
	list.search = body.search;
	err = read_entries(app, req, path.bucket, body.prefix, &list);
	if (err != OK)
		return err;
	if (!sort(&list, body.sort))
		return app_error(app, req, res, 400, "InvalidRequest",
		    "The list cannot be sorted like this");

	json_begin_array(&res->json, NULL);
	for (int64_t i = body.offset;
	     i < (int64_t)list.count && i - body.offset < body.limit; i++)
		write_entry(&res->json, &list.entry[i]);
	json_end_array(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "object-list",
		.path = "/storage/v1/object/list/",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.dialect = DIALECT_STORAGE,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.is_read_only = true,
		.handle = object_list,
	};

	return app_serve(&endpoint, argc, argv);
}
