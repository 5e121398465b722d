/* SPDX-License-Identifier: MIT */
#include "app/pictures.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "domain/storage.h"
#include "domain/switches.h"
#include "domain/uploads.h"
#include "store/objects.h"

#include <errno.h>
#include <sodium.h>
#include <unistd.h>

static const char bucket[] = "thumbnails";

static bool
write_all(int fd, struct str bytes)
{
	while (bytes.len > 0) {
		const ssize_t written = write(fd, bytes.ptr, bytes.len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		bytes.ptr += written;
		bytes.len -= (size_t)written;
	}
	return true;
}

/* Onto the disk, whole and forced. */
static enum err
write_file(const char *state_dir, const struct uuid *id,
    const struct picture *picture, uint8_t sha256[32])
{
	CLEANUP(cleanup_fd) int fd = -1;
	crypto_hash_sha256_state state;
	enum err err;

	err = objects_open_partial(state_dir, bucket, id, &fd);
	if (err != OK)
		return err;
	(void)crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < picture->pieces_count; i++) {
		const struct str piece = picture->piece[i];

		(void)crypto_hash_sha256_update(&state,
		    (const unsigned char *)piece.ptr, piece.len);
		if (!write_all(fd, piece)) {
			log_line(LOG_ERROR, "picture", "write",
			    strerror(errno));
			return ERR_SERVICE_UNAVAILABLE;
		}
	}
	(void)crypto_hash_sha256_final(&state, sha256);
	return objects_publish(state_dir, bucket, id, fd);
}

enum err
pictures_store(struct app *app, const struct request *req,
    const struct picture *picture, struct str name, bool is_replacing,
    struct uuid *ret_id)
{
	const char *state_dir = config_text(&app->config, CONFIG_STATE_DIR);
	const struct upload_limits limits = {
		.count_max = config_number(&app->config, CONFIG_UPLOADS_MAX),
		.bytes_max =
		    config_number(&app->config, CONFIG_UPLOADS_MIB_MAX) * 1024 *
		    1024,
	};
	const struct uuid id = uuid_sortable(req->now_ms);
	uint8_t sha256[32];
	enum err err;

	err = switches_check_open(app->db);
	if (err == OK)
		err = storage_check_room(app->db);
	if (err == OK)
		err = uploads_begin(app->db, &id, &req->user_id,
		    picture_content_type(picture->type),
		    (int64_t)picture->bytes, &limits, req->now_ms);
	if (err != OK)
		return err;
	err = write_file(state_dir, &id, picture, sha256);
	if (err == OK)
		err = uploads_finish(app->db, &id, name, sha256, is_replacing);
	if (err != OK) {
		/* The worker removes the file, then the row. */
		(void)uploads_abandon(app->db, &id);
		return err;
	}

	*ret_id = id;
	return OK;
}
