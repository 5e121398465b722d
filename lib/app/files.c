/* SPDX-License-Identifier: MIT */
#include "app/files.h"
#include "base/cleanup.h"
#include "store/objects.h"

#include <assert.h>

void
app_send_media(struct response *res, const struct media *media)
{
	char path[OBJECT_PATH_BYTES];
	int n;

	objects_relative_path(media->bucket, &media->id, path);
	n = snprintf(res->accel_path, sizeof(res->accel_path), "/_media/%s",
	    path);
	assert(n < (int)sizeof(res->accel_path));
	res->content_type = media->content_type;
	res->cache_control = "private, max-age=3600";
}

void
app_attach(struct response *res, struct str name)
{
	CLEANUP(buf_free) struct buf encoded;
	CLEANUP(buf_free) struct buf value;

	buf_init(&value, sizeof(res->disposition) - 1);
	buf_init(&encoded, sizeof(res->disposition));
	buf_append(&value, STR("attachment"));
	/* Escaped, no byte of a name can leave the place where it stands. */
	http_percent_encode(name, &encoded);
	/* Not every client knows the second form. */
	if (name.len > 0 && encoded.len == name.len)
		buf_appendf(&value, "; filename=\"%s\"", encoded.ptr);
	else if (name.len > 0)
		buf_appendf(&value, "; filename*=UTF-8''%s", encoded.ptr);
	if (encoded.failed || value.failed) {
		buf_clear(&value);
		buf_append(&value, STR("attachment"));
	}
	(void)str_copy(buf_str(&value), res->disposition,
	    sizeof(res->disposition));
}
