/* SPDX-License-Identifier: MIT */
/*
 * usage: fake-resctrl MODEL DIR [FUSE options]
 * Mounts the stand-in at DIR and stays in the foreground; ends on SIGTERM or unmount. MODEL has the
 * machine, read once, and the demands, read again whenever the file changes; see fake-model.c.
 */
#define FUSE_USE_VERSION 34
#include <errno.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"

static struct fake fake;

static int op_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	struct node n = fake_lookup(&fake, path);

	if (n.kind == NODE_NONE)
		return -ENOENT;
	memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	st->st_mode =
	    n.kind == NODE_DIR ? S_IFDIR | 0755 : S_IFREG | (fake_writable(&n) ? 0644 : 0444);
	return 0;
}

struct listing {
	const char *path;
	void *buf;
	fuse_fill_dir_t fill;
};

static void add_name(void *arg, const char *name)
{
	struct listing *l = arg;
	struct stat st = {0};
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", l->path, name);
	if (name[0] == '.')
		st.st_mode = S_IFDIR;
	else if (op_getattr(path, &st, NULL) < 0)
		return;
	l->fill(l->buf, name, &st, 0, 0);
}

static int op_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off,
		      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	struct node n = fake_lookup(&fake, path);
	struct listing l = {path, buf, fill};

	if (n.kind != NODE_DIR)
		return n.kind == NODE_NONE ? -ENOENT : -ENOTDIR;
	add_name(&l, ".");
	add_name(&l, "..");
	fake_list(&fake, &n, add_name, &l);
	return 0;
}

static int op_open(const char *path, struct fuse_file_info *fi)
{
	struct node n = fake_lookup(&fake, path);

	if (n.kind != NODE_FILE)
		return -ENOENT;
	fi->direct_io = 1;
	fi->fh = (uint64_t)(uintptr_t)calloc(1, sizeof(struct text));
	return fi->fh ? 0 : -ENOMEM;
}

/* A text is made when it is read from its beginning, and then stays the same. */
static int op_read(const char *path, char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct text *t = (struct text *)(uintptr_t)fi->fh;
	size_t n;
	int r;

	if (off == 0 || !t->data) {
		struct node node = fake_lookup(&fake, path);

		free(t->data);
		*t = (struct text){0};
		r = node.kind == NODE_FILE ? fake_read(&fake, &node, t) : -ENOENT;
		if (r < 0)
			return r;
	}
	if ((size_t)off >= t->len)
		return 0;
	n = t->len - (size_t)off;
	n = n < size ? n : size;
	memcpy(buf, t->data + off, n);
	return (int)n;
}

static int op_write(const char *path, const char *data, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct node n = fake_lookup(&fake, path);
	int r = n.kind == NODE_FILE ? fake_write(&fake, &n, data, size) : -ENOENT;

	return r < 0 ? r : (int)size;
}

static int op_release(const char *path, struct fuse_file_info *fi)
{
	struct text *t = (struct text *)(uintptr_t)fi->fh;

	free(t->data);
	free(t);
	return 0;
}

static int op_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	return 0; /* what a shell does before it writes */
}

/* The directory of a path, and the last name in it. */
static struct node parent_of(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char dir[512];

	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	*ret_name = slash + 1;
	return fake_lookup(&fake, dir);
}

static int op_mkdir(const char *path, mode_t mode)
{
	const char *name;
	struct node n = parent_of(path, &name);

	fake_advance(&fake);
	if (n.kind == NODE_DIR && n.at == AT_MON_GROUPS)
		return fake_mkdir(&fake, n.group, name, true);
	if (n.kind == NODE_DIR && n.at == AT_GROUP && n.group == &fake.groups[0])
		return fake_mkdir(&fake, NULL, name, false);
	return -EPERM;
}

static int op_rmdir(const char *path)
{
	struct node n = fake_lookup(&fake, path);

	fake_advance(&fake);
	return n.kind == NODE_DIR && n.at == AT_GROUP ? fake_rmdir(&fake, n.group) : -EPERM;
}

static int op_rename(const char *from, const char *to, unsigned int flags)
{
	const char *name;
	struct node n = fake_lookup(&fake, from), p = parent_of(to, &name);

	fake_advance(&fake);
	if (n.kind != NODE_DIR || n.at != AT_GROUP)
		return -EPERM;
	return fake_rename(&fake, n.group, p.at == AT_MON_GROUPS ? p.group : NULL, name);
}

static void *op_init(struct fuse_conn_info *conn, struct fuse_config *cfg)
{
	cfg->entry_timeout = 0;
	cfg->attr_timeout = 0;
	cfg->negative_timeout = 0;
	cfg->hard_remove = 1;
	return NULL;
}

static const struct fuse_operations operations = {
    .init = op_init,
    .getattr = op_getattr,
    .readdir = op_readdir,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .release = op_release,
    .truncate = op_truncate,
    .mkdir = op_mkdir,
    .rmdir = op_rmdir,
    .rename = op_rename,
};

int main(int argc, char **argv)
{
	char *args[16] = {argv[0], argv[2], "-f", "-s",
			  "-odefault_permissions,fsname=fake-resctrl"};
	int n = 5;

	if (argc < 3) {
		fprintf(stderr, "usage: fake-resctrl MODEL DIR [FUSE options]\n");
		return 2;
	}
	if (fake_config(&fake, argv[1]) < 0)
		return 1;
	fake_reset(&fake);
	for (int i = 3; i < argc && n < 15; i++)
		args[n++] = argv[i];
	return fuse_main(n, args, &operations, NULL);
}
