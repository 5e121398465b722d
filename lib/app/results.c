/* SPDX-License-Identifier: MIT */
#include "app/results.h"
#include "app/copies.h"
#include "base/cleanup.h"
#include "domain/media.h"
#include "store/objects.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <unistd.h>

#define RESULTS_BUCKET "videos"

#define REMOVED_AT_ONCE_MAX 64

enum err
results_open(const struct config *config, const struct uuid *object_id,
    int *ret_fd)
{
	return objects_open_partial(config_text(config, CONFIG_STATE_DIR),
	    RESULTS_BUCKET, object_id, ret_fd);
}

/* Reads the file from its start; false on an error or when it is no video. */
static bool
examine(int fd, int64_t *ret_size_bytes, uint8_t sha256[32])
{
	crypto_hash_sha256_state state;
	char chunk[64 * 1024];
	off_t at = 0;
	ssize_t got;

	(void)crypto_hash_sha256_init(&state);
	for (;;) {
		got = pread(fd, chunk, sizeof(chunk), at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		/* ISO/IEC 14496-12: bytes 4 to 7 name the first box. */
		if (at == 0 && (got < 8 || memcmp(chunk + 4, "ftyp", 4) != 0))
			return false;
		(void)crypto_hash_sha256_update(&state,
		    (const unsigned char *)chunk, (size_t)got);
		at += got;
	}
	(void)crypto_hash_sha256_final(&state, sha256);
	*ret_size_bytes = at;
	return got == 0 && at > 0;
}

enum err
results_publish(const struct config *config, const struct uuid *object_id,
    int fd, int64_t *ret_size_bytes, uint8_t ret_sha256[32])
{
	uint8_t sha256[32];
	int64_t size_bytes;
	enum err err;

	if (!examine(fd, &size_bytes, sha256))
		return ERR_INVALID_REQUEST;
	err = objects_publish(config_text(config, CONFIG_STATE_DIR),
	    RESULTS_BUCKET, object_id, fd);
	if (err != OK)
		return err;

	*ret_size_bytes = size_bytes;
	memcpy(ret_sha256, sha256, sizeof(sha256));
	return OK;
}

enum err
results_discard(const struct config *config, const struct uuid *object_id)
{
	return objects_remove(config_text(config, CONFIG_STATE_DIR),
	    RESULTS_BUCKET, object_id);
}

enum err
results_remove_deleted(const struct config *config, struct db *db, size_t max,
    size_t *ret_count)
{
	const char *state_dir = config_text(config, CONFIG_STATE_DIR);
	CLEANUP(cleanup_fd) int hold = -1;
	struct media media[REMOVED_AT_ONCE_MAX];
	size_t count;
	enum err err;

	assert(max <= REMOVED_AT_ONCE_MAX);
	/* A backup holds what its copy of the database knows: later, then. */
	if (!copies_hold_files(state_dir, 0, &hold)) {
		*ret_count = 0;
		return OK;
	}
	err = media_to_delete(db, max, media, &count);
	if (err != OK)
		return err;
	*ret_count = 0;
	/* A file that cannot be removed must not keep the others. */
	for (size_t i = 0; i < count; i++)
		if (objects_remove(state_dir, media[i].bucket, &media[i].id) ==
			OK &&
		    media_forget(db, &media[i].id) == OK)
			++*ret_count;
	return OK;
}
