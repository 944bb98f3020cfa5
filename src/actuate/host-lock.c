/* SPDX-License-Identifier: MIT */
#include "actuate/host-lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"

#define NAME (&HOST_LOCK_PATH[1])

/* Is it still the group of that name? Its last holder may have removed it meanwhile. */
static bool is_current(int root, int fd)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && fstatat(root, NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

int host_lock_take(const struct cgroup_fs *fs, int *ret_fd, struct error *reterr)
{
	_cleanup_close_ int root = cgroup_open(fs, CG_CPU, "/", 0);

	if (root < 0)
		return error_errno(reterr, root, "open the root of the cpu cgroups");
	for (;;) {
		_cleanup_close_ int fd = -1;

		if (mkdirat(root, NAME, 0700) < 0 && errno != EEXIST)
			return error_errno(reterr, -errno, "make cgroup %s, the lock of this host",
					   HOST_LOCK_PATH);
		fd = openat(root, NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return error_errno(reterr, -errno, "open cgroup %s, the lock of this host",
					   HOST_LOCK_PATH);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK
				   ? error_set(reterr, -EBUSY,
					       "another czd enforces on this host: this one only "
					       "observes meanwhile")
				   : error_errno(reterr, -errno, "lock cgroup %s", HOST_LOCK_PATH);
		if (is_current(root, fd)) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
	}
}

void host_lock_release(const struct cgroup_fs *fs, int *fd)
{
	_cleanup_close_ int root = *fd < 0 ? -1 : cgroup_open(fs, CG_CPU, "/", 0);

	/* It has no tasks; should it stay all the same, the next holder removes it. */
	if (root >= 0)
		(void)unlinkat(root, NAME, AT_REMOVEDIR);
	close_fd(fd);
}
