/* SPDX-License-Identifier: MIT */
/* The knobs llc and membw on real cgroups and fake-resctrl, mounted where the kernel's would be. */
#include "../host/actuate-env.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lab.h"

#define MODEL "machine intel\ndomains 0\nclosids 3\nrmids 8\n"

static struct lab lab;

static void must(int r, const char *what)
{
	if (r < 0) {
		perror(what);
		exit(1);
	}
}

/* sysfs makes no directories: a tmpfs over /sys/fs, with the cgroups moved into it. */
static void mount_at_sys(void)
{
	char tree[96], aside[96];

	snprintf(tree, sizeof(tree), "%s/sys/fs/resctrl", lab.root);
	snprintf(aside, sizeof(aside), "%s/cgroup", lab.root);
	must(mkdir(aside, 0700), aside);
	must(mount("/sys/fs/cgroup", aside, NULL, MS_BIND | MS_REC, NULL), "bind cgroups");
	must(mount("tmpfs", "/sys/fs", "tmpfs", 0, NULL), "tmpfs");
	must(mkdir("/sys/fs/cgroup", 0755), "cgroup");
	must(mkdir("/sys/fs/resctrl", 0755), "resctrl");
	must(mount(aside, "/sys/fs/cgroup", NULL, MS_MOVE, NULL), "move cgroups");
	must(mount(tree, "/sys/fs/resctrl", NULL, MS_BIND, NULL), "bind resctrl");
	must(rmdir(aside), aside);
}

static void unmount_at_sys(void)
{
	must(umount2("/sys/fs", MNT_DETACH), "umount /sys/fs");
}

static void join(const char *path)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)getpid());
	env_write(path, CG_CPU, "cgroup.procs", "cgroup.procs", text);
}

static pid_t spawn(const char *path, void (*work)(void))
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		join(path);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		work();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void idle(void)
{
	for (;;)
		pause();
}

static void reap(int sig)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Always a few children; the stand-in learns the parent from /proc, so no orphans. */
static void fork_on(void)
{
	signal(SIGCHLD, reap);
	for (;;) {
		pid_t pid = fork();

		if (!pid) {
			usleep(20000);
			_exit(0);
		}
		usleep(5000);
	}
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static const char *group_of(const char *path)
{
	static char name[32];

	snprintf(name, sizeof(name), "cz-%llx", (unsigned long long)env_id(path));
	return name;
}

static bool exists(const char *name)
{
	return faccessat(lab.rc.fd, name, F_OK, 0) == 0;
}

static void check_value(const char *group, enum resctrl_resource res, uint32_t value)
{
	static struct resctrl_schemata s;
	struct error e = {0};

	if (resctrl_get(&lab.rc, group, &s, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(s.lines[res].domains[0].value, value);
}

static bool has_task(const char *group, pid_t pid)
{
	char file[64], line[16], text[65600];

	snprintf(file, sizeof(file), "%s%stasks", group, group[0] ? "/" : "");
	snprintf(line, sizeof(line), "\n%d\n", pid);
	snprintf(text, sizeof(text), "\n%s", lab_read(&lab, file));
	return strstr(text, line);
}

static void test_both_ways(void **state)
{
	pid_t pid = spawn("/a", idle);
	uint64_t llc, membw;
	const char *g = group_of("/a");

	assert_int_equal(env_apply("/a", KNOB_LLC, "2"), 0);
	llc = env.seq;
	assert_true(has_task(g, pid));
	check_value(g, RESCTRL_L3, 0x600);
	check_value(g, RESCTRL_MB, 100);
	assert_int_equal(env_apply("/a", KNOB_MEMBW, "41"), 0); /* up to the next step */
	membw = env.seq;
	check_value(g, RESCTRL_MB, 50);
	/* not in the order in which they came */
	assert_int_equal(env_undo(llc), 0);
	check_value(g, RESCTRL_L3, 0x7ff);
	check_value(g, RESCTRL_MB, 50);
	assert_int_equal(env_undo(membw), 0);
	assert_false(exists(g));
	assert_true(has_task("", pid));
	end(pid);
}

static void test_refused(void **state)
{
	const char *g = group_of("/a");
	struct error e = {0};
	pid_t pid = spawn("/a", idle);

	assert_int_equal(env_apply("/a", KNOB_LLC, "12"), -EINVAL);
	assert_int_equal(env_apply("/a", KNOB_MEMBW, "5"), -EINVAL);
	assert_int_equal(env_apply("/a", KNOB_LLC, "max"), -EALREADY);
	assert_int_equal(env_apply("/a", KNOB_LLC, "0"), -EINVAL);
	assert_false(exists(g));
	assert_int_equal(resctrl_create(&lab.rc, "theirs", &e), 0);
	assert_int_equal(resctrl_add_task(&lab.rc, "theirs", pid, &e), 0);
	assert_int_equal(env_apply("/a", KNOB_LLC, "2"), -EBUSY); /* it is somebody's */
	assert_int_equal(resctrl_add_task(&lab.rc, "", pid, &e), 0);
	assert_int_equal(resctrl_create(&lab.rc, "too", &e), 0);
	assert_int_equal(env_apply("/a", KNOB_LLC, "2"), -ENOSPC);
	assert_false(exists(g));
	assert_int_equal(resctrl_remove(&lab.rc, "too", &e), 0);
	assert_int_equal(resctrl_remove(&lab.rc, "theirs", &e), 0);
	end(pid);
}

static void test_foreign_change(void **state)
{
	const char *g = group_of("/a");
	struct error e = {0};
	char file[64];

	assert_int_equal(env_apply("/a", KNOB_LLC, "2"), 0);
	snprintf(file, sizeof(file), "%s/schemata", g);
	assert_int_equal(lab_write(&lab, file, "L3:0=1f\n"), 0);
	assert_int_equal(env_undo(env.seq), -ECANCELED); /* hands off */
	check_value(g, RESCTRL_L3, 0x1f);
	assert_int_equal(resctrl_remove(&lab.rc, g, &e), 0);
}

/* No group may outlive its zone: they are few. */
static void test_zone_gone(void **state)
{
	char g[32];

	env_make("/a/b");
	str_copy(g, sizeof(g), group_of("/a/b"));
	assert_int_equal(env_apply("/a/b", KNOB_LLC, "2"), 0);
	assert_true(exists(g));
	env_remove("/a/b");
	assert_int_equal(env_undo(env.seq), -ENOENT);
	assert_false(exists(g));
}

/* A daemon that died: the next one, or --undo, finds its way by the journal. */
static void test_after_crash(void **state)
{
	const char *g = group_of("/a");
	uint64_t seq;

	assert_int_equal(env_apply("/a", KNOB_MEMBW, "20"), 0);
	seq = env.seq;
	env_close();
	env_open();
	assert_int_equal(env_undo(seq), 0);
	assert_false(exists(g));
}

static void test_forks(void **state)
{
	pid_t pid = spawn("/a", fork_on);
	const char *procs = "cgroup.procs", *g = group_of("/a");
	char list[65536];

	assert_int_equal(env_apply("/a", KNOB_LLC, "2"), 0);
	/* whoever is in the cgroup now is in the group: its children are born there */
	str_copy(list, sizeof(list), env_read("/a", CG_CPU, procs, procs));
	for (char *p = strtok(list, "\n"); p; p = strtok(NULL, "\n"))
		if (!has_task(g, atoi(p)) && kill(atoi(p), 0) == 0)
			fail_msg("%s is outside", p);
	assert_int_equal(env_undo(env.seq), 0);
	end(pid); /* the children end by themselves */
	for (int ms = 0; ms < 10000 && atoi(env_read("/a", CG_CPU, procs, procs)); ms += 10)
		usleep(10000);
}

static uint64_t held(void)
{
	struct resctrl_counts c;

	assert_int_equal(resctrl_read_counts(&lab.rc, "mon_groups/lc", &c), 0);
	return c.llc_occupancy_bytes;
}

/* A loop over the knob gives the victim back its part of the cache. */
static void test_victim_gets_its_cache_back(void **state)
{
	pid_t be = spawn("/a", idle), lc = spawn("", idle);
	char model[512], ways[8];
	struct error e = {0};
	uint64_t alone, hurt, now;
	unsigned int steps = 0;

	assert_int_equal(resctrl_create(&lab.rc, "mon_groups/lc", &e), 0);
	assert_int_equal(resctrl_add_task(&lab.rc, "mon_groups/lc", lc, &e), 0);
	snprintf(model, sizeof(model), MODEL "demand pid %d domain 0 footprint 14e6 accesses 1e8\n",
		 lc);
	lab_model(&lab, model);
	alone = held();
	snprintf(model + strlen(model), sizeof(model) - strlen(model),
		 "demand pid %d domain 0 footprint 400e6 accesses 9e8\n", be);
	lab_model(&lab, model);
	hurt = now = held();
	assert_true(hurt < alone / 2);
	for (unsigned int w = 10; w >= 1 && now < alone * 9 / 10; w--, steps++) {
		if (steps)
			assert_int_equal(env_undo(env.seq), 0);
		snprintf(ways, sizeof(ways), "%u", w);
		assert_int_equal(env_apply("/a", KNOB_LLC, ways), 0);
		now = held();
	}
	assert_true(now >= alone * 9 / 10);
	assert_int_equal(env_undo(env.seq), 0);
	assert_true(held() < alone / 2); /* it was that, and nothing else */
	lab_model(&lab, MODEL);
	assert_int_equal(resctrl_remove(&lab.rc, "mon_groups/lc", &e), 0);
	end(be);
	end(lc);
}

static int tests(void)
{
	const struct CMUnitTest list[] = {
	    cmocka_unit_test_setup_teardown(test_both_ways, env_setup, env_teardown),
	    cmocka_unit_test_setup_teardown(test_refused, env_setup, env_teardown),
	    cmocka_unit_test_setup_teardown(test_foreign_change, env_setup, env_teardown),
	    cmocka_unit_test_setup_teardown(test_zone_gone, env_setup, env_teardown),
	    cmocka_unit_test_setup_teardown(test_after_crash, env_setup, env_teardown),
	    cmocka_unit_test_setup_teardown(test_forks, env_setup, env_teardown),
	    cmocka_unit_test_setup_teardown(test_victim_gets_its_cache_back, env_setup,
					    env_teardown),
	};

	return cmocka_run_group_tests_name("resctrl-knobs", list, NULL, NULL);
}

int main(void)
{
	int r;

	lab_init();
	lab_open(&lab, MODEL);
	mount_at_sys();
	r = env_main("resctrl", tests);
	unmount_at_sys();
	lab_close(&lab);
	return r;
}
