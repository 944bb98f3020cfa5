/* SPDX-License-Identifier: MIT */
#include "vm/kvm.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "vm/privs.h"

/* Without a root file system a kernel that works gets as far as this, and ends. */
#define BOOTED "Unable to mount root fs"
#define KEEP   sizeof(BOOTED)

static void probe_main(const struct kvm_question *q, int kvm, int console, pid_t parent)
{
	char kernel[48], data[48], serial[64], set[48];
	char *argv[] = {"qemu-system-x86_64",
			"-nodefaults",
			"-no-user-config",
			"-no-reboot",
			"-display",
			"none",
			"-machine",
			"q35,usb=off,vmport=off",
			"-add-fd",
			set,
			"-accel",
			"kvm,device=/dev/fdset/1",
			"-cpu",
			"host",
			"-m",
			"256M",
			"-kernel",
			kernel,
			"-append",
			"console=ttyS0 panic=-1",
			"-chardev",
			serial,
			"-serial",
			"chardev:console",
			"-sandbox",
			"on,spawn=deny,elevateprivileges=deny",
			q->data >= 0 ? "-L" : NULL,
			data,
			NULL};
	char *environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
	struct error e = {0};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    privs_drop(q->launch->uid, q->launch->gid, &e) < 0)
		_exit(126);
	/* after the change of ids, which clears it */
	privs_die_with(parent);
	snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", q->kernel);
	snprintf(data, sizeof(data), "/proc/self/fd/%d", q->data);
	snprintf(set, sizeof(set), "fd=%d,set=1", kvm);
	snprintf(serial, sizeof(serial), "socket,id=console,fd=%d", console);
	fcntl(kvm, F_SETFD, 0);
	fcntl(console, F_SETFD, 0);
	fcntl(q->kernel, F_SETFD, 0);
	if (q->data >= 0)
		fcntl(q->data, F_SETFD, 0);
	fexecve(q->program, argv, environment);
	_exit(127);
}

/* Reads the console until it says so, ends, or time is over. Only the last bytes are kept. */
static bool saw_boot(int console, uint64_t deadline_ns)
{
	char buf[4096 + KEEP];
	size_t kept = 0;

	for (;;) {
		uint64_t now_ns = clock_mono_ns();
		struct pollfd p = {.fd = console, .events = POLLIN};
		ssize_t n;

		if (now_ns >= deadline_ns ||
		    poll(&p, 1, (int)((deadline_ns - now_ns) / 1000000) + 1) <= 0)
			return false;
		n = read(console, buf + kept, sizeof(buf) - kept);
		if (n <= 0)
			return false;
		kept += (size_t)n;
		if (memmem(buf, kept, BOOTED, strlen(BOOTED)))
			return true;
		if (kept > KEEP) {
			memmove(buf, buf + kept - KEEP, KEEP);
			kept = KEEP;
		}
	}
}

static bool probe(const struct kvm_question *q, int kvm)
{
	int pair[2], status;
	pid_t pid, parent = getpid();
	bool booted;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	pid = fork();
	if (pid == 0)
		probe_main(q, kvm, pair[1], parent);
	close(pair[1]);
	booted = pid > 0 && saw_boot(pair[0], clock_mono_ns() + KVM_PROBE_MS * 1000000ull);
	close(pair[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return booted;
}

static int memory_path(const struct launch *l, char *buf, size_t size)
{
	struct utsname u;

	if (uname(&u) < 0 || strchr(u.release, '/'))
		return -EINVAL;
	return str_printf(buf, size, "%s/../../kvm-%s", l->dir, u.release);
}

bool kvm_works(const struct kvm_question *q, int *ret_fd, char *why, size_t size)
{
	_cleanup_close_ int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	char path[1024], text[16] = "";
	bool known, works;

	*ret_fd = -1;
	if (kvm < 0) {
		snprintf(why, size, "/dev/kvm can't be opened: %s", strerror(errno));
		return false;
	}
	known = memory_path(q->launch, path, sizeof(path)) == 0 &&
		read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0;
	works = known ? strcmp(text, "yes\n") == 0 : probe(q, kvm);
	if (!known && path[0] &&
	    write_file_atomic(AT_FDCWD, path, works ? "yes\n" : "no\n", works ? 4 : 3, 0644) < 0)
		known = false; /* it will be asked again */
	snprintf(why, size,
		 works ? "a guest was seen to boot with KVM on this kernel"
		       : "/dev/kvm is there, but no guest boots with it on this kernel");
	if (works)
		*ret_fd = TAKE_FD(kvm);
	return works;
}
