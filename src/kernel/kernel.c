/* SPDX-License-Identifier: MIT */
#include "kernel/kernel.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/kio.h"

int kernel_open(const char *root, struct kernel *ret, struct error *reterr)
{
	const char *dir = root && *root ? root : "/";
	int fd = kio_openat(AT_FDCWD, dir, O_PATH | O_DIRECTORY);

	if (fd < 0)
		return error_errno(reterr, fd, "open root directory %s", dir);
	*ret = (struct kernel){.root_fd = fd, .captured = strcmp(dir, "/") != 0};
	return 0;
}

void kernel_close(struct kernel *k)
{
	close_fd(&k->root_fd);
}
