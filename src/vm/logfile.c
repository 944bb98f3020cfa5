/* SPDX-License-Identifier: MIT */
#include "vm/logfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

static int open_piece(struct logfile *l)
{
	_cleanup_close_ int fd =
	    openat(l->dirfd, l->name,
		   O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	l->bytes = (size_t)st.st_size;
	l->fd = TAKE_FD(fd);
	return 0;
}

int logfile_open(struct logfile *l, int dirfd, const char *name)
{
	*l = (struct logfile){.dirfd = dirfd, .fd = -1};
	if (!str_copy(l->name, sizeof(l->name) - 2, name))
		return -ENAMETOOLONG;
	return open_piece(l);
}

static void rotate(struct logfile *l)
{
	char older[LOGFILE_NAME_MAX + 2];

	snprintf(older, sizeof(older), "%s.1", l->name);
	close_fd(&l->fd);
	/* Where it can't be moved it is dropped: the bound comes first. */
	if (renameat(l->dirfd, l->name, l->dirfd, older) < 0)
		unlinkat(l->dirfd, l->name, 0);
	if (open_piece(l) < 0)
		l->fd = -1;
}

void logfile_write(struct logfile *l, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		size_t room = l->bytes < LOGFILE_MAX ? LOGFILE_MAX - l->bytes : 0;
		ssize_t n;

		if (room == 0 || l->fd < 0) {
			rotate(l);
			room = LOGFILE_MAX;
		}
		n = l->fd < 0 || l->bytes >= LOGFILE_MAX ? -1
							 : write(l->fd, p, len < room ? len : room);
		if (n <= 0) {
			l->lost_total += len;
			return;
		}
		l->bytes += (size_t)n;
		p += n;
		len -= (size_t)n;
	}
}

void logfile_done(struct logfile *l)
{
	close_fd(&l->fd);
}
