/* SPDX-License-Identifier: MIT */
#include "archive.h"
#include "cli.h"

#include "base/cleanup.h"
#include "wire/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void
become(const char *const argv[], int in, int out)
{
	const int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(in < 0 ? null : in, STDIN_FILENO) < 0 ||
	    dup2(out < 0 ? null : out, STDOUT_FILENO) < 0 ||
	    close_range(STDERR_FILENO + 1, ~0U, 0) != 0)
		_exit(127);
	/* execvp() promises to change neither the pointers nor the bytes. */
	(void)execvp(argv[0], (char *const *)(const void *)argv);
	_exit(127);
}

bool
archive_start(const char *const argv[], int in, int out, pid_t *ret_pid)
{
	const pid_t pid = fork();

	if (pid == 0)
		become(argv, in, out);
	if (pid < 0) {
		(void)cli_fail(strerror(errno));
		return false;
	}
	*ret_pid = pid;
	return true;
}

bool
archive_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool
archive_run(const char *const argv[])
{
	char problem[128];
	pid_t pid;

	if (!archive_start(argv, -1, -1, &pid))
		return false;
	if (archive_wait(pid))
		return true;
	(void)snprintf(problem, sizeof(problem), "%s failed", argv[0]);
	(void)cli_fail(problem);
	return false;
}

bool
archive_remove_tree(const char *path)
{
	const char *const argv[] = { "rm", "-rf", "--one-file-system", "--",
		path, NULL };

	return archive_run(argv);
}

bool
archive_sync(const char *path)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && fsync(fd) == 0)
		return true;
	(void)cli_fail(strerror(errno));
	return false;
}

bool
archive_path(const char *directory, const char *name,
    char path[ARCHIVE_PATH_BYTES])
{
	if (snprintf(path, ARCHIVE_PATH_BYTES, "%s/%s", directory, name) <
	    ARCHIVE_PATH_BYTES)
		return true;
	(void)cli_fail("a path is too long");
	return false;
}

bool
archive_passphrase(const struct config *config, struct str *ret_phrase)
{
	const struct str phrase =
	    str_from(config_text(config, CONFIG_BACKUP_PASSPHRASE));

	if (phrase.len > 0 && phrase.len < SEAL_PASSPHRASE_BYTES_MIN) {
		(void)cli_fail("RENDIO_BACKUP_PASSPHRASE is shorter than 12 "
			       "characters");
		return false;
	}
	*ret_phrase = phrase;
	return true;
}
