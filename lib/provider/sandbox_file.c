/* SPDX-License-Identifier: MIT */
#include "provider/sandbox_file.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The web server reads videos by its group; strangers read nothing. */
#define FOLDER_MODE 0750
#define FILE_MODE 0640

void
sandbox_path(const struct config *config, const char *folder, const char *name,
    char path[SANDBOX_PATH_BYTES])
{
	const int n = snprintf(path, SANDBOX_PATH_BYTES, "%s/sandbox%s%s%s%s",
	    config_text(config, CONFIG_STATE_DIR), folder[0] == '\0' ? "" : "/",
	    folder, name[0] == '\0' ? "" : "/", name);

	assert(n > 0);
	assert((size_t)n < SANDBOX_PATH_BYTES);
}

bool
sandbox_make_folder(const struct config *config, const char *folder)
{
	char path[SANDBOX_PATH_BYTES];

	sandbox_path(config, "", "", path);
	if (mkdir(path, FOLDER_MODE) != 0 && errno != EEXIST)
		return false;
	sandbox_path(config, folder, "", path);
	return mkdir(path, FOLDER_MODE) == 0 || errno == EEXIST;
}

static bool
write_all(int fd, struct str content)
{
	while (content.len > 0) {
		const ssize_t n = write(fd, content.ptr, content.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		content.ptr += n;
		content.len -= (size_t)n;
	}
	return true;
}

bool
sandbox_file_replace(const struct config *config, const char *folder,
    const char *name, struct str content)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char path[SANDBOX_PATH_BYTES];
	char part[SANDBOX_PATH_BYTES + 16];

	if (!sandbox_make_folder(config, folder))
		return false;
	sandbox_path(config, folder, name, path);
	/* One name a process, which writes one file at a time. */
	(void)snprintf(part, sizeof(part), "%s.%d", path, (int)getpid());
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return false;
	if (write_all(fd, content) && rename(part, path) == 0)
		return true;
	(void)unlink(part);
	return false;
}

bool
sandbox_file_append(const struct config *config, const char *name,
    struct str line)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char path[SANDBOX_PATH_BYTES];

	sandbox_path(config, "", name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, FILE_MODE);
	return fd >= 0 && write(fd, line.ptr, line.len) == (ssize_t)line.len;
}
