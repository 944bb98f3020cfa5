/* SPDX-License-Identifier: MIT */
#include "vm/cpio.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void cpio_begin(struct cpio *c, int fd)
{
	*c = (struct cpio){.fd = fd};
}

static void put(struct cpio *c, const void *data, size_t len)
{
	const char *p = data;

	if (!c->error && len > CPIO_BYTES_MAX - c->bytes)
		c->error = -EFBIG;
	while (!c->error && len) {
		ssize_t n = write(c->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			c->error = n < 0 ? -errno : -EIO;
			return;
		}
		p += n;
		len -= (size_t)n;
		c->bytes += (uint64_t)n;
	}
}

static void pad(struct cpio *c)
{
	put(c, "\0\0", (4 - c->bytes % 4) % 4);
}

static void head(struct cpio *c, const char *name, mode_t mode, uint32_t size, unsigned int major,
		 unsigned int minor)
{
	unsigned int links = S_ISDIR(mode) ? 2 : 1;
	char text[111];

	snprintf(text, sizeof(text), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 ++c->ino, (unsigned int)mode, 0u, 0u, links, 0u, size, 0u, 0u, major, minor,
		 (unsigned int)strlen(name) + 1, 0u);
	put(c, text, 110);
	put(c, name, strlen(name) + 1);
	pad(c);
}

static bool plain_path(const char *path)
{
	for (const char *p = path; *p; p += strspn(p, "/")) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
	}
	return *path != 0;
}

static bool known_dir(const struct cpio *c, const char *path)
{
	for (size_t i = 0; i < c->nr_dirs; i++) {
		if (strcmp(c->dirs[i], path) == 0)
			return true;
	}
	return false;
}

static void one_dir(struct cpio *c, const char *path)
{
	if (c->error || known_dir(c, path))
		return;
	if (c->nr_dirs == CPIO_DIRS_MAX) {
		c->error = -ENOSPC;
		return;
	}
	c->dirs[c->nr_dirs] = strdup(path);
	if (!c->dirs[c->nr_dirs]) {
		c->error = -ENOMEM;
		return;
	}
	c->nr_dirs++;
	head(c, path, S_IFDIR | 0755, 0, 0, 0);
}

/* Makes the folders above path; returns the path as it goes into the archive. */
static const char *parents(struct cpio *c, const char *path)
{
	char above[256];

	path += strspn(path, "/");
	if (!plain_path(path) || strlen(path) >= sizeof(above)) {
		c->error = c->error ? c->error : -EINVAL;
		return path;
	}
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(above, path, (size_t)(slash - path));
		above[slash - path] = 0;
		one_dir(c, above);
	}
	return path;
}

void cpio_dir(struct cpio *c, const char *path)
{
	one_dir(c, parents(c, path));
}

static void small(struct cpio *c, const char *path, mode_t mode, const char *data)
{
	path = parents(c, path);
	head(c, path, mode, (uint32_t)strlen(data), 0, 0);
	put(c, data, strlen(data));
	pad(c);
}

void cpio_text(struct cpio *c, const char *path, mode_t mode, const char *text)
{
	small(c, path, S_IFREG | (mode & 07777), text);
}

void cpio_symlink(struct cpio *c, const char *path, const char *target)
{
	small(c, path, S_IFLNK | 0777, target);
}

void cpio_node(struct cpio *c, const char *path, mode_t mode, unsigned int major,
	       unsigned int minor)
{
	head(c, parents(c, path), S_IFCHR | (mode & 07777), 0, major, minor);
}

void cpio_file(struct cpio *c, const char *path, mode_t mode, int fd)
{
	char buf[65536];
	struct stat st;
	off_t off = 0;

	if (!c->error && fstat(fd, &st) < 0)
		c->error = -errno;
	else if (!c->error && (!S_ISREG(st.st_mode) || st.st_size > CPIO_BYTES_MAX))
		c->error = S_ISREG(st.st_mode) ? -EFBIG : -EINVAL;
	if (c->error)
		return;
	head(c, parents(c, path), S_IFREG | (mode & 07777), (uint32_t)st.st_size, 0, 0);
	while (!c->error && off < st.st_size) {
		size_t want = (size_t)(st.st_size - off);
		ssize_t n = pread(fd, buf, want < sizeof(buf) ? want : sizeof(buf), off);

		/* The size is in the head already: a file that shrinks meanwhile ends it here. */
		if (n <= 0)
			c->error = n < 0 ? -errno : -EIO;
		else
			put(c, buf, (size_t)n);
		off += n;
	}
	pad(c);
}

int cpio_end(struct cpio *c)
{
	head(c, "TRAILER!!!", 0, 0, 0, 0);
	for (size_t i = 0; i < c->nr_dirs; i++)
		free(c->dirs[i]);
	c->nr_dirs = 0;
	return c->error;
}
