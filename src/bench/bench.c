/* SPDX-License-Identifier: MIT */
#include "bench/bench.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

const char *const bench_outputs[] = {"text", "json", NULL};
volatile sig_atomic_t bench_stopped;

static void on_signal(int sig)
{
	bench_stopped = sig;
}

void bench_init(void)
{
	/* No SA_RESTART: a sleeping or polling call shall return at once. */
	struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

int bench_pin(const struct cpuset *cpus, struct error *reterr)
{
	char list[64];

	if (cpuset_count(cpus) == 0)
		return 0;
	/* The kernel's mask is an array of longs: the same layout on the 64-bit machines we run on.
	 */
	_Static_assert(sizeof(long) == sizeof(cpus->bits[0]), "cpu mask layout");
	if (sched_setaffinity(0, sizeof(cpus->bits), (const cpu_set_t *)cpus->bits) == 0)
		return 0;
	if (cpuset_format(cpus, list, sizeof(list)) < 0)
		list[0] = 0;
	return error_errno(reterr, -errno, "pin to CPU %s", list);
}

void bench_sleep_until(uint64_t mono_ns)
{
	struct timespec ts = {
	    .tv_sec = (time_t)(mono_ns / 1000000000),
	    .tv_nsec = (long)(mono_ns % 1000000000),
	};

	while (!bench_stopped &&
	       clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

int bench_print_json(json_t *object, size_t flags, struct error *reterr)
{
	int r = -ENOMEM;

	if (object)
		r = json_dumpf(object, stdout, flags | JSON_REAL_PRECISION(9)) < 0 ? -EIO : 0;
	json_decref(object);
	if (r == 0 && (putchar('\n') == EOF || fflush(stdout) == EOF))
		r = -EIO;
	return r < 0 ? error_errno(reterr, r, "write the result") : 0;
}

json_t *bench_real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

int bench_fail(const char *tool, const struct error *err, enum bench_exit status)
{
	fprintf(stderr, "%s: %s\n", tool, err->msg);
	if (err->hint[0])
		fprintf(stderr, "%s\n", err->hint);
	return status;
}
