/* SPDX-License-Identifier: MIT */
#include "vm/share.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"
#include "vm/privs.h"

#define ACCOUNTS_MAX 65536
/* Of the namespace: a folder that every host has, all may pass, and nobody may share. */
#define PLACE "/tmp"
/* From the zone's uid to that of its virtiofsd: another, or QEMU could take it over. */
#define OWN_IDS	  100000
#define FILES_MAX 1000000 /* below fs.nr_open of any kernel; what virtiofsd asks for itself */
#define RUST_MARK "RUST_BACKTRACE" /* in every program of that language */

const struct share_entry share_host[] = {
    {"usr", SHARE_TREE},
    {"bin", SHARE_TREE},
    {"sbin", SHARE_TREE},
    {"lib", SHARE_TREE},
    {"lib32", SHARE_TREE},
    {"lib64", SHARE_TREE},
    {"libx32", SHARE_TREE},
    {"etc/alternatives", SHARE_TREE},
    {"etc/ca-certificates", SHARE_TREE},
    {"etc/ssl/certs", SHARE_TREE},
    {"etc/ld.so.conf.d", SHARE_TREE},
    {"etc/terminfo", SHARE_TREE},
    {"etc/ld.so.cache", SHARE_FILE},
    {"etc/ld.so.conf", SHARE_FILE},
    {"etc/ssl/openssl.cnf", SHARE_FILE},
    {"etc/nsswitch.conf", SHARE_FILE},
    {"etc/protocols", SHARE_FILE},
    {"etc/services", SHARE_FILE},
    {"etc/localtime", SHARE_FILE},
    {"etc/timezone", SHARE_FILE},
    {"etc/os-release", SHARE_FILE},
    {"etc/debian_version", SHARE_FILE},
    {"etc/mime.types", SHARE_FILE},
    {"etc/profile", SHARE_FILE},
    {"etc/passwd", SHARE_ACCOUNTS},
    {"etc/group", SHARE_ACCOUNTS},
};
const size_t share_host_nr = ARRAY_SIZE(share_host);

/* Where a guest mounts its own: empty folders, for nothing can be made in the tree later. */
static const char *const mount_points[] = {"proc", "sys", "dev",  "run",
					   "tmp",  "var", "root", "mnt"};

/* "name:password:id:rest" */
static bool account_shared(char *line, char *fields[4])
{
	uint32_t id;

	for (int i = 0; i < 4; i++) {
		fields[i] = i < 3 ? strsep(&line, ":") : line;
		if (!fields[i])
			return false;
	}
	return *fields[0] && parse_u32(fields[2], &id) == 0 && (id < 1000 || id == 65534);
}

int share_accounts(const char *text, char *ret, size_t size)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *line, *f[4];
	size_t len = 0;

	if (!copy)
		return -ENOMEM;
	ret[0] = 0;
	while ((line = strsep(&rest, "\n"))) {
		int n;

		if (!account_shared(line, f))
			continue;
		n = snprintf(ret + len, size - len, "%s:x:%s:%s\n", f[0], f[2], f[3]);
		if (n < 0 || (size_t)n >= size - len)
			return -E2BIG;
		len += (size_t)n;
	}
	return 0;
}

/* --- in the namespace, as root ------------------------------------------------------------- */

static int make_parents(int root, const char *path)
{
	char above[256];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
		if (mkdirat(root, above, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* A copy of the tree at `from`, whole and read only, attached to the place `to` below root. */
static int bind_tree(int from, int root, const char *to)
{
	struct mount_attr attr = {
	    .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
	    .propagation = MS_PRIVATE,
	};
	_cleanup_close_ int tree =
	    (int)syscall(SYS_open_tree, from, "",
			 AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0 ||
	    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
		    sizeof(attr)) < 0 ||
	    syscall(SYS_move_mount, tree, "", root, to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static int put_tree(int root, const char *path)
{
	char full[260];
	_cleanup_close_ int from = -1;

	snprintf(full, sizeof(full), "/%s", path);
	from = open(full, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return -errno;
	if (mkdirat(root, path, 0755) < 0 && errno != EEXIST)
		return -errno;
	return bind_tree(from, root, path);
}

/* As bytes of the tree's own, so that nobody needs a mount for a small file. */
static int put_text(int root, const char *path, const char *text)
{
	return write_file_atomic(root, path, text, strlen(text), 0644);
}

static int put_link(int root, const char *path)
{
	char full[260], target[512];
	ssize_t n;

	snprintf(full, sizeof(full), "/%s", path);
	n = readlink(full, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	return symlinkat(target, root, path) < 0 ? -errno : 0;
}

static int put_file(int root, const struct share_entry *e)
{
	_cleanup_free_ char *text = malloc(4 * ACCOUNTS_MAX), *kept = malloc(ACCOUNTS_MAX);
	struct stat st;
	char full[260];
	ssize_t n;
	int r;

	snprintf(full, sizeof(full), "/%s", e->path);
	/* Only what everybody on the host may read. */
	if (stat(full, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH))
		return -ENOENT;
	if (!text || !kept)
		return -ENOMEM;
	n = read_file_at(AT_FDCWD, full, text,
			 e->kind == SHARE_ACCOUNTS ? ACCOUNTS_MAX : 4 * ACCOUNTS_MAX);
	if (n < 0)
		return (int)n;
	if (e->kind != SHARE_ACCOUNTS)
		return write_file_atomic(root, e->path, text, (size_t)n, 0644);
	r = share_accounts(text, kept, ACCOUNTS_MAX);
	return r < 0 ? r : put_text(root, e->path, kept);
}

static int put_entry(int root, const struct share_entry *e)
{
	int r = make_parents(root, e->path);

	if (r < 0)
		return r;
	if (e->kind != SHARE_TREE)
		return put_file(root, e);
	/* /bin and kin are links on a merged /usr */
	r = put_link(root, e->path);
	return r == -EINVAL ? put_tree(root, e->path) : r;
}

/* Directories that the user named. A link in the place of one is not followed. */
static int put_shares(int root, char **share, struct error *reterr)
{
	for (; share && *share; share++) {
		const char *path = *share + 1;
		int r = make_parents(root, path);

		if (r == 0)
			r = put_tree(root, path);
		if (r < 0)
			return error_errno(reterr, r, "share %s", *share);
	}
	return 0;
}

static int put_host(int root, char **share, struct error *reterr)
{
	int r = put_shares(root, share, reterr);

	if (r < 0)
		return r;
	for (size_t i = 0; i < share_host_nr; i++) {
		r = put_entry(root, &share_host[i]);

		/* Not every host has everything, and a strange file is no reason to fail. */
		if (r < 0 && r != -ENOENT && r != -E2BIG && r != -ENOTDIR)
			return error_errno(reterr, r, "share /%s", share_host[i].path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(mount_points); i++) {
		if (mkdirat(root, mount_points[i], 0755) < 0 && errno != EEXIST)
			return error_errno(reterr, -errno, "make /%s of the shared tree",
					   mount_points[i]);
	}
	return 0;
}

/* The tree, at PLACE in a mount namespace of this process alone. */
static int build_tree(const char *dir, char **share, struct error *reterr)
{
	_cleanup_close_ int from = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	_cleanup_close_ int root = -1;
	int r;

	if (dir && from < 0)
		return error_errno(reterr, -errno, "open the rootfs %s", dir);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_errno(reterr, -errno, "a mount namespace for the shared tree");
	if (dir) {
		r = bind_tree(from, AT_FDCWD, PLACE);
		return r < 0 ? error_errno(reterr, r, "share %s", dir) : 0;
	}
	if (mount("cz-root", PLACE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=4m") < 0)
		return error_errno(reterr, -errno, "a place for the shared tree");
	root = open(PLACE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(reterr, -errno, "open the shared tree");
	r = put_host(root, share, reterr);
	if (r < 0)
		return r;
	if (mount(NULL, PLACE, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
		  NULL) < 0)
		return error_errno(reterr, -errno, "make the shared tree read only");
	return 0;
}

/* --- virtiofsd ----------------------------------------------------------------------------- */

/* virtiofsd in Rust chroots for nobody but root. */
static bool needs_root(int program)
{
	struct stat st;
	void *map;
	bool found;

	if (fstat(program, &st) < 0 || st.st_size <= 0)
		return false;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, program, 0);
	if (map == MAP_FAILED)
		return false;
	found = memmem(map, (size_t)st.st_size, RUST_MARK, strlen(RUST_MARK)) != NULL;
	munmap(map, (size_t)st.st_size);
	return found;
}

/*
 * A rootfs of the zone's own is the guest's, whoever owns what is in it. Of the host's tree a guest
 * gets what is for everybody: there virtiofsd is a user who owns nothing. CAP_FOWNER is for
 * O_NOATIME, with which guests read below an overlay; CAP_SETPCAP and CAP_SYS_CHROOT it gives up
 * itself.
 */
static int take_user(const struct launch *l)
{
	return privs_become(l->uid + OWN_IDS, l->gid + OWN_IDS,
			    1u << CAP_FOWNER | 1u << CAP_SETPCAP | 1u << CAP_SYS_CHROOT);
}

static void child_main(const struct launch *l, const char *dir, int listener, pid_t parent)
{
	struct error e = {0};
	/* by its fd: its folder may be one that only root may pass */
	int program = open(l->virtiofsd, O_RDONLY | O_CLOEXEC), r;
	bool lesser = !dir && !needs_root(program);
	char fd[32], source[] = "source=" PLACE;
	/* Reading what all may read takes no rights; chroot is for the sandbox, and given up after.
	 */
	char *argv[] = {
	    "virtiofsd",
	    fd,
	    "-o",
	    source,
	    "-o",
	    "sandbox=chroot",
	    "-o",
	    "cache=auto",
	    "-o",
	    "no_writeback,no_flock,no_posix_lock",
	    "-o",
	    "log_level=err",
	    "-o",
	    lesser
		? "modcaps=-dac_override:-dac_read_search:-chown:-mknod:-setfcap:-fsetid:-setuid:-"
		  "setgid"
		: "modcaps=-dac_override:-dac_read_search:-chown:-fowner:-mknod:-setfcap:-fsetid",
	    "--thread-pool-size=0",
	    NULL};
	char *environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};

	snprintf(fd, sizeof(fd), "--fd=%d", listener);
	r = program < 0 ? error_errno(&e, -errno, "open %s", l->virtiofsd)
			: build_tree(dir, l->spec.os.share, &e);
	if (r == 0 && lesser) {
		r = take_user(l);
		if (r < 0)
			error_errno(&e, r, "a user of its own for virtiofsd");
	}
	if (r < 0) {
		dprintf(STDERR_FILENO, "<3>the shared root file system: %s\n", e.msg);
		_exit(125);
	}
	privs_die_with(parent);
	fcntl(listener, F_SETFD, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	fexecve(program, argv, environment);
	dprintf(STDERR_FILENO, "<3>virtiofsd can't be started: %s\n", strerror(errno));
	_exit(127);
}

/* A listening socket without a name in the file system, and a connection to it. */
static int socket_pair_by_name(int *ret_listener, int *ret_client)
{
	_cleanup_close_ int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(sa_family_t);

	/* The kernel picks an unused abstract name. The first connection is ours: virtiofsd takes
	 * one only, and closes the socket then. */
	if (listener < 0 || client < 0 || bind(listener, (struct sockaddr *)&name, len) < 0)
		return -errno;
	len = sizeof(name);
	if (getsockname(listener, (struct sockaddr *)&name, &len) < 0 || listen(listener, 1) < 0 ||
	    connect(client, (struct sockaddr *)&name, len) < 0)
		return -errno;
	*ret_listener = TAKE_FD(listener);
	*ret_client = TAKE_FD(client);
	return 0;
}

/* For a QEMU that is not ours to start: it connects by name. */
static int listen_at(const struct launch *l, const char *path, int *ret)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	mode_t mask;
	int r;

	if (!str_copy(a.sun_path, sizeof(a.sun_path), path))
		return -ENAMETOOLONG;
	if (fd < 0 || (unlink(path) < 0 && errno != ENOENT))
		return -errno;
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0 || lchown(path, l->uid, l->gid) < 0 || listen(fd, 1) < 0)
		return r < 0 ? r : -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* Of this process and its children; returns the limit that it is now. */
static rlim_t allow_files(rlim_t most)
{
	struct rlimit limit = {most, most};

	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return limit.rlim_cur;
	/* Without CAP_SYS_RESOURCE what it is at most it stays. */
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

int share_start(const struct launch *l, const char *dir, const char *socket_path, int *ret_fd,
		pid_t *ret_pid, uint64_t *ret_files, struct error *reterr)
{
	_cleanup_close_ int listener = -1, client = -1;
	pid_t parent = getpid(), pid;
	struct rlimit ours;
	int r;

	if (!l->virtiofsd) {
		r = error_set(reterr, -ENOENT,
			      "there is no virtiofsd, which a shared rootfs needs");
		error_hint(reterr,
			   "install it (Debian: qemu-system-common or virtiofsd), or use an image");
		return r;
	}
	r = socket_path ? listen_at(l, socket_path, &listener)
			: socket_pair_by_name(&listener, &client);
	if (r < 0)
		return error_errno(reterr, r, "a socket for virtiofsd");
	if (getrlimit(RLIMIT_NOFILE, &ours) < 0)
		return error_errno(reterr, -errno, "the limit of open files");
	*ret_files = allow_files(FILES_MAX);
	pid = fork();
	if (pid == 0)
		child_main(l, dir, listener, parent);
	if (pid < 0)
		return error_errno(reterr, -errno, "fork");
	setrlimit(RLIMIT_NOFILE, &ours);
	*ret_pid = pid;
	*ret_fd = TAKE_FD(client);
	return 0;
}
