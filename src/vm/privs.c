/* SPDX-License-Identifier: MIT */
#include "vm/privs.h"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <seccomp.h>
#include "base/cleanup.h"

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &head, none) < 0)
		return -errno;
	return 0;
}

/* While there are rights to do so. One past the kernel's last is EINVAL. */
static int empty_bounding_set(void)
{
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return -errno;
	}
	return 0;
}

int privs_drop(uid_t uid, gid_t gid, struct error *reterr)
{
	const struct rlimit none = {0, 0};
	int r = empty_bounding_set();

	if (r == 0 && (setrlimit(RLIMIT_CORE, &none) < 0 || setgroups(0, NULL) < 0 ||
		       setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
		r = -errno;
	if (r == 0)
		r = drop_capabilities();
	if (r == 0 &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
		r = -errno;
	/* The proof that it worked. */
	if (r == 0 && (setuid(0) == 0 || getuid() != uid || geteuid() != uid || getgid() != gid))
		r = -EPERM;
	return r < 0 ? error_errno(reterr, r, "give up root") : 0;
}

int privs_become(uid_t uid, gid_t gid, uint32_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{caps, caps, caps}};

	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresuid(uid, uid, uid) < 0 ||
	    syscall(SYS_capset, &head, data) < 0)
		return -errno;
	for (unsigned int cap = 0; cap < 32; cap++) {
		if (caps & 1u << cap && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

void privs_die_with(pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(126);
}

int privs_sandbox(struct error *reterr)
{
	static const int calls[] = {
	    SCMP_SYS(read),
	    SCMP_SYS(write),
	    SCMP_SYS(close),
	    SCMP_SYS(fstat),
	    SCMP_SYS(newfstatat),
	    SCMP_SYS(openat),
	    SCMP_SYS(renameat),
	    SCMP_SYS(unlinkat),
	    SCMP_SYS(faccessat),
	    SCMP_SYS(faccessat2),
	    SCMP_SYS(access),
	    SCMP_SYS(lseek),
	    SCMP_SYS(fcntl),
	    SCMP_SYS(recvfrom),
	    SCMP_SYS(sendto),
	    SCMP_SYS(recvmsg),
	    SCMP_SYS(accept4),
	    SCMP_SYS(getsockopt),
	    SCMP_SYS(shutdown),
	    SCMP_SYS(epoll_wait),
	    SCMP_SYS(epoll_pwait),
	    SCMP_SYS(epoll_pwait2),
	    SCMP_SYS(epoll_ctl),
	    SCMP_SYS(epoll_create1),
	    SCMP_SYS(timerfd_create),
	    SCMP_SYS(timerfd_settime),
	    SCMP_SYS(signalfd4),
	    SCMP_SYS(rt_sigprocmask),
	    SCMP_SYS(rt_sigaction),
	    SCMP_SYS(rt_sigreturn),
	    SCMP_SYS(clock_gettime),
	    SCMP_SYS(gettid),
	    SCMP_SYS(getpid),
	    SCMP_SYS(waitid),
	    SCMP_SYS(wait4),
	    SCMP_SYS(kill),
	    SCMP_SYS(pidfd_send_signal),
	    SCMP_SYS(pidfd_open),
	    SCMP_SYS(mmap),
	    SCMP_SYS(munmap),
	    SCMP_SYS(mremap),
	    SCMP_SYS(mprotect),
	    SCMP_SYS(madvise),
	    SCMP_SYS(brk),
	    SCMP_SYS(futex),
	    SCMP_SYS(getrandom),
	    SCMP_SYS(restart_syscall),
	    SCMP_SYS(exit),
	    SCMP_SYS(exit_group),
	    SCMP_SYS(ioctl), /* isatty() of the log */
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? error_errno(reterr, r, "limit cz-vm's system calls") : 0;
}
