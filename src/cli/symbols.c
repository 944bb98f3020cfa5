/* SPDX-License-Identifier: MIT */
#include "cli/symbols.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "cli/symbols-parse.h"

#define NOBODY	     65534
#define MODULES_MAX  128   /* files opened for one process */
#define MAPPINGS_MAX 65536 /* lines of maps that are read */
#define PAGE_SHIFT   12
#define CHILD_MEMORY (1ull << 30)
#define CHILD_CPU_S  2

/* One executable file of the process and the addresses that lie in it. */
struct module {
	uint64_t start, end, offset;
	int fd; /* -1: could not be opened, or no file */
	char name[64];
};

struct job {
	int procfd;
	const struct address *addresses;
	struct symbol *symbols;
	size_t nr;
	FILE *kallsyms;
	struct module modules[MODULES_MAX];
	size_t nr_modules;
};

static void symbol_name(struct symbol *s, const char *name, const char *where)
{
	snprintf(s->text, sizeof(s->text), "%s (%s)", name, where);
	s->key = hash_string(s->text) | 1;
}

void symbol_unknown(const struct address *a, struct symbol *ret)
{
	if (a->kernel)
		snprintf(ret->text, sizeof(ret->text), "(kernel)");
	else
		snprintf(ret->text, sizeof(ret->text), "0x%" PRIx64, a->addr);
	ret->key = (a->kernel ? hash_string(ret->text) : hash_u64(a->addr >> PAGE_SHIFT)) | 1;
}

/* --- in the child: what needs the caller's rights */

/* A regular file, or -1; nothing else is ever opened for reading. */
static int open_regular(int pathfd, uint64_t inode)
{
	char self[40];
	struct stat st;

	if (fstat(pathfd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != inode)
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", pathfd);
	return open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* The mapped file itself where the kernel lets us (root), else by its name in the process' root. */
static int open_mapped(const struct job *j, const struct mapping *m)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	_cleanup_close_ int rootfd = -1, pathfd = -1;
	char name[64];

	if (m->path[0] != '/')
		return -1;
	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, m->start, m->end);
	pathfd = openat(j->procfd, name, O_PATH | O_CLOEXEC);
	if (pathfd < 0) {
		rootfd = openat(j->procfd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
		pathfd = (int)syscall(SYS_openat2, rootfd, m->path, &how, sizeof(how));
	}
	return pathfd < 0 ? -1 : open_regular(pathfd, m->inode);
}

static void module_name(const struct mapping *m, char *buf, size_t size)
{
	static const char deleted[] = " (deleted)";
	const char *name = strrchr(m->path, '/');
	size_t n;

	name = name ? name + 1 : m->path;
	n = strlen(name);
	if (n > sizeof(deleted) - 1 && !strcmp(name + n - (sizeof(deleted) - 1), deleted))
		n -= sizeof(deleted) - 1;
	if (n)
		snprintf(buf, size, "%.*s", (int)n, name);
	else
		snprintf(buf, size, "generated code");
}

static bool is_needed(const struct job *j, const struct mapping *m)
{
	for (size_t i = 0; m->exec && i < j->nr; i++)
		if (!j->addresses[i].kernel && j->addresses[i].addr >= m->start &&
		    j->addresses[i].addr < m->end)
			return true;
	return false;
}

static void modules_open(struct job *j)
{
	_cleanup_close_ int fd = openat(j->procfd, "maps", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *maps = fd < 0 ? NULL : fdopen(fd, "re");
	_cleanup_free_ char *line = NULL;
	struct mapping m;
	size_t cap = 0;
	ssize_t n;

	if (!maps)
		return;
	fd = -1;
	for (size_t i = 0; i < MAPPINGS_MAX && (n = getline(&line, &cap, maps)) > 0; i++) {
		if (line[n - 1] == '\n')
			line[n - 1] = 0;
		if (mapping_parse(line, &m) < 0 || !is_needed(j, &m) ||
		    j->nr_modules == MODULES_MAX)
			continue;
		struct module *mod = &j->modules[j->nr_modules++];

		*mod = (struct module){.start = m.start, .end = m.end, .offset = m.offset};
		mod->fd = open_mapped(j, &m);
		module_name(&m, mod->name, sizeof(mod->name));
	}
}

/* --- in the child: without them */

static void limit(int resource, uint64_t value)
{
	struct rlimit l = {.rlim_cur = value, .rlim_max = value};

	setrlimit(resource, &l); /* lower than before, or the kernel keeps what was lower */
}

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

static int drop_privileges(void)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_CPU, CHILD_CPU_S);
#ifndef ADDRESS_SANITIZER /* its shadow is larger than any limit */
	limit(RLIMIT_AS, CHILD_MEMORY);
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if ((getuid() == 0 || geteuid() == 0) &&
	    (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	     setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return -errno;
	limit(RLIMIT_NPROC, 0); /* not before: setresuid() looks at it */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return getuid() == 0 || geteuid() == 0 ? -EPERM : 0;
}

/* The first of the kernel's addresses (from `first` on) that is not below addr. */
static size_t kernel_from(const struct job *j, size_t first, uint64_t addr)
{
	size_t low = first, high = j->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (j->addresses[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Kernel symbols have no sizes: the nearest one before the address. */
static void resolve_kernel(struct job *j)
{
	_cleanup_free_ uint64_t *best = calloc(j->nr + 1, sizeof(*best));
	_cleanup_free_ char *line = NULL;
	struct kernel_symbol s;
	size_t cap = 0, first = 0, i;

	while (first < j->nr && !j->addresses[first].kernel)
		first++;
	if (j->kallsyms) /* ten megabytes, in steps of 1 KiB otherwise */
		setvbuf(j->kallsyms, NULL, _IOFBF, 1 << 16);
	while (best && j->kallsyms && getline(&line, &cap, j->kallsyms) > 0) {
		if (kernel_symbol_parse(line, &s) < 0)
			continue;
		i = kernel_from(j, first, s.addr);
		if (i == j->nr || s.addr <= best[i]) /* 0 is what they read as when hidden */
			continue;
		best[i] = s.addr;
		symbol_name(&j->symbols[i], s.name, s.module[0] ? s.module : "kernel");
	}
	for (i = first + 1; best && i < j->nr; i++)
		if (best[i] < best[i - 1]) {
			best[i] = best[i - 1];
			j->symbols[i] = j->symbols[i - 1];
		}
}

static void resolve_module(struct job *j, const struct module *m)
{
	_cleanup_free_ struct lookup *lookups = calloc(j->nr, sizeof(*lookups));
	_cleanup_free_ size_t *at = calloc(j->nr, sizeof(*at));
	size_t nr = 0;
	Elf *elf;

	if (!lookups || !at)
		return;
	for (size_t i = 0; i < j->nr; i++) {
		uint64_t addr = j->addresses[i].addr;

		if (j->addresses[i].kernel || addr < m->start || addr >= m->end)
			continue;
		at[nr] = i;
		lookups[nr++].addr = addr - m->start + m->offset;
	}
	elf = m->fd < 0 ? NULL : elf_begin(m->fd, ELF_C_READ, NULL);
	if (elf) {
		elf_lookup(elf, lookups, nr);
		elf_end(elf);
	}
	for (size_t i = 0; i < nr; i++) {
		struct symbol *s = &j->symbols[at[i]];

		if (lookups[i].name[0]) {
			symbol_name(s, lookups[i].name, m->name);
			continue;
		}
		snprintf(s->text, sizeof(s->text), "%s+0x%" PRIx64, m->name, lookups[i].addr);
		s->key = (hash_string(m->name) ^ hash_u64(lookups[i].addr >> PAGE_SHIFT)) | 1;
	}
}

static int write_all(int fd, const void *data, size_t size)
{
	const char *p = data;
	ssize_t n;

	for (; size; p += n, size -= (size_t)n) {
		n = write(fd, p, size);
		if (n < 0)
			return -errno;
	}
	return 0;
}

/* Keep only the pipe (as fd 3) and /proc/PID (as fd 4): no terminal, no connection to czd. */
static int child_fds(int *pipefd, int *procfd)
{
	int null = open("/dev/null", O_RDWR), out = fcntl(*pipefd, F_DUPFD, 5),
	    proc = fcntl(*procfd, F_DUPFD, 5);

	if (null < 0 || out < 0 || proc < 0)
		return -errno;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	if (dup2(out, 3) < 0 || dup2(proc, 4) < 0 || close_range(5, ~0u, 0) < 0)
		return -errno;
	*pipefd = 3;
	*procfd = 4;
	return 0;
}

static int child(struct job *j, int pipefd)
{
	bool kernel = false;

	if (child_fds(&pipefd, &j->procfd) < 0)
		return 1;
	j->symbols = calloc(j->nr, sizeof(*j->symbols)); /* key 0: in no executable mapping */
	if (!j->symbols)
		return 1;
	for (size_t i = 0; i < j->nr; i++) {
		kernel |= j->addresses[i].kernel;
		if (j->addresses[i].kernel)
			symbol_unknown(&j->addresses[i], &j->symbols[i]);
	}
	j->kallsyms = kernel ? fopen("/proc/kallsyms", "re") : NULL;
	modules_open(j);
	if (drop_privileges() < 0 || elf_version(EV_CURRENT) == EV_NONE)
		return 1;
	resolve_kernel(j);
	for (size_t i = 0; i < j->nr_modules; i++)
		resolve_module(j, &j->modules[i]);
	return write_all(pipefd, j->symbols, j->nr * sizeof(*j->symbols)) < 0;
}

/* --- in czctl itself */

/* The whole answer, or not: -ETIMEDOUT, -EPROTO. */
static int read_answer(int fd, void *buf, size_t size)
{
	uint64_t deadline_ns = clock_mono_ns() + SYMBOL_TIME_NS, now_ns;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char *at = buf, *end = at + size;
	ssize_t n;

	while (at < end) {
		now_ns = clock_mono_ns();
		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)((deadline_ns - now_ns) / 1000000) + 1) <= 0)
			continue;
		n = read(fd, at, (size_t)(end - at));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EPROTO;
		at += n > 0 ? n : 0;
	}
	return 0;
}

static int ask_child(struct job *j, struct symbol *ret)
{
	_cleanup_close_ int in = -1, out = -1;
	int fds[2], r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	in = fds[0];
	out = fds[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(child(j, out));
	close_fd(&out);
	r = read_answer(in, ret, j->nr * sizeof(*ret));
	kill(pid, SIGKILL);
	/* One that hangs in the kernel is not waited for; it ends when it can. */
	waitpid(pid, NULL, r == -ETIMEDOUT ? WNOHANG : 0);
	return r;
}

int symbols_resolve(int procfd, const struct address *addresses, size_t nr, struct symbol *ret)
{
	_cleanup_free_ struct job *j = calloc(1, sizeof(*j));
	int r;

	if (nr > SYMBOL_NR_MAX)
		return -E2BIG;
	if (!nr)
		return 0;
	if (j)
		*j = (struct job){.procfd = procfd, .addresses = addresses, .nr = nr};
	r = j ? ask_child(j, ret) : -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		if (r < 0)
			symbol_unknown(&addresses[i], &ret[i]);
		ret[i].text[SYMBOL_MAX - 1] = 0;
	}
	return r;
}
