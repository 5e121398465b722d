/* SPDX-License-Identifier: MIT */
#include "watchdog.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
watchdog_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const size_t n = path == NULL ? 0 : strlen(path);
	int fd;

	if (n == 0 || n >= sizeof(to.sun_path))
		return -1;
	memcpy(to.sun_path, path, n);
	/* A name in no file system is written with @ for its first byte, 0. */
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

void
watchdog_feed(int fd)
{
	static const char word[] = "WATCHDOG=1";

	if (fd >= 0)
		(void)send(fd, word, sizeof(word) - 1, MSG_NOSIGNAL);
}
