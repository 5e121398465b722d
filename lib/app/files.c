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
	int n = 0;

	/* Escaped, no byte of a name can leave the place where it stands. */
	buf_init(&encoded, sizeof(res->disposition));
	http_percent_encode(name, &encoded);
	if (name.len > 0 && !encoded.failed)
		n = snprintf(res->disposition, sizeof(res->disposition),
		    encoded.len == name.len ? "attachment; filename=\"%s\"" :
					      "attachment; filename*=UTF-8''%s",
		    encoded.ptr);
	if (n == 0 || n >= (int)sizeof(res->disposition))
		(void)snprintf(res->disposition, sizeof(res->disposition),
		    "attachment");
}
