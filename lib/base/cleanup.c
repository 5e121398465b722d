/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"

#include <unistd.h>

void
cleanup_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}
