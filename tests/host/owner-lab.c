/* SPDX-License-Identifier: MIT */
/*
 * Not a test: turns knobs of a group as czd would, tells systemd of them, and gives all back when
 * its input ends. package_suite.sh looks on.
 * Usage: owner-lab RUN_DIR GROUP [KNOB VALUE]...
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "actuate/actuate.h"
#include "actuate/owner.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

#define SETTLE_NS 3000000000ull

static void check(int r, const char *what, const struct error *e)
{
	if (r >= 0)
		return;
	printf("%s: %s %s\n", what, strerror(-r), e ? e->msg : "");
	exit(1);
}

static void turn(struct actuator *act, const struct cgroup_fs *fs, const char *group,
		 const char *knob, const char *to, uint64_t seq)
{
	_cleanup_close_ int fd = cgroup_open(fs, CG_CPU, group, 0);
	struct action a = {.seq = seq};
	struct error e = {0};

	check(fd, group, NULL);
	check(cgroup_id_at(fd, &a.target_id), group, NULL);
	while (a.knob < KNOB_NR && strcmp(knob_name(a.knob), knob))
		a.knob++;
	str_copy(a.to, sizeof(a.to), to);
	check(actuator_apply(act, &a, group, clock_mono_ns(), &e), knob, &e);
}

int main(int argc, char **argv)
{
	struct undo_report report;
	struct actuator *act;
	struct cgroup_fs fs;
	struct error e = {0};
	struct kernel k;
	struct owner *o;
	int dirfd;

	if (argc < 3)
		return 2;
	dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(dirfd, argv[1], NULL);
	check(kernel_open("/", &k, &e), "kernel", &e);
	check(cgroup_fs_open(&k, &fs, &e), "cgroups", &e);
	check(actuator_open(&k, &fs, dirfd, &act, &e), "journal", &e);
	check(owner_new(NULL, &fs, dirfd, &o), "systemd", NULL);
	for (int i = 3; i + 1 < argc; i += 2)
		turn(act, &fs, argv[2], argv[i], argv[i + 1], (uint64_t)i);
	owner_settle(o, act, SETTLE_NS);
	puts("told");
	fflush(stdout);
	while (getchar() != EOF)
		;
	check(actuator_undo_all(act, &report, &e), "undo", &e);
	printf("left: %zu\n", owner_settle(o, act, SETTLE_NS));
	return 0;
}
