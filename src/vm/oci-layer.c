/* SPDX-License-Identifier: MIT */
#include "vm/oci-layer.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

struct unpacking {
	int from;
	uint64_t bytes; /* so far */
	unsigned int entries;
	struct oci_entry e;
	struct oci_entry told; /* by entries before this one; bytes UINT64_MAX: not */
};

static int read_all(int fd, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path) < 0 ? -1 : 0;
}

static void remove_path(const char *path)
{
	if (unlink(path) < 0 && errno == EISDIR)
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Folders above path that no entry made. A link in the way is followed: "/" is the tree. */
static int make_parents(const char *path)
{
	char above[OCI_PATH_MAX];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
		if (mkdir(above, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* Padding included. fd -1: thrown away. */
static int copy_bytes(struct unpacking *u, uint64_t bytes, int fd)
{
	uint64_t padded = (bytes + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	static char buf[1 << 16];

	if (padded < bytes || padded > OCI_BYTES_MAX - u->bytes)
		return -EFBIG;
	u->bytes += padded;
	while (padded) {
		size_t n = padded < sizeof(buf) ? (size_t)padded : sizeof(buf);
		size_t real = bytes < n ? (size_t)bytes : n;
		int r = read_all(u->from, buf, n);

		if (r < 0)
			return r;
		if (fd >= 0 && real && write(fd, buf, real) != (ssize_t)real)
			return -EIO;
		padded -= n;
		bytes -= real;
	}
	return 0;
}

static int unpack_file(struct unpacking *u)
{
	const struct oci_entry *e = &u->e;
	_cleanup_close_ int fd = -1;
	int r;

	remove_path(e->path);
	fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = copy_bytes(u, e->bytes, fd);
	if (r < 0)
		return r;
	/* The mode last: a change of owner takes the set-id bits away. */
	return fchown(fd, (uid_t)e->uid, (gid_t)e->gid) < 0 || fchmod(fd, e->mode) < 0 ? -errno : 0;
}

static int unpack_folder(const struct oci_entry *e)
{
	struct stat st;

	if (lstat(e->path, &st) == 0 && !S_ISDIR(st.st_mode))
		remove_path(e->path);
	if (mkdir(e->path, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (lchown(e->path, (uid_t)e->uid, (gid_t)e->gid) < 0 || chmod(e->path, e->mode) < 0)
		return -errno;
	return 0;
}

static int unpack_link(struct oci_entry *e)
{
	int r;

	remove_path(e->path);
	if (e->type == '2')
		return symlink(e->link, e->path) < 0 ||
			       lchown(e->path, (uid_t)e->uid, (gid_t)e->gid) < 0
			   ? -errno
			   : 0;
	r = oci_plain_path(e->link);
	return r < 0 ? r : link(e->link, e->path) < 0 ? -errno : 0;
}

/* ".wh.NAME" and ".wh..wh..opq". 1: it was one. */
static int whiteout(const struct oci_entry *e)
{
	const char *slash = strrchr(e->path, '/'), *name = slash ? slash + 1 : e->path;
	int folder = slash ? (int)(slash - e->path) : 0;
	char target[OCI_PATH_MAX + 8];
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	if (strncmp(name, ".wh.", 4) != 0)
		return 0;
	if (strcmp(name, ".wh..wh..opq") != 0) {
		if (!name[4] || strcmp(name + 4, ".") == 0 || strcmp(name + 4, "..") == 0)
			return -EPERM;
		snprintf(target, sizeof(target), "%.*s%s%s", folder, e->path, slash ? "/" : "",
			 name + 4);
		remove_path(target);
		return 1;
	}
	snprintf(target, sizeof(target), "%.*s", folder, e->path);
	dir = opendir(slash ? target : ".");
	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (str_printf(target, sizeof(target), "%.*s%s%s", folder, e->path,
			       slash ? "/" : "", entry->d_name) == 0)
			remove_path(target);
	}
	return 1;
}

static int unpack_entry(struct unpacking *u)
{
	struct oci_entry *e = &u->e;
	int r = oci_plain_path(e->path);

	if (r == 0 && e->path[0])
		r = make_parents(e->path);
	if (r < 0)
		return r;
	r = whiteout(e);
	if (r != 0 || !e->path[0])
		return r < 0 ? r : copy_bytes(u, e->bytes, -1);
	switch (e->type) {
	case '0':
	case '7':
		return unpack_file(u);
	case '5':
		r = unpack_folder(e);
		break;
	case '1':
	case '2':
		r = unpack_link(e);
		e->bytes = 0; /* a link has none, whatever its head says */
		break;
	default:
		break;
	}
	return r < 0 ? r : copy_bytes(u, e->bytes, -1);
}

/* The names of the next entry, in a block of their own. 1: it was one. */
static int take_names(struct unpacking *u)
{
	char text[16384];
	struct oci_entry *e = &u->e;
	uint64_t padded = (e->bytes + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	int r;

	if (e->type == 'g') /* of the archive as a whole: a comment */
		return (r = copy_bytes(u, e->bytes, -1)) < 0 ? r : 1;
	if (e->type != 'L' && e->type != 'K' && e->type != 'x')
		return 0;
	if (padded > sizeof(text) - TAR_BLOCK)
		return -ENAMETOOLONG;
	r = read_all(u->from, text, (size_t)padded);
	if (r < 0)
		return r;
	text[e->bytes] = 0;
	if (e->type == 'x') {
		u->told.bytes = UINT64_MAX;
		r = oci_tar_pax(text, (size_t)e->bytes, &u->told);
		return r < 0 ? r : 1;
	}
	return str_copy(e->type == 'L' ? u->told.path : u->told.link, OCI_PATH_MAX, text)
		   ? 1
		   : -ENAMETOOLONG;
}

static void use_names(struct unpacking *u)
{
	if (u->told.path[0])
		str_copy(u->e.path, sizeof(u->e.path), u->told.path);
	if (u->told.link[0])
		str_copy(u->e.link, sizeof(u->e.link), u->told.link);
	if (u->told.bytes != UINT64_MAX)
		u->e.bytes = u->told.bytes;
	u->told = (struct oci_entry){.bytes = UINT64_MAX};
}

int oci_layer_unpack(int from, struct error *reterr)
{
	_cleanup_free_ struct unpacking *u = calloc(1, sizeof(*u));
	uint8_t block[TAR_BLOCK];
	int r;

	if (!u)
		return -ENOMEM;
	u->from = from;
	u->told.bytes = UINT64_MAX;
	while ((r = read_all(from, block, sizeof(block))) == 0) {
		r = oci_tar_head(block, &u->e);
		if (r <= 0)
			break;
		if (u->entries++ == OCI_ENTRIES_MAX)
			return error_set(reterr, -E2BIG, "too many entries");
		r = take_names(u);
		if (r == 0) {
			use_names(u);
			r = unpack_entry(u);
		}
		if (r < 0)
			return error_errno(reterr, r, "%s", u->e.path);
	}
	/* Some writers leave the two empty blocks out. */
	if (r < 0 && r != -ENODATA)
		return error_errno(reterr, r, "the archive");
	/* What comes after its end is read, so that whoever unpacks it ends well. */
	while (read(from, block, sizeof(block)) > 0)
		;
	return 0;
}
