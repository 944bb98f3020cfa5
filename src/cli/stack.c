/* SPDX-License-Identifier: MIT */
#include "cli/stack.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/perf-ring.h"
#include "cli/symbol-table.h"

#define PERIOD_NS	 1003000 /* about 1 kHz, in step with no timer */
#define DRAIN_MS	 20
#define THREADS_MAX	 64 /* sampled: those that ran most */
#define THREADS_SEEN_MAX 4096
#define RING_PAGES	 8 /* a power of two */
#define SAMPLES_MAX	 4096
#define DEPTH_MAX	 64

/* One sample; innermost address first. */
struct chain {
	uint64_t hash; /* of the keys of its frames, once they are known */
	uint32_t nr, nr_kernel;
	uint64_t addrs[DEPTH_MAX];
};

struct sampling {
	int procfd;
	bool user_only;
	struct perf_ring rings[THREADS_MAX];
	size_t nr_rings;
	struct chain *chains;
	size_t nr_chains;
	struct symbol_table names;
};

static void rings_close(struct sampling *s)
{
	for (size_t i = 0; i < s->nr_rings; i++)
		perf_ring_close(&s->rings[i]);
	s->nr_rings = 0;
}

static void sampling_free(struct sampling *s)
{
	if (!s)
		return;
	rings_close(s);
	close_fd(&s->procfd);
	free(s->chains);
	symbol_table_done(&s->names);
	free(s);
}
DEFINE_CLEANUP(struct sampling *, sampling_free)

/* --- which threads */

struct thread {
	pid_t tid;
	uint64_t ran_ns;
};

static int most_run_first(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return x->ran_ns > y->ran_ns ? -1 : x->ran_ns < y->ran_ns;
}

/* CPU time of a thread so far; 0 when not known. */
static uint64_t thread_ran_ns(int taskfd, const char *tid)
{
	char path[64], text[128];
	unsigned long long ran_ns;

	snprintf(path, sizeof(path), "%.20s/schedstat", tid);
	if (read_file_at(taskfd, path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%llu", &ran_ns) != 1)
		return 0;
	return ran_ns;
}

/* The threads of the process that ran most, at most THREADS_MAX. */
static int threads_list(int procfd, struct thread ret[static THREADS_SEEN_MAX])
{
	_cleanup_close_ int fd = openat(procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint32_t tid;
	size_t n = 0;

	if (!dir)
		return fd < 0 ? -errno : -ENOMEM;
	fd = -1;
	while (n < THREADS_SEEN_MAX && (entry = readdir(dir)) != NULL)
		if (parse_u32(entry->d_name, &tid) == 0)
			ret[n++] = (struct thread){
			    .tid = (pid_t)tid, .ran_ns = thread_ran_ns(dirfd(dir), entry->d_name)};
	qsort(ret, n, sizeof(*ret), most_run_first);
	return n < THREADS_MAX ? (int)n : THREADS_MAX;
}

/* --- sampling */

static int event_open(pid_t tid, bool user_only)
{
	struct perf_event_attr attr = {
	    .size = sizeof(attr),
	    .type = PERF_TYPE_SOFTWARE,
	    .config = PERF_COUNT_SW_TASK_CLOCK,
	    .sample_period = PERIOD_NS,
	    .sample_type = PERF_SAMPLE_CALLCHAIN,
	    .disabled = 1,
	    .exclude_hv = 1,
	    .exclude_kernel = user_only,
	    .exclude_callchain_kernel = user_only,
	};

	return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static int ring_open(struct sampling *s, pid_t tid)
{
	_cleanup_close_ int fd = event_open(tid, s->user_only);
	int r;

	if (fd < 0 && (errno == EACCES || errno == EPERM) && !s->user_only) {
		fd = event_open(tid, true);
		s->user_only = fd >= 0;
	}
	if (fd < 0)
		return -errno;
	r = perf_ring_open(&s->rings[s->nr_rings], TAKE_FD(fd), RING_PAGES);
	s->nr_rings += r == 0;
	return r;
}

static void take_sample(void *arg, uint32_t type, const uint64_t *words, size_t nr_words)
{
	struct sampling *s = arg;
	struct chain *c = &s->chains[s->nr_chains];

	if (type != PERF_RECORD_SAMPLE || s->nr_chains == SAMPLES_MAX)
		return;
	c->nr = perf_callchain(words, nr_words, c->addrs, DEPTH_MAX, &c->nr_kernel);
	s->nr_chains++;
}

static void sample_for(struct sampling *s, uint64_t for_ns)
{
	uint64_t end_ns = clock_mono_ns() + for_ns;
	size_t i;

	for (i = 0; i < s->nr_rings; i++)
		ioctl(s->rings[i].fd, PERF_EVENT_IOC_ENABLE, 0);
	do {
		poll(NULL, 0, DRAIN_MS);
		for (i = 0; i < s->nr_rings; i++)
			perf_ring_drain(&s->rings[i], take_sample, s);
	} while (clock_mono_ns() < end_ns);
}

/* --- from addresses to names */

static struct address chain_address(const struct chain *c, size_t i)
{
	return (struct address){.addr = c->addrs[i], .kernel = i < c->nr_kernel};
}

static int name_addresses(struct sampling *s)
{
	for (size_t i = 0; i < s->nr_chains; i++) {
		for (size_t k = 0; k < s->chains[i].nr; k++) {
			struct address a = chain_address(&s->chains[i], k);

			symbol_table_add(&s->names, &a);
		}
	}
	return symbol_table_name(&s->names, s->procfd);
}

/*
 * The frames of a chain that mean something: not those outside of code (the end of a walk without
 * frame pointers), and a function that calls itself only once, however deep it was. Returns the
 * hash of their keys; fills out when not NULL.
 */
static uint64_t chain_frames(const struct sampling *s, const struct chain *c, struct stack *out)
{
	uint64_t hash = 0, last = 0;
	struct symbol symbol;

	for (size_t i = 0; i < c->nr; i++) {
		struct address a = chain_address(c, i);

		symbol_table_find(&s->names, &a, &symbol);
		if (!symbol.key || symbol.key == last)
			continue;
		last = symbol.key;
		hash = hash_u64(hash ^ last);
		if (out && out->nr < STACK_FRAMES_MAX)
			str_copy(out->frames[out->nr++], SYMBOL_MAX, symbol.text);
		else if (out)
			out->nr_omitted++;
	}
	if (out && !out->nr)
		str_copy(out->frames[out->nr++], SYMBOL_MAX, "(unknown)");
	return hash;
}

static int by_hash(const void *a, const void *b)
{
	const struct chain *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Into its place among the most frequent ones, if it is one of them. */
static void top_insert(struct stacks *ret, const struct sampling *s, const struct chain *c,
		       uint64_t samples)
{
	size_t at = ret->nr;

	while (at > 0 && ret->top[at - 1].samples < samples)
		at--;
	if (at == STACK_TOP)
		return;
	if (ret->nr < STACK_TOP)
		ret->nr++;
	memmove(&ret->top[at + 1], &ret->top[at], (ret->nr - 1 - at) * sizeof(ret->top[0]));
	ret->top[at] = (struct stack){.samples = samples};
	chain_frames(s, c, &ret->top[at]);
}

static void find_top(struct sampling *s, struct stacks *ret)
{
	size_t i, next;

	for (i = 0; i < s->nr_chains; i++)
		s->chains[i].hash = chain_frames(s, &s->chains[i], NULL);
	qsort(s->chains, s->nr_chains, sizeof(*s->chains), by_hash);
	*ret = (struct stacks){.samples = s->nr_chains, .user_only = s->user_only};
	for (i = 0; i < s->nr_chains; i = next) {
		for (next = i; next < s->nr_chains && s->chains[next].hash == s->chains[i].hash;)
			next++;
		top_insert(ret, s, &s->chains[i], next - i);
	}
}

/* --- and what can be in the way */

static int gone(pid_t pid, const char *comm, struct error *reterr)
{
	return error_set(reterr, -ESRCH, "%.60s (pid %d) is gone", comm[0] ? comm : "the process",
			 pid);
}

static int not_allowed(const struct sampling *s, pid_t pid, int err, struct error *reterr)
{
	struct stat st;

	if (geteuid() == 0)
		return error_errno(reterr, err, "this host does not let even root sample pid %d",
				   pid);
	if (s->procfd < 0 || fstat(s->procfd, &st) < 0 || st.st_uid != geteuid())
		return error_set(reterr, -EACCES,
				 "pid %d belongs to another user; sampling it takes sudo", pid);
	return error_set(reterr, -EACCES,
			 "sampling takes sudo on this host (kernel.perf_event_paranoid)");
}

static int no_samples(const struct sampling *s, pid_t pid, uint64_t for_ns, struct error *reterr)
{
	char took[24];

	format_duration(for_ns, took, sizeof(took));
	return error_set(reterr, -ENODATA, "pid %d did not run%s in the %s that it was looked at",
			 pid, s->user_only ? " outside of the kernel" : "", took);
}

bool thread_is_still(int procfd, const char *comm)
{
	char raw[64], now[256];

	if (read_file_at(procfd, "comm", raw, sizeof(raw)) < 0)
		return false;
	raw[strcspn(raw, "\n")] = 0;
	str_escape(now, sizeof(now), raw);
	return !strncmp(now, comm, strlen(comm)); /* what a kworker does is added to its name */
}

static int rings_open(struct sampling *s, pid_t pid, const char *comm, struct error *reterr)
{
	_cleanup_free_ struct thread *threads = calloc(THREADS_SEEN_MAX, sizeof(*threads));
	int n, r, first = -ESRCH;

	if (!threads)
		return error_errno(reterr, -ENOMEM, "sample");
	n = threads_list(s->procfd, threads);
	for (int i = 0; i < n; i++) {
		r = ring_open(s, threads[i].tid);
		if (r < 0 && first == -ESRCH)
			first = r;
	}
	if (s->nr_rings)
		return 0;
	if (first == -ESRCH)
		return gone(pid, comm, reterr);
	if (first == -EACCES || first == -EPERM)
		return not_allowed(s, pid, first, reterr);
	return error_errno(reterr, first, "sample pid %d", pid);
}

int stacks_sample(pid_t pid, const char *comm, uint64_t for_ns, struct stacks *ret,
		  struct error *reterr)
{
	_cleanup_(sampling_freep) struct sampling *s = calloc(1, sizeof(*s));
	char path[32];
	int r;

	if (s)
		*s = (struct sampling){.procfd = -1};
	if (!s || !(s->chains = calloc(SAMPLES_MAX, sizeof(*s->chains))))
		return error_errno(reterr, -ENOMEM, "sample");
	snprintf(path, sizeof(path), "/proc/%d", pid);
	s->procfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->procfd < 0 && kill(pid, 0) < 0 && errno == EPERM)
		return not_allowed(s, pid, -EACCES, reterr); /* /proc hides it (hidepid) */
	if (s->procfd < 0 || !thread_is_still(s->procfd, comm))
		return gone(pid, comm, reterr);
	r = rings_open(s, pid, comm, reterr);
	if (r < 0)
		return r;
	sample_for(s, for_ns);
	rings_close(s);
	if (!s->nr_chains)
		return thread_is_still(s->procfd, "") ? no_samples(s, pid, for_ns, reterr)
						      : gone(pid, comm, reterr);
	r = name_addresses(s);
	if (r < 0)
		return error_errno(reterr, r, "sample");
	find_top(s, ret);
	return 0;
}
