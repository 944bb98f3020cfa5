/* SPDX-License-Identifier: MIT */
#include "vm/oci.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <jansson.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "vm/json.h"
#include "vm/oci-layer.h"
#include "vm/privs.h"
#include "vm/sha256.h"

#define DOCUMENT_MAX (1u << 20)
#define LAYERS_MAX   64
#define LAYER_BYTES  (4ull << 30)
#define DIGEST_MARK  ".cz-image" /* beside the tree: the manifest it was made from */

struct image {
	int layout;
	char manifest[65];
	char layers[LAYERS_MAX][65];
	const char *tools[LAYERS_MAX]; /* what unpacks it, or NULL */
	size_t nr;
};

/* "sha256:" and 64 hex digits; anything else could be a path. */
static int digest_hex(const json_t *descriptor, char ret[65])
{
	const char *text = json_string_value(json_object_get(descriptor, "digest"));

	if (!text || strncmp(text, "sha256:", 7) != 0 || strlen(text + 7) != 64 ||
	    strspn(text + 7, "0123456789abcdef") != 64)
		return -EINVAL;
	memcpy(ret, text + 7, 65);
	return 0;
}

static int open_blob(const struct image *im, const char *hex)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "blobs/sha256/%s", hex);
	fd = openat(im->layout, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* The blob as a file of ours with that digest: what is checked is what is unpacked. */
static int check_blob(int fd, const char *hex)
{
	static char buf[1 << 16];
	struct sha256 s;
	char is[65];
	off_t off = 0;
	ssize_t n;

	sha256_begin(&s);
	while ((n = pread(fd, buf, sizeof(buf), off)) > 0 && off <= (off_t)LAYER_BYTES) {
		sha256_add(&s, buf, (size_t)n);
		off += n;
	}
	if (n != 0)
		return n < 0 ? -errno : -EFBIG;
	sha256_end(&s, is);
	return strcmp(is, hex) == 0 ? 0 : -EBADMSG;
}

static json_t *read_document(int fd, int *ret_error)
{
	_cleanup_free_ char *text = malloc(DOCUMENT_MAX);
	ssize_t n = text ? pread_text(fd, text, DOCUMENT_MAX) : -ENOMEM;

	if (n < 0) {
		*ret_error = (int)n;
		return NULL;
	}
	return json_line_parse(text, (size_t)n, ret_error);
}

static json_t *read_json_blob(const struct image *im, const char *hex, int *ret_error)
{
	_cleanup_close_ int fd = open_blob(im, hex);

	*ret_error = fd < 0 ? fd : check_blob(fd, hex);
	return *ret_error < 0 ? NULL : read_document(fd, ret_error);
}

static bool for_this_machine(const json_t *descriptor)
{
	const json_t *platform = json_object_get(descriptor, "platform");
	const char *arch = json_string_value(json_object_get(platform, "architecture"));
	const char *os = json_string_value(json_object_get(platform, "os"));

	return (!arch || strcmp(arch, "amd64") == 0) && (!os || strcmp(os, "linux") == 0);
}

static int read_layers(struct image *im, const json_t *manifest)
{
	static const struct {
		const char *suffix, *tool;
	} packings[] = {
	    {"tar", NULL}, {"tar+gzip", "gzip"}, {"tar+zstd", "zstd"}, {"tar.gzip", "gzip"}};
	json_t *layer;
	size_t i;

	json_array_foreach(json_object_get(manifest, "layers"), i, layer)
	{
		const char *type = json_string_value(json_object_get(layer, "mediaType"));
		const char *suffix = type ? strrchr(type, '.') : NULL;
		bool known = false;

		if (im->nr == LAYERS_MAX)
			return -E2BIG;
		if (suffix && strcmp(suffix, ".gzip") == 0)
			suffix = type + strlen(type) - strlen(".tar.gzip");
		for (size_t k = 0; suffix && k < ARRAY_SIZE(packings); k++) {
			if (strcmp(suffix + 1, packings[k].suffix) == 0) {
				im->tools[im->nr] = packings[k].tool;
				known = true;
			}
		}
		if (!known || digest_hex(layer, im->layers[im->nr]) < 0)
			return -EINVAL;
		im->nr++;
	}
	return im->nr ? 0 : -EINVAL;
}

/* An index may lead to another index (one for each machine), once. */
static int resolve(struct image *im, const json_t *index, unsigned int depth)
{
	json_t *item, *next;
	int r = -ENOENT;
	size_t i;

	if (json_object_get(index, "layers"))
		return read_layers(im, index);
	json_array_foreach(json_object_get(index, "manifests"), i, item)
	{
		if (!for_this_machine(item))
			continue;
		if (depth == 0 || digest_hex(item, im->manifest) < 0)
			return -EINVAL;
		next = read_json_blob(im, im->manifest, &r);
		if (!next)
			return r;
		r = resolve(im, next, depth - 1);
		json_decref(next);
		return r;
	}
	return r;
}

static int image_open(struct image *im, const char *layout, struct error *reterr)
{
	_cleanup_close_ int fd = -1;
	json_t *index;
	int r = 0;

	im->layout = open(layout, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (im->layout < 0)
		return error_errno(reterr, -errno, "open the image layout %s", layout);
	fd = openat(im->layout, "index.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	index = fd < 0 ? NULL : read_document(fd, &r);
	if (!index)
		return error_set(reterr, -EINVAL,
				 "%s is no OCI image layout: no index.json to read", layout);
	r = resolve(im, index, 2);
	json_decref(index);
	if (r == -EBADMSG)
		return error_set(reterr, r, "%s: a blob's content is not that of its digest",
				 layout);
	if (r < 0)
		return error_errno(reterr, r, "%s: find the image's layers for amd64", layout);
	return 0;
}

/* --- unpacking ----------------------------------------------------------------------------- */

/* A pipe from the tool that unpacks fd; *ret_pid is the tool. */
static int open_tool(const char *tool, int fd, pid_t *ret_pid)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_pid = fork();
	if (*ret_pid == 0) {
		struct error e = {0};
		char *argv[] = {(char *)tool, "-dc", NULL},
		     *environment[] = {"PATH=/usr/bin:/bin", NULL};

		/* It parses what a stranger made: as nobody. */
		if (dup2(fd, 0) < 0 || dup2(ends[1], 1) < 0 || privs_drop(65534, 65534, &e) < 0)
			_exit(126);
		privs_die_with(parent);
		execvpe(tool, argv, environment);
		_exit(127);
	}
	close(ends[1]);
	if (*ret_pid < 0) {
		close(ends[0]);
		return -errno;
	}
	return ends[0];
}

/* In a child: from here on "/" is the new tree, and there is no way out of it. */
static void unpack_main(int root, int from, pid_t parent)
{
	struct error e = {0};
	int r;

	privs_die_with(parent);
	umask(0);
	if (unshare(CLONE_NEWNS) < 0 || fchdir(root) < 0 || chroot(".") < 0 || chdir("/") < 0)
		_exit(errno);
	r = oci_layer_unpack(from, &e);
	if (r < 0)
		dprintf(STDERR_FILENO, "<3>layer: %s\n", e.msg);
	_exit(r < 0 ? -r : 0);
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static int unpack_layer(const struct image *im, size_t i, int root)
{
	_cleanup_close_ int blob = open_blob(im, im->layers[i]), from = -1;
	pid_t tool = 0, child, parent = getpid();
	int r = blob < 0 ? blob : check_blob(blob, im->layers[i]);

	if (r < 0)
		return r;
	from =
	    im->tools[i] ? open_tool(im->tools[i], blob, &tool) : fcntl(blob, F_DUPFD_CLOEXEC, 3);
	if (from < 0)
		return from;
	child = fork();
	if (child == 0)
		unpack_main(root, from, parent);
	close_fd(&from);
	r = child < 0 ? -errno : wait_for(child);
	if (tool > 0) {
		int t;

		/* After a failure the tool may still want to write. */
		if (r < 0)
			kill(tool, SIGKILL);
		t = wait_for(tool);
		r = r < 0 ? r : t;
	}
	return r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path) < 0 ? -1 : 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static bool there_already(const char *dir, const char *digest)
{
	char path[PATH_MAX], text[80];

	return str_printf(path, sizeof(path), "%s" DIGEST_MARK, dir) == 0 &&
	       access(dir, F_OK) == 0 && read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0 &&
	       strcmp(text, digest) == 0;
}

static int unpack_all(const struct image *im, const char *fresh, struct error *reterr)
{
	static const char *const mount_points[] = {"proc", "sys", "dev", "run", "tmp"};
	_cleanup_close_ int root = -1;

	remove_tree(fresh);
	if (mkdir(fresh, 0755) < 0)
		return error_errno(reterr, -errno, "make %s", fresh);
	root = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(reterr, -errno, "open %s", fresh);
	for (size_t i = 0; i < im->nr; i++) {
		int r = unpack_layer(im, i, root);

		if (r == -EBADMSG)
			return error_set(reterr, r,
					 "layer %.12s: its content is not that of its digest",
					 im->layers[i]);
		if (r < 0)
			return error_errno(reterr, r, "unpack layer %.12s", im->layers[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(mount_points); i++) {
		if (mkdirat(root, mount_points[i], 0755) < 0 && errno != EEXIST)
			return error_errno(reterr, -errno, "make /%s", mount_points[i]);
	}
	return 0;
}

int oci_unpack(const char *layout, const char *dir, struct error *reterr)
{
	_cleanup_free_ struct image *im = calloc(1, sizeof(*im));
	char fresh[PATH_MAX], mark[PATH_MAX];
	int r;

	if (!im)
		return -ENOMEM;
	if (str_printf(fresh, sizeof(fresh), "%s.new", dir) < 0 ||
	    str_printf(mark, sizeof(mark), "%s" DIGEST_MARK, dir) < 0)
		return error_set(reterr, -ENAMETOOLONG, "%s is too long a name", dir);
	im->layout = -1;
	r = image_open(im, layout, reterr);
	if (r == 0 && !there_already(dir, im->manifest)) {
		r = unpack_all(im, fresh, reterr);
		if (r == 0) {
			remove_tree(dir);
			r = rename(fresh, dir) < 0 ? -errno : 0;
			if (r == 0)
				r = write_file_atomic(AT_FDCWD, mark, im->manifest, 64, 0644);
			if (r < 0)
				error_errno(reterr, r, "put %s in its place", dir);
		}
		remove_tree(fresh);
	}
	close_fd(&im->layout);
	return r;
}
