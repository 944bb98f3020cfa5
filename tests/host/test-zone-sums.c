/* SPDX-License-Identifier: MIT */
/*
 * Probes that keep sums and pairs of zones in BPF, against what the work itself knows; figures of a
 * network of one's own; and the kernel's word that tasks stall. Own cgroups only: cz-test-sums-*.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "probes-env.h"

#define ROUNDS 100
#define MIB    (1ull << 20)

/* One child alone, with a probe. */
static void run_one(const char *name, void (*run)(void))
{
	pid_t pid;

	reset();
	pid = start(IN, run);
	switch_probe(name, true);
	atomic_store(&work->go, 1);
	wait_done(1);
	stop(pid);
}

static void do_switches(void)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < ROUNDS; i++) {
		cpu_set_t cpu;

		CPU_ZERO(&cpu);
		CPU_SET(i % nr_cpus, &cpu);
		sched_setaffinity(0, sizeof(cpu), &cpu);
		usleep(500);
	}
	getrusage(RUSAGE_SELF, &after);
	atomic_store(&work->a, (unsigned long long)(after.ru_nvcsw - before.ru_nvcsw));
	atomic_store(&work->b, (unsigned long long)(after.ru_nivcsw - before.ru_nivcsw));
	atomic_store(&work->c, nr_cpus > 1 ? ROUNDS - 1 : 0);
}

/* Besides, it waits for go in sleeps of 1 ms, and at last in pause(). */
static void test_switches(void)
{
	uint64_t voluntary, involuntary, moved;
	pid_t pid;

	reset();
	pid = start(IN, do_switches);
	switch_probe("switches", true);
	atomic_store(&work->go, 1);
	wait_done(1);
	voluntary = value(IN, ZM_VOLUNTARY_SWITCHES);
	involuntary = value(IN, ZM_INVOLUNTARY_SWITCHES);
	moved = value(IN, ZM_MIGRATIONS);
	printf("switches: %llu voluntary (the work's own %llu, and its waits), %llu involuntary "
	       "(%llu), %llu migrations (>= %llu)\n",
	       (unsigned long long)voluntary, atomic_load(&work->a),
	       (unsigned long long)involuntary, atomic_load(&work->b), (unsigned long long)moved,
	       atomic_load(&work->c));
	stop(pid);
	CHECK(voluntary >= atomic_load(&work->a) && involuntary >= atomic_load(&work->b));
	CHECK(moved >= atomic_load(&work->c));
	CHECK(value("/" TOP, ZM_MIGRATIONS) >= moved);
	switch_probe("switches", false);
	CHECK(!(probes_row(probes, id_of(IN))->valid & METRIC_BIT(ZM_MIGRATIONS)));
}

static void do_epoll(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN};
	uint64_t one = 1;

	if (fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev) < 0)
		_exit(1);
	for (int i = 0; i < ROUNDS; i++) {
		if (write(fd, &one, 8) != 8 || epoll_wait(set, &ev, 1, -1) != 1 ||
		    read(fd, &one, 8) != 8 || epoll_wait(set, &ev, 1, 0) != 0)
			_exit(2);
	}
}

static void test_epoll(void)
{
	run_one("epoll", do_epoll);
	printf("epoll: %llu returns of %d, %llu events of %d\n",
	       (unsigned long long)value(IN, ZM_EPOLL_RETURNS), 2 * ROUNDS,
	       (unsigned long long)value(IN, ZM_EPOLL_EVENTS), ROUNDS);
	CHECK(value(IN, ZM_EPOLL_RETURNS) == 2 * ROUNDS);
	CHECK(value(IN, ZM_EPOLL_EVENTS) == ROUNDS);
	switch_probe("epoll", false);
}

#define LINK                                                                                       \
	"ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && "      \
	"ip addr add 10.9.9.1/24 dev v0 && ip neigh add 10.9.9.2 lladdr 02:00:00:00:00:09 dev v0"

/* Datagrams to where nobody is, in a network of its own. */
static void do_network(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	char data[1000] = "";
	int udp;

	inet_pton(AF_INET, "10.9.9.2", &to.sin_addr);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; i < ROUNDS; i++)
		if (sendto(udp, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			_exit(1);
}

static void do_network_apart(void)
{
	if (unshare(CLONE_NEWNET) < 0 || system(LINK) != 0)
		_exit(77);
	atomic_store(&work->ready, 1);
	while (atomic_load(&work->go) < 2)
		usleep(1000);
	do_network();
}

static void wait_ready(void)
{
	for (int i = 0; i < 2000 && !atomic_load(&work->ready); i++)
		usleep(10000);
	CHECK(atomic_load(&work->ready));
}

static void test_network(void)
{
	uint64_t bytes, packets;
	pid_t pid;

	reset();
	pid = start(IN, do_network_apart);
	atomic_store(&work->go, 1);
	wait_ready();
	switch_probe("sockets", true);
	/* its network is found in a slow round */
	for (int i = 0;
	     i < 40 && !(probes_row(probes, id_of(IN))->valid & METRIC_BIT(ZM_NETNS_SENT_PACKETS));
	     i++)
		tick();
	packets = value(IN, ZM_NETNS_SENT_PACKETS);
	bytes = value(IN, ZM_NETNS_SENT_BYTES);
	atomic_store(&work->go, 2);
	wait_done(1);
	packets = value(IN, ZM_NETNS_SENT_PACKETS) - packets;
	bytes = value(IN, ZM_NETNS_SENT_BYTES) - bytes;
	printf("sockets: %llu bytes in %llu calls, %llu packets of %llu bytes\n",
	       (unsigned long long)value(IN, ZM_SOCKET_SENT_BYTES),
	       (unsigned long long)value(IN, ZM_SOCKET_SENDS), (unsigned long long)packets,
	       (unsigned long long)bytes);
	stop(pid);
	CHECK(value(IN, ZM_SOCKET_SENT_BYTES) == 1000 * ROUNDS);
	CHECK(value(IN, ZM_SOCKET_SENDS) == ROUNDS);
	CHECK(packets >= ROUNDS && bytes >= 1000 * ROUNDS);
	/* who is in the host's network has no such figures */
	CHECK(!(probes_row(probes, id_of(OUT))->valid & METRIC_BIT(ZM_NETNS_SENT_PACKETS)));
	switch_probe("sockets", false);
}

static void read_file(uint64_t from, uint64_t to)
{
	static char buf[1 << 16];
	int fd = open(work->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		_exit(1);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (uint64_t at = from; at < to; at += sizeof(buf))
		if (pread(fd, buf, sizeof(buf), (off_t)at) != sizeof(buf))
			_exit(2);
	close(fd);
}

static void do_cache(void)
{
	read_file(0, 12 * MIB);
	atomic_store(&work->ready, 1);
}

static void do_take(void)
{
	read_file(16 * MIB, 64 * MIB);
}

static void make_file(void)
{
	static char buf[1 << 16];
	int fd;

	strcpy(work->path, "/var/tmp/cz-test-sums-XXXXXX");
	fd = mkostemp(work->path, O_CLOEXEC);
	CHECK(fd >= 0);
	for (uint64_t at = 0; at < 64 * MIB; at += sizeof(buf))
		CHECK(write(fd, buf, sizeof(buf)) == sizeof(buf));
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static void limit(const char *bytes)
{
	char path[PATH_MAX];

	put(in_tree(1, cgroup_is_v2(&fs, CG_MEMORY) ? "/memory.max" : "/memory.limit_in_bytes",
		    path),
	    bytes);
}

/* Two groups below one limit: what one has cached, the other's reading takes. */
static void test_reclaimers(void)
{
	struct holder held[8];
	uint64_t by_out = 0;
	pid_t victim, taker;
	size_t n;

	reset();
	make_file();
	limit("33554432");
	victim = start(IN, do_cache);
	switch_probe("reclaimers", true);
	atomic_store(&work->go, 1);
	wait_done(1);
	atomic_store(&work->go, 0);
	taker = start(OUT, do_take);
	tick();
	atomic_store(&work->go, 1);
	wait_done(2);
	n = probes_holders(probes, HELD_MEMORY, id_of(IN), held, ARRAY_SIZE(held));
	for (size_t i = 0; i < n; i++)
		by_out += held[i].zone_id == id_of(OUT) ? held[i].amount : 0;
	printf("reclaimers: %llu reclaims by the taker, %llu us; %llu pages of the victim taken by "
	       "others, %llu by the taker\n",
	       (unsigned long long)value(OUT, ZM_RECLAIMS),
	       (unsigned long long)value(OUT, ZM_RECLAIM_NS) / 1000,
	       (unsigned long long)value(IN, ZM_MEM_FOREIGN_PAGES), (unsigned long long)by_out);
	stop(victim);
	stop(taker);
	limit("-1");
	CHECK(value(OUT, ZM_RECLAIMS) > 0 && value(OUT, ZM_RECLAIM_NS) > 0);
	CHECK(by_out > 0 && value(IN, ZM_MEM_FOREIGN_PAGES) >= by_out);
	CHECK(value(IN, ZM_RECLAIMS) == 0);
	switch_probe("reclaimers", false);
}

static void do_hold(void)
{
	for (int i = 0; i < 5; i++) {
		pthread_mutex_lock(&work->lock);
		atomic_store(&work->ready, i + 1);
		usleep(40000);
		pthread_mutex_unlock(&work->lock);
		while (atomic_load(&work->b) < (unsigned)i + 1)
			usleep(500);
	}
}

static void do_want(void)
{
	for (int i = 0; i < 5; i++) {
		uint64_t start_ns;

		while (atomic_load(&work->ready) < i + 1)
			usleep(500);
		start_ns = clock_mono_ns();
		pthread_mutex_lock(&work->lock);
		atomic_fetch_add(&work->a, clock_mono_ns() - start_ns);
		pthread_mutex_unlock(&work->lock);
		atomic_fetch_add(&work->b, 1);
	}
}

static void test_futex(void)
{
	pthread_mutexattr_t attr;
	struct holder held[8];
	uint64_t by_out = 0, truth_ns;
	pid_t wants, holds;
	size_t n;

	reset();
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&work->lock, &attr);
	wants = start(IN, do_want);
	holds = start(OUT, do_hold);
	switch_probe("futex", true);
	atomic_store(&work->go, 1);
	wait_done(2);
	truth_ns = atomic_load(&work->a);
	n = probes_holders(probes, HELD_LOCKS, id_of(IN), held, ARRAY_SIZE(held));
	for (size_t i = 0; i < n; i++)
		by_out += held[i].zone_id == id_of(OUT) ? held[i].amount : 0;
	printf(
	    "futex: %llu us in %llu waits, the work's own %llu us; %llu us ended by the holder\n",
	    (unsigned long long)value(IN, ZM_FUTEX_WAIT_NS) / 1000,
	    (unsigned long long)value(IN, ZM_FUTEX_WAITS), (unsigned long long)truth_ns / 1000,
	    (unsigned long long)by_out / 1000);
	stop(wants);
	stop(holds);
	CHECK(value(IN, ZM_FUTEX_WAITS) >= 1);
	CHECK(value(IN, ZM_FUTEX_WAIT_NS) <= truth_ns && by_out <= value(IN, ZM_FUTEX_WAIT_NS));
	CHECK(by_out >= truth_ns / 2);
	CHECK(value(IN, ZM_FUTEX_FOREIGN_NS) == by_out);
	switch_probe("futex", false);
}

static void do_thrash(void)
{
	for (;;)
		read_file(0, 64 * MIB);
}

static void test_triggers(void)
{
	struct pollfd wake = {.fd = probes_wake_fd(probes), .events = POLLIN};
	pid_t pid;

	if (wake.fd < 0) {
		puts("psi_triggers: not tested, the kernel allows none");
		return;
	}
	reset();
	limit("16777216");
	pid = start(IN, do_thrash);
	probes_zone_interest(probes, id_of(IN), PROBE_PROTECTED);
	tick();
	atomic_store(&work->go, 1);
	CHECK(poll(&wake, 1, 30000) == 1 && wake.revents & POLLIN);
	puts("psi_triggers: woken");
	stop(pid);
	limit("-1");
}

int main(void)
{
	int r = probes_env_open();

	if (r)
		return r;
	r = probes_switch(probes, "switches", true, NULL);
	if (r == -EOPNOTSUPP) {
		puts("skip: BPF is not allowed here");
		probes_env_close();
		return 77;
	}
	CHECK(r == 0 && probes_switch(probes, "switches", false, "for a test") == 0);
	test_switches();
	test_epoll();
	test_network();
	test_futex();
	if (cgroup_has(&fs, CG_MEMORY)) {
		test_reclaimers();
		test_triggers();
	}
	probes_env_close();
	return 0;
}
