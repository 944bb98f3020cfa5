/* SPDX-License-Identifier: MIT */
/*
 * sched-lab: latency-critical threads beside best-effort hogs, in cgroups that are classed on the
 * bus, under whatever scheduler is in force. Prints one JSON object: wake-up latency of the lc
 * threads (timer to running), what both got of the CPU, and by the wait ledger who ran while lc
 * waited.
 *
 *	sched-lab [-l LOAD_PERCENT] [-t LC_THREADS] [-p PERIOD_US] [-b BE_HOGS] [-s SECONDS]
 *	sched-lab class GROUP lc|normal|be	makes the cgroup /GROUP and sets its class
 *
 * A load of 100 is an endless loop: no wake-ups. Needs cgroup v2, for a guest.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hist.h"
#include "base/io.h"
#include "base/parse.h"
#include "model/zone.h"
#include "probes/ledger.h"
#include "sched/bus-user.h"

#define ROOT	    "/sys/fs/cgroup"
#define THREADS_MAX 16
#define HOGS_MAX    64
#define WARM_UP_NS  1000000000ull

struct shared {
	uint64_t begin_ns, end_ns; /* what is counted; set before anybody starts */
	struct hist late[THREADS_MAX];
};

static struct {
	uint64_t load, threads, period_us, hogs, seconds;
} arg = {20, 2, 5000, 4, 5};
static struct shared *shared;

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void burn(uint64_t cpu_ns)
{
	uint64_t end = thread_cpu_ns() + cpu_ns;

	while (thread_cpu_ns() < end)
		for (volatile int i = 0; i < 200; i++)
			;
}

static void sleep_until(uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000),
			     .tv_nsec = (long)(ns % 1000000000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void *lc_thread(void *number)
{
	size_t n = (size_t)(uintptr_t)number;
	unsigned int seed = (unsigned int)n;
	uint64_t period = arg.period_us * 1000, next = clock_mono_ns();

	prctl(PR_SET_TIMERSLACK, 1ul);
	while (clock_mono_ns() < shared->end_ns) {
		uint64_t now;

		if (arg.load >= 100) {
			burn(1000000);
		} else {
			/* not in step with the tick */
			next += period / 2 + (uint64_t)rand_r(&seed) % period;
			sleep_until(next);
			now = clock_mono_ns();
			if (now >= shared->begin_ns)
				hist_add(&shared->late[n], now - next);
			burn(period * arg.load / 100);
			if (clock_mono_ns() > next + 10 * period)
				next = clock_mono_ns();
		}
	}
	return NULL;
}

static void join_group(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), ROOT "/%s/cgroup.procs", name);
	if (write_file_at(AT_FDCWD, path, "0") < 0)
		_exit(1);
}

static pid_t start_lc(void)
{
	pthread_t threads[THREADS_MAX];
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	join_group("lab-lc");
	for (size_t i = 0; i < arg.threads; i++)
		if (pthread_create(&threads[i], NULL, lc_thread, (void *)(uintptr_t)i))
			_exit(1);
	for (size_t i = 0; i < arg.threads; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static pid_t start_hog(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	join_group("lab-be");
	for (;;)
		burn(1000000000);
}

static uint64_t make_group(const char *name, enum bus_class_id class, struct bus *bus)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), ROOT "/%s", name);
	if ((mkdir(path, 0755) < 0 && errno != EEXIST) || stat(path, &st) < 0 ||
	    bus_set_class(bus, st.st_ino, class, 0) < 0) {
		perror(path);
		exit(1);
	}
	return st.st_ino;
}

static uint64_t group_cpu_ns(const char *name)
{
	char path[128], text[1024];
	uint64_t us = 0;

	snprintf(path, sizeof(path), ROOT "/%s/cpu.stat", name);
	if (read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0)
		sscanf(text, "usage_usec %" SCNu64, &us);
	return us * 1000;
}

struct waits {
	uint64_t total_ns, be_ns, waits;
};

static struct waits read_waits(struct ledger *ledger, uint64_t lc, uint64_t be)
{
	struct ledger_cell cells[64];
	struct ledger_totals t;
	struct waits w = {0};

	if (ledger_read(ledger, lc, &t, cells, ARRAY_SIZE(cells)) < 0)
		return w;
	w.total_ns = t.wait_ns;
	w.waits = t.waits;
	for (size_t i = 0; i < t.nr_parts && i < ARRAY_SIZE(cells); i++)
		if (cells[i].culprit_id == be)
			w.be_ns += cells[i].ns;
	return w;
}

static void print(const struct waits *a, const struct waits *b, uint64_t lc_ns, uint64_t be_ns,
		  uint64_t ns)
{
	struct hist *sum = malloc(sizeof(*sum));

	hist_init(sum);
	for (size_t i = 0; i < arg.threads; i++)
		hist_merge(sum, &shared->late[i]);
	printf("{\"load\": %" PRIu64 ", \"wakes\": %" PRIu64 ", \"p50_us\": %" PRIu64
	       ", \"p99_us\": %" PRIu64 ", \"max_us\": %" PRIu64 ", \"lc_cpu_ppm\": %" PRIu64
	       ", \"be_cpu_ppm\": %" PRIu64 ", \"wait_ppm\": %" PRIu64
	       ", \"be_while_lc_waited_ppm\": %" PRIu64 "}\n",
	       arg.load, sum->total, hist_quantile(sum, 500000) / 1000,
	       hist_quantile(sum, 990000) / 1000, sum->max / 1000, lc_ns * 1000 / (ns / 1000),
	       be_ns * 1000 / (ns / 1000), (b->total_ns - a->total_ns) * 1000 / (ns / 1000),
	       (b->be_ns - a->be_ns) * 1000 / (ns / 1000));
	fflush(stdout);
	free(sum);
}

static void run(struct ledger *ledger, uint64_t lc, uint64_t be)
{
	pid_t hogs[HOGS_MAX], server;
	struct waits before, after;
	uint64_t lc_ns, be_ns;

	shared->begin_ns = clock_mono_ns() + WARM_UP_NS;
	shared->end_ns = shared->begin_ns + arg.seconds * 1000000000;
	for (size_t i = 0; i < arg.hogs; i++)
		hogs[i] = start_hog();
	server = start_lc();
	sleep_until(shared->begin_ns);
	before = read_waits(ledger, lc, be);
	lc_ns = group_cpu_ns("lab-lc");
	be_ns = group_cpu_ns("lab-be");
	sleep_until(shared->end_ns);
	after = read_waits(ledger, lc, be);
	lc_ns = group_cpu_ns("lab-lc") - lc_ns;
	be_ns = group_cpu_ns("lab-be") - be_ns;
	for (size_t i = 0; i < arg.hogs; i++)
		kill(hogs[i], SIGKILL);
	waitpid(server, NULL, 0);
	for (size_t i = 0; i < arg.hogs; i++)
		waitpid(hogs[i], NULL, 0);
	print(&before, &after, lc_ns, be_ns, arg.seconds * 1000000000);
}

static void parse(int argc, char **argv)
{
	static const struct {
		char letter;
		uint64_t *value, max;
	} options[] = {{'l', &arg.load, 100},
		       {'t', &arg.threads, THREADS_MAX},
		       {'p', &arg.period_us, 1000000},
		       {'b', &arg.hogs, HOGS_MAX},
		       {'s', &arg.seconds, 600}};
	int letter;

	while ((letter = getopt(argc, argv, "l:t:p:b:s:")) != -1)
		for (size_t i = 0; i < ARRAY_SIZE(options); i++)
			if (options[i].letter == letter &&
			    (parse_u64(optarg, options[i].value) < 0 ||
			     *options[i].value > options[i].max))
				exit(2);
}

static int set_class(struct bus *bus, const char *group, const char *name)
{
	enum zone_class class;

	if (zone_class_parse(name, &class) < 0)
		return 2;
	make_group(group, (enum bus_class_id) class, bus);
	return 0;
}

int main(int argc, char **argv)
{
	struct ledger_options options = {.max_zones = 64};
	struct ledger *ledger;
	struct error error = {0};
	struct bus bus;
	uint64_t lc, be;

	if (bus_open(&bus, &error) < 0) {
		fprintf(stderr, "sched-lab: %s\n", error.msg);
		return 1;
	}
	if (argc == 4 && strcmp(argv[1], "class") == 0)
		return set_class(&bus, argv[2], argv[3]);
	parse(argc, argv);
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || ledger_open(&options, &ledger, &error) < 0) {
		fprintf(stderr, "sched-lab: %s\n", error.msg);
		return 1;
	}
	for (size_t i = 0; i < THREADS_MAX; i++)
		hist_init(&shared->late[i]);
	lc = make_group("lab-lc", BUS_LC, &bus);
	be = make_group("lab-be", BUS_BE, &bus);
	if (ledger_protect(ledger, lc, 0) < 0)
		return 1;
	run(ledger, lc, be);
	ledger_close(ledger);
	bus_close(&bus);
	return 0;
}
