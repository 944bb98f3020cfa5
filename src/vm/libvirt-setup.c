/* SPDX-License-Identifier: MIT */
#include "vm/libvirt-setup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <jansson.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "vm/libvirt-helper.h"
#include "vm/libvirt-xml.h"
#include "vm/netdev.h"

#define HELPER	     "cz-libvirt" /* next to cz-vm */
#define EMBED_DIR    "libvirt"
#define PATH_SIZE    600
#define MONITOR_PATH "/lib/qemu/domain-0-/monitor.sock"
#define LEFT_MS	     5000
#define SHORT_NAME   20 /* libvirt cuts it so */

/* Where libvirt listens; else it works within cz-libvirt itself, with a root of the zone's own. */
static const char *const daemons[] = {"/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"};

/* Everything the zone's own: no file changes its owner, and QEMU stays in the zone's cgroup, where
 * czd sees to it as it does to a QEMU of ours. */
static const char embed_conf[] = "user = \"+%u\"\n"
				 "group = \"+%u\"\n"
				 "dynamic_ownership = 0\n"
				 "remember_owner = 0\n"
				 "security_driver = \"none\"\n"
				 "stdio_handler = \"file\"\n"
				 "namespaces = []\n"
				 "cgroup_controllers = []\n"
				 "max_core = 0\n";

struct paths {
	char kernel[PATH_SIZE], initramfs[PATH_SIZE], sockets[PATH_SIZE], virtiofs[PATH_SIZE],
	    disk[PATH_SIZE], uri[PATH_SIZE + 32], interface[16];
};

/* The user's own libvirtd.conf or qemu.conf there is left as it is. */
static int make_embed_root(const struct launch *l, const char *root, struct error *reterr)
{
	_cleanup_close_ int fd = -1;
	char text[sizeof(embed_conf) + 32], etc[PATH_SIZE];
	int r = str_printf(etc, sizeof(etc), "%s/etc", root);

	if (r == 0 && ((mkdir(root, 0711) < 0 && errno != EEXIST) ||
		       (mkdir(etc, 0700) < 0 && errno != EEXIST)))
		r = -errno;
	if (r == 0) {
		fd = open(etc, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	}
	if (r == 0 && faccessat(fd, "qemu.conf", F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		snprintf(text, sizeof(text), embed_conf, (unsigned int)l->uid,
			 (unsigned int)l->gid);
		r = write_file_atomic(fd, "qemu.conf", text, strlen(text), 0600);
	}
	return r < 0 ? error_errno(reterr, r, "set up libvirt in %s", root) : 0;
}

static void remove_left(int run, const char *name, const char *suffix)
{
	char path[PATH_SIZE];

	if (str_printf(path, sizeof(path), "%s%s", name, suffix) == 0)
		unlinkat(run, path, 0);
}

/* The QEMU that an earlier cz-libvirt of this zone left when it was killed. libvirt would end it
 * and wait until it is reaped: for ever, where init does not reap. */
static void end_left(const struct launch *l, const char *root)
{
	_cleanup_close_ int run = -1, pidfd = -1;
	char path[PATH_SIZE], text[32] = "";
	struct stat st;
	pid_t pid;

	if (str_printf(path, sizeof(path), "%s/run/qemu", root) == 0)
		run = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (run < 0 || str_printf(path, sizeof(path), "%s.pid", l->name) < 0 ||
	    read_file_at(run, path, text, sizeof(text)) <= 0)
		return;
	pid = (pid_t)strtol(text, NULL, 10);
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0 || str_printf(path, sizeof(path), "/proc/%d", (int)pid) < 0 ||
	    stat(path, &st) < 0 || st.st_uid != l->uid)
		return; /* gone or another's: libvirt clears up what it noted */
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	if (poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, LEFT_MS) == 1) {
		remove_left(run, l->name, ".pid");
		remove_left(run, l->name, ".xml");
	}
}

/* NULL: none listens. */
static const char *daemon_uri(const struct launch *l)
{
	for (size_t i = 0; !l->libvirt_uri && i < ARRAY_SIZE(daemons); i++) {
		if (access(daemons[i], F_OK) == 0)
			return "qemu:///system";
	}
	return l->libvirt_uri;
}

static int choose_uri(const struct launch *l, struct paths *p, struct error *reterr)
{
	const char *daemon = daemon_uri(l);
	struct sockaddr_un *a = NULL;
	char root[PATH_SIZE];
	size_t name = strlen(l->name);
	int r;

	if (daemon)
		return str_printf(p->uri, sizeof(p->uri), "%s", daemon);
	r = str_printf(root, sizeof(root), "%s/" EMBED_DIR, l->dir);
	if (r < 0 ||
	    strlen(root) + strlen(MONITOR_PATH) + (name < SHORT_NAME ? name : SHORT_NAME) >=
		sizeof(a->sun_path))
		return error_set(reterr, -ENAMETOOLONG,
				 "%s is too long a path for libvirt's sockets: give the zone a "
				 "shorter name",
				 l->dir);
	/* A comma or blank would be read as part of the URI. */
	if (strpbrk(root, "?&#% +;"))
		return error_set(reterr, -EINVAL, "%s can't be part of libvirt's URI", root);
	r = make_embed_root(l, root, reterr);
	if (r == 0)
		end_left(l, root);
	return r < 0 ? r : str_printf(p->uri, sizeof(p->uri), "qemu:///embed?root=%s", root);
}

/* QEMU opens it by name, as the zone's user: a copy, gone again when the domain runs. */
static int put_file(const struct launch *l, int from, const char *path, struct error *reterr)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	off_t off = 0;

	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(reterr, -errno, "remove the old %s", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	if (fd < 0 || fstat(from, &st) < 0 || fchown(fd, l->uid, l->gid) < 0)
		return error_errno(reterr, -errno, "make %s", path);
	while (off < st.st_size) {
		ssize_t n = sendfile(fd, from, &off, (size_t)(st.st_size - off));

		if (n <= 0)
			return error_errno(reterr, n < 0 ? -errno : -EIO, "write %s", path);
	}
	return 0;
}

static int make_paths(const struct launch *l, struct paths *p)
{
	const struct {
		char *to;
		const char *dir, *name;
	} all[] = {{p->kernel, l->dir, "boot-kernel"},
		   {p->initramfs, l->dir, "boot-initramfs"},
		   {p->virtiofs, l->dir, LIBVIRT_VIRTIOFS},
		   {p->disk, l->dir, "disk.qcow2"},
		   {p->sockets, l->run, "private"}};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++)
		r = str_printf(all[i].to, PATH_SIZE, "%s/%s", all[i].dir, all[i].name);
	netdev_name(l->name, p->interface);
	return r;
}

static int make_xml(const struct launch *l, const struct qemu_plan *plan, const struct paths *p,
		    struct strbuf *xml, struct error *reterr)
{
	bool has_disk = l->spec.os.rootfs_kind == ROOTFS_IMAGE;
	struct libvirt_domain d = {.spec = &l->spec,
				   .nonce = l->nonce,
				   .kvm = plan->kvm,
				   .uid = l->uid,
				   .gid = l->gid,
				   .emulator = l->qemu,
				   .data = l->qemu_data,
				   .kernel = p->kernel,
				   .initramfs = p->initramfs,
				   .sockets = p->sockets,
				   .virtiofs = vm_wants_virtiofs(&l->spec) ? p->virtiofs : NULL,
				   .disk = has_disk ? p->disk : NULL,
				   .base = l->spec.os.rootfs,
				   .base_format = plan->base_format,
				   .interface = p->interface};
	struct stat st;

	/* libvirt's QEMU opens /dev/kvm itself. */
	if (plan->kvm && stat("/dev/kvm", &st) == 0)
		d.gid = st.st_gid;
	return libvirt_xml(&d, xml, reterr);
}

static json_t *make_order(const struct launch *l, const struct paths *p, const char *xml)
{
	json_t *sockets = json_array();

	for (enum channel_port i = 0; i < CHANNEL_NR; i++)
		json_array_append_new(sockets,
				      json_sprintf("%s/%s", p->sockets, channel_port_name(i)));
	json_array_append_new(sockets, json_sprintf("%s/console", p->sockets));
	return json_pack("{s:s,s:s,s:s,s:o,s:[s,s]}", "uri", p->uri, "name", l->name, "xml", xml,
			 "sockets", sockets, "unlink", p->kernel, p->initramfs);
}

static void child_main(int link, const char *program)
{
	char *argv[] = {(char *)HELPER, NULL};
	char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
			       "LIBVIRT_LOG_OUTPUTS=4:file:/dev/null", NULL};

	signal(SIGPIPE, SIG_DFL);
	if (dup2(link, STDIN_FILENO) >= 0)
		execve(program, argv, environment);
	dprintf(STDERR_FILENO,
		"<3>" HELPER " can't be started, this build may have no libvirt: %s\n",
		strerror(errno));
	_exit(127);
}

/* It outlives us by what it takes to end the domain. */
static int start_helper(int *ret_fd, struct error *reterr)
{
	char program[PATH_SIZE];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - sizeof(HELPER) - 1);
	char *slash = n > 0 ? memrchr(program, '/', (size_t)n) : NULL;
	int pair[2];
	pid_t pid;

	if (!slash)
		return error_set(reterr, -ENOENT, "where cz-vm is can't be found out");
	strcpy(slash + 1, HELPER);
	if (access(program, X_OK) < 0) {
		error_set(reterr, -ENOENT, "%s is not there, which backend libvirt needs", program);
		error_hint(reterr, "build with libvirt-dev installed, or use backend qemu");
		return -ENOENT;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(reterr, -errno, "socketpair");
	pid = fork();
	if (pid == 0)
		child_main(pair[1], program);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return error_errno(reterr, -errno, "fork");
	}
	*ret_fd = pair[0];
	return 0;
}

static int send_order(int fd, json_t *order)
{
	_cleanup_free_ char *text = json_dumps(order, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, off = 0;

	json_decref(order);
	if (!len)
		return -EINVAL;
	if (len >= LIBVIRT_LINE_MAX)
		return -E2BIG;
	text[len++] = '\n'; /* instead of the NUL */
	while (off < len) {
		ssize_t n = send(fd, text + off, len - off, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		off += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int libvirt_order(const struct launch *l, struct qemu_plan *plan, struct error *reterr)
{
	struct strbuf xml = {0};
	struct paths p;
	int r = make_paths(l, &p);

	if (r < 0)
		return error_set(reterr, r, "%s is too long a path", l->dir);
	r = choose_uri(l, &p, reterr);
	if (r == 0)
		r = make_xml(l, plan, &p, &xml, reterr);
	if (r == 0)
		r = put_file(l, plan->kernel, p.kernel, reterr);
	if (r == 0)
		r = put_file(l, plan->initramfs, p.initramfs, reterr);
	if (r == 0)
		r = start_helper(&plan->helper, reterr);
	if (r == 0) {
		r = send_order(plan->helper, make_order(l, &p, xml.data));
		if (r < 0)
			error_errno(reterr, r, "tell cz-libvirt what to run");
	}
	strbuf_done(&xml);
	return r;
}

int libvirt_adopt(const struct launch *l, struct qemu_plan *plan, struct error *reterr)
{
	const char *uri = daemon_uri(l);
	json_t *order;
	int r;

	if (!uri) {
		error_set(reterr, -ENOENT,
			  "neither virtqemud nor libvirtd listens in /run/libvirt");
		error_hint(reterr, "a domain that somebody else started is had by way of it only");
		return -ENOENT;
	}
	r = start_helper(&plan->helper, reterr);
	if (r < 0)
		return r;
	order = json_pack("{s:s,s:s,s:o}", "uri", uri, "name", l->spec.os.adopt, "journal",
			  json_sprintf("%s/" LIBVIRT_JOURNAL, l->run));
	r = send_order(plan->helper, order);
	return r < 0 ? error_errno(reterr, r, "tell cz-libvirt what to adopt") : 0;
}
