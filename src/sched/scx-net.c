/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "sched/counters.h"
#include "sched/epoll-probe.h"
#include "sched/exclusive-host.h"
#include "sched/loader.h"
#include "sched/net-load.h"
#include "scx-net.skel.h"

#define SAMPLE_NS 200000000
#define LEAVE_PPM 800000

struct net {
	struct epoll_probe *probe;
	struct net_load load;
	struct net_rule rule;
	int timer_fd;
};

static const char *const counters[] = {EXCLUSIVE_COUNTERS(COUNTER_NAME) NULL};

static const struct option_desc options[] = {
    POLICY_OPTION(scx_net_bpf, "events", NUMBER, load_events, "N",
		  "restrain be from so many events a second; default: 2000", .min = 1,
		  .max = 1000000000, .letter = 'e'),
    POLICY_OPTION(scx_net_bpf, "batch", NUMBER, load_batch_milli, "N",
		  "or from so many thousandths of an event per epoll_wait, 0: never; "
		  "default: 4000",
		  .max = 1000000000),
    POLICY_OPTION(scx_net_bpf, "dwell", DURATION, load_dwell_ns, "TIME",
		  "at least so long between two changes; default: 1s", .max = 3600000000000),
    EXCLUSIVE_OPTIONS(scx_net_bpf) OPTIONS_END};

static int net_open(struct policy_run *run, struct error *reterr)
{
	int r = exclusive_open(run, reterr);

	if (r == 0)
		exclusive_host(run)->restrain = 0;
	return r;
}

static int net_loaded(struct policy_run *run, struct error *reterr)
{
	const struct scx_net_bpf__rodata *o = (const void *)run->settings->rodata;
	struct itimerspec every = {.it_interval.tv_nsec = SAMPLE_NS, .it_value.tv_nsec = SAMPLE_NS};
	struct net *net = calloc(1, sizeof(*net));
	int r;

	if (!net)
		return error_set(reterr, -ENOMEM, "out of memory");
	run->data = net;
	net->rule = (struct net_rule){.events_per_s = o->load_events,
				      .batch_milli = o->load_batch_milli,
				      .leave_ppm = LEAVE_PPM,
				      .dwell_ns = o->load_dwell_ns};
	net->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (net->timer_fd < 0 || timerfd_settime(net->timer_fd, 0, &every, NULL) < 0)
		return error_errno(reterr, -errno, "could not make a timer");
	r = epoll_probe_open(&net->probe, reterr);
	if (r == 0)
		epoll_probe_detach(net->probe); /* others may be loaded, too */
	return r;
}

static int net_attach(struct policy_run *run, struct error *reterr)
{
	struct net *net = run->data;

	net->load = (struct net_load){0};
	exclusive_restrain(run, false);
	return epoll_probe_attach(net->probe, reterr);
}

static void net_detach(struct policy_run *run)
{
	epoll_probe_detach(((struct net *)run->data)->probe);
}

static int net_fd(struct policy_run *run)
{
	return ((struct net *)run->data)->timer_fd;
}

static void net_ready(struct policy_run *run)
{
	struct net *net = run->data;
	bool before = net->load.restrain;
	struct bus_epoll counts;
	uint64_t passed;

	if (read(net->timer_fd, &passed, sizeof(passed)) < 0 ||
	    epoll_probe_read(net->probe, &counts) < 0)
		return;
	if (net_load_step(&net->load, &net->rule, clock_mono_ns(), &counts) != before)
		exclusive_restrain(run, !before);
}

static void net_stats(struct policy_run *run, struct strbuf *line)
{
	const struct net_load *load = &((struct net *)run->data)->load;
	uint64_t since_ns = load->changed_ns ? clock_mono_ns() - load->changed_ns : 0;

	strbuf_printf(line,
		      ", \"restrain\": %d, \"events_per_s\": %" PRIu64 ", \"batch_milli\": %" PRIu64
		      ", \"changes\": %" PRIu64 ", \"since_ms\": %" PRIu64,
		      load->restrain, load->events_per_s, load->batch_milli, load->changes_total,
		      since_ns / 1000000);
}

static void net_done(struct policy_run *run)
{
	struct net *net = run->data;

	if (!net)
		return;
	epoll_probe_close(net->probe);
	close_fd(&net->timer_fd);
	free(net);
}

static const struct policy policy = {
    .name = "net",
    .elf = scx_net_bpf__elf_bytes,
    .options = options,
    .counters = counters,
    .partial_is_be = true,
    .hooks = {.open = net_open,
	      .loaded = net_loaded,
	      .attach = net_attach,
	      .detach = net_detach,
	      .fd = net_fd,
	      .ready = net_ready,
	      .stats = net_stats,
	      .done = net_done},
};

int main(int argc, char **argv)
{
	return policy_main(&policy, argc, argv);
}
