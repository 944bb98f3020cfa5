/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include "actuate/open-dir.h"
#include "base/cleanup.h"

#define HANDLE_KERNFS 0xfe /* FILEID_KERNFS: the handle is the 64-bit id */

static int open_by_handle(const struct cgroup_fs *fs, enum cgroup_controller c, uint64_t id)
{
	_cleanup_close_ int mount = cgroup_open(fs, c, "/", 0);
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(id)];
	} h = {.handle = {.handle_bytes = sizeof(id), .handle_type = HANDLE_KERNFS}};
	int fd;

	if (mount < 0)
		return mount;
	memcpy(h.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(mount, &h.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	/* Where handles don't work at all, the path has said what can be known. */
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ENOENT;
}

int open_dir_by_id(const struct cgroup_fs *fs, enum cgroup_controller c, const char *path,
		   uint64_t id)
{
	int fd;

	if (!cgroup_has(fs, c))
		return -EOPNOTSUPP;
	fd = cgroup_open(fs, c, path, id);
	return fd == -ENOENT || fd == -ESTALE ? open_by_handle(fs, c, id) : fd;
}
