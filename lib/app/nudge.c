/* SPDX-License-Identifier: MIT */
#include "app/nudge.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool
address_of(const struct config *config, const char *socket_name,
    struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(address->sun_path, sizeof(address->sun_path),
		   "%s/run/%s", config_text(config, CONFIG_STATE_DIR),
		   socket_name) < (int)sizeof(address->sun_path);
}

int
nudge_sender(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void
nudge_send(int fd, const struct config *config, const char *socket_name)
{
	struct sockaddr_un address;

	/* Nobody listening or a full queue: they look by themselves. */
	if (address_of(config, socket_name, &address))
		(void)sendto(fd, "", 1, MSG_DONTWAIT,
		    (const struct sockaddr *)&address, sizeof(address));
}

int
nudge_receiver(const struct config *config, const char *socket_name)
{
	struct sockaddr_un address;
	int fd, error;

	if (!address_of(config, socket_name, &address)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = nudge_sender();
	if (fd < 0)
		return -1;
	(void)unlink(address.sun_path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

void
nudge_swallow(int fd)
{
	char byte;

	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0)
		continue;
}
