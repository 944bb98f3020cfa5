/* SPDX-License-Identifier: MIT */
/*
 * Probe counters on the kernel's own counters (clocks, page faults), which go the same way as the
 * hardware's: opened on each CPU, read by BPF where zones change, added up, divided. Against what
 * the work itself knows.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "probes-env.h"

#define PAGES	  2000
#define BURN_NS	  400000000ull
#define REASON_NS 20000000ull

static uint64_t own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void do_burn(void)
{
	size_t size = PAGES * (size_t)sysconf(_SC_PAGESIZE);
	struct rusage before, after;
	volatile char *p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		_exit(1);
	madvise((void *)p, size, MADV_NOHUGEPAGE);
	getrusage(RUSAGE_SELF, &before);
	for (size_t i = 0; i < size; i += (size_t)sysconf(_SC_PAGESIZE))
		p[i] = 1;
	getrusage(RUSAGE_SELF, &after);
	while (own_cpu_ns() < BURN_NS)
		;
	atomic_store(&work->a, own_cpu_ns());
	atomic_store(&work->b, (unsigned long long)(after.ru_minflt - before.ru_minflt));
}

static void do_burn_on(void)
{
	for (;;)
		atomic_store(&work->a, own_cpu_ns());
}

static bool is_near(uint64_t a, uint64_t b, uint64_t by)
{
	return a > b ? a - b <= by : b - a <= by;
}

static void test_counts(void)
{
	uint64_t ns, faults, ns_before, faults_before;
	pid_t pid;

	reset();
	pid = start(IN, do_burn);
	tick();
	ns_before = value(IN, ZM_REF_CYCLES);
	faults_before = value(IN, ZM_LLC_REFERENCES);
	atomic_store(&work->go, 1);
	wait_done(1);
	ns = value(IN, ZM_REF_CYCLES) - ns_before;
	faults = value(IN, ZM_LLC_REFERENCES) - faults_before;
	printf("counters: %llu us counted of %llu us, %llu faults of %llu\n",
	       (unsigned long long)ns / 1000, atomic_load(&work->a) / 1000,
	       (unsigned long long)faults, atomic_load(&work->b));
	stop(pid);
	CHECK(is_near(ns, atomic_load(&work->a), REASON_NS));
	CHECK(faults >= atomic_load(&work->b) && faults < atomic_load(&work->b) + 200);
	CHECK(is_near(value(IN, ZM_CPI_PPM), 1000000, 50000));
	CHECK(is_near(value(IN, ZM_IPC_PPM), 1000000, 50000));
	CHECK(value(IN, ZM_COUNTED_PPM) == 1000000);
	CHECK(value("/" TOP, ZM_REF_CYCLES) >= value(IN, ZM_REF_CYCLES));
	CHECK(value(OUT, ZM_REF_CYCLES) == 0);
	CHECK(!(probes_row(probes, id_of(OUT))->valid & METRIC_BIT(ZM_CPI_PPM)));
	/* another class: what was counted before is not taken for this tick's */
	probes_zone_interest(probes, id_of(IN), PROBE_NORMAL);
	probes_zone_interest(probes, id_of(IN), PROBE_PROTECTED);
	tick();
	CHECK(!(probes_row(probes, id_of(IN))->valid & METRIC_BIT(ZM_CPI_PPM)));
}

/* The task's own time around a tick, which may itself be kept waiting, and what was counted then.
 */
struct instant {
	uint64_t before_ns, counted_ns, after_ns;
};

static struct instant look(void)
{
	struct instant i = {.before_ns = atomic_load(&work->a)};

	tick();
	i.counted_ns = value(OUT, ZM_REF_CYCLES);
	i.after_ns = atomic_load(&work->a);
	return i;
}

/* A task that never gives up its CPU is seen in each tick all the same. */
static void test_on_and_on(void)
{
	struct instant first, last;
	uint64_t grown;
	pid_t pid;

	reset();
	pid = start(OUT, do_burn_on);
	atomic_store(&work->go, 1);
	while (!atomic_load(&work->a))
		usleep(1000);
	first = look();
	usleep(300000);
	last = look();
	grown = last.counted_ns - first.counted_ns;
	printf("counters: %llu us counted of %llu to %llu us of one that runs on\n",
	       (unsigned long long)grown / 1000,
	       (unsigned long long)(last.before_ns - first.after_ns) / 1000,
	       (unsigned long long)(last.after_ns - first.before_ns) / 1000);
	stop(pid);
	CHECK(last.before_ns - first.after_ns > 50000000);
	CHECK(grown + REASON_NS >= last.before_ns - first.after_ns);
	CHECK(grown <= last.after_ns - first.before_ns + REASON_NS);
}

/* On the hardware it is on, or says why not. */
static void test_hardware(const struct kernel *k)
{
	struct probes_options o = {.fd_budget = 64};
	struct probe_status status[64];
	struct probes *real;
	size_t nr;
	int r;

	CHECK(probes_new(k, &fs, &o, &real) == 0);
	r = probes_switch(real, "counters", true, NULL);
	nr = probes_status(real, status, 64);
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(status[i].name, "counters"))
			continue;
		printf("counters of the hardware: %s\n", r ? status[i].why : "on");
		CHECK(status[i].on == !r && (r != 0) == (status[i].why[0] != 0));
	}
	probes_free(real);
}

int main(void)
{
	struct kernel k;
	int r = probes_env_open();

	if (r)
		return r;
	r = probes_switch(probes, "counters", true, NULL);
	if (r == -EOPNOTSUPP) {
		puts("skip: perf events or BPF are not allowed here");
		probes_env_close();
		return 77;
	}
	CHECK(r == 0);
	tick();
	test_counts();
	test_on_and_on();
	CHECK(probes_switch(probes, "counters", false, "for a test") == 0);
	CHECK(!(probes_row(probes, id_of(IN))->valid & METRIC_BIT(ZM_REF_CYCLES)));
	CHECK(kernel_open("/", &k, NULL) == 0);
	test_hardware(&k);
	kernel_close(&k);
	probes_env_close();
	return 0;
}
