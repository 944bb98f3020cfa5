/* SPDX-License-Identifier: MIT */
/*
 * thread-lab: for tests of classes by thread, in a guest.
 *
 *	thread-lab NAME..	an endless loop in a thread of each name, until killed
 *	thread-lab		prints how many threads have a class on the bus
 */
#include <bpf/bpf.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "sched/bus-user.h"

static void *spin(void *name)
{
	volatile bool go_on = true;

	prctl(PR_SET_NAME, name);
	while (go_on)
		;
	return NULL;
}

static int count(void)
{
	struct error error = {0};
	uint32_t tid, nr = 0;
	struct bus bus;

	if (bus_open(&bus, &error) < 0) {
		fprintf(stderr, "thread-lab: %s\n", error.msg);
		return 1;
	}
	while (bpf_map_get_next_key(bus.fd[BUS_MAP_TASK_CLASS], nr ? &tid : NULL, &tid) == 0)
		nr++;
	printf("%u\n", nr);
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 2)
		return count();
	for (int i = 1; i < argc; i++)
		if (pthread_create(&thread, NULL, spin, argv[i]) != 0)
			return 1;
	for (;;)
		pause();
}
