/* SPDX-License-Identifier: MIT */
#include "actuate-env.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "kernel/procfs.h"

struct env env;

static const struct {
	enum cgroup_controller c;
	const char *v1, *v2;
} knob_files[] = {
    {CG_CPU, "cpu.idle", "cpu.idle"},
    {CG_CPU, "cpu.shares", "cpu.weight"},
    {CG_CPU, "cpu.cfs_quota_us", "cpu.max"},
    {CG_CPU, "cpu.cfs_period_us", NULL},
    {CG_CPU, "cpu.cfs_burst_us", "cpu.max.burst"},
    {CG_CPUSET, "cpuset.cpus", "cpuset.cpus"},
    {CG_CPUSET, "cpuset.mems", "cpuset.mems"},
    {CG_FREEZER, "freezer.self_freezing", "cgroup.freeze"},
    {CG_MEMORY, "memory.limit_in_bytes", "memory.high"},
    {CG_MEMORY, "memory.oom_control", NULL},
    {CG_IO, "blkio.throttle.read_bps_device", "io.max"},
};
static const enum cgroup_controller hierarchies[] = {CG_CPU, CG_CPUSET, CG_FREEZER, CG_MEMORY,
						     CG_IO};

const char *env_path(const char *path)
{
	static char buffers[4][256];
	static unsigned int next;
	char *buf = buffers[next++ % 4];

	snprintf(buf, sizeof(buffers[0]), "%s%s", env.base, path);
	return buf;
}

static int hierarchy_fd(enum cgroup_controller c)
{
	return env.fs.hierarchies[env.fs.of[c]].fd;
}

static void dir_write(int dirfd, const char *file, const char *text)
{
	int r = write_file_at(dirfd, file, *text ? text : "\n");

	if (r < 0)
		fail_msg("write \"%s\" to %s: %s", text, file, strerror(-r));
}

static void init_cpuset_v1(int dirfd)
{
	char text[4096];

	assert_true(read_file_at(dirfd, "../cpuset.cpus", text, sizeof(text)) >= 0);
	dir_write(dirfd, "cpuset.cpus", text);
	assert_true(read_file_at(dirfd, "../cpuset.mems", text, sizeof(text)) >= 0);
	dir_write(dirfd, "cpuset.mems", text);
}

static void enable_v2(int parent_fd)
{
	if (faccessat(parent_fd, "cgroup.subtree_control", F_OK, 0))
		return;
	if (cgroup_is_v2(&env.fs, CG_CPU))
		dir_write(parent_fd, "cgroup.subtree_control", "+cpu");
	if (cgroup_is_v2(&env.fs, CG_CPUSET))
		dir_write(parent_fd, "cgroup.subtree_control", "+cpuset");
	if (cgroup_is_v2(&env.fs, CG_MEMORY))
		dir_write(parent_fd, "cgroup.subtree_control", "+memory");
	if (cgroup_is_v2(&env.fs, CG_IO))
		dir_write(parent_fd, "cgroup.subtree_control", "+io");
}

static void make_in(enum cgroup_controller c, const char *full)
{
	_cleanup_close_ int fd = -1, parent = -1;

	if (mkdirat(hierarchy_fd(c), full + 1, 0755) < 0 && errno != EEXIST)
		fail_msg("mkdir %s: %s", full, strerror(errno));
	fd = cgroup_open(&env.fs, c, full, 0);
	assert_true(fd >= 0);
	parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(parent >= 0);
	if (cgroup_is_v2(&env.fs, c))
		enable_v2(parent);
	else if (c == CG_CPUSET)
		init_cpuset_v1(fd);
}

void env_make(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(hierarchies); i++)
		if (cgroup_has(&env.fs, hierarchies[i]))
			make_in(hierarchies[i], env_path(path));
}

static void remove_tree(int parent, const char *name)
{
	_cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = NULL;

	if (fd < 0)
		return;
	dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	for (struct dirent *d; dir && (d = readdir(dir));)
		if (d->d_type == DT_DIR && d->d_name[0] != '.')
			remove_tree(fd, d->d_name);
	unlinkat(parent, name, AT_REMOVEDIR);
}

void env_remove(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(hierarchies); i++)
		if (cgroup_has(&env.fs, hierarchies[i]))
			remove_tree(hierarchy_fd(hierarchies[i]), env_path(path) + 1);
}

uint64_t env_id(const char *path)
{
	_cleanup_close_ int fd = cgroup_open(&env.fs, CG_CPU, env_path(path), 0);
	uint64_t id = 0;

	assert_true(fd >= 0);
	assert_int_equal(cgroup_id_at(fd, &id), 0);
	return id;
}

void env_write(const char *path, enum cgroup_controller c, const char *v1, const char *v2,
	       const char *text)
{
	_cleanup_close_ int fd = cgroup_open(&env.fs, c, env_path(path), 0);

	assert_true(fd >= 0);
	dir_write(fd, cgroup_is_v2(&env.fs, c) ? v2 : v1, text);
}

const char *env_read(const char *path, enum cgroup_controller c, const char *v1, const char *v2)
{
	static char buffers[4][512];
	static unsigned int next;
	char *buf = buffers[next++ % 4];
	const char *name = cgroup_is_v2(&env.fs, c) ? v2 : v1;
	_cleanup_close_ int fd = cgroup_open(&env.fs, c, env_path(path), 0);

	buf[0] = '\0';
	if (fd >= 0 && name && read_file_at(fd, name, buf, sizeof(buffers[0])) >= 0)
		buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static void snapshot_group(struct strbuf *b, const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(knob_files); i++)
		if (cgroup_has(&env.fs, knob_files[i].c))
			strbuf_printf(
			    b, "%s %s=%s\n", path, knob_files[i].v1,
			    env_read(path, knob_files[i].c, knob_files[i].v1, knob_files[i].v2));
}

static void snapshot_below(struct strbuf *b, const char *path)
{
	_cleanup_close_ int fd = cgroup_open(&env.fs, CG_CPU, env_path(path), 0);
	_cleanup_closedir_ DIR *dir = NULL;
	char child[256];

	snapshot_group(b, path);
	dir = fd >= 0 ? fdopendir(TAKE_FD(fd)) : NULL;
	for (struct dirent *d; dir && (d = readdir(dir));)
		if (d->d_type == DT_DIR && d->d_name[0] != '.') {
			snprintf(child, sizeof(child), "%.120s/%.120s", path, d->d_name);
			snapshot_below(b, child);
		}
}

char *env_snapshot(void)
{
	struct strbuf b = {0};

	snapshot_below(&b, "");
	assert_false(b.failed);
	return b.data;
}

struct action env_action(const char *path, enum knob knob, const char *to)
{
	struct action a = {.seq = ++env.seq, .target_id = env_id(path), .knob = knob};

	str_copy(a.to, sizeof(a.to), to);
	return a;
}

int env_apply(const char *path, enum knob knob, const char *to)
{
	struct action a = env_action(path, knob, to);
	struct error e = {0};
	int r = actuator_apply(env.act, &a, env_path(path), 1, &e);

	if (r < 0)
		assert_true(e.msg[0]); /* every refusal says why */
	return r;
}

int env_undo(uint64_t seq)
{
	struct error e = {0};
	int r = actuator_undo(env.act, seq, &e);

	if (r < 0)
		assert_true(e.msg[0]);
	return r;
}

bool env_v2(void)
{
	return cgroup_is_v2(&env.fs, CG_CPU);
}

void env_set_max(const char *path, const char *quota, const char *period)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %s", strcmp(quota, "-1") ? quota : "max", period);
	if (env_v2()) {
		env_write(path, CG_CPU, NULL, "cpu.max", text);
		return;
	}
	env_write(path, CG_CPU, "cpu.cfs_period_us", NULL, period);
	env_write(path, CG_CPU, "cpu.cfs_quota_us", NULL, quota);
}

void env_open(void)
{
	struct error e = {0};
	int r = actuator_open(&env.kernel, &env.fs, env.run_dirfd, &env.act, &e);

	if (r < 0)
		fail_msg("actuator_open: %s", e.msg);
}

void env_close(void)
{
	actuator_close(env.act);
	env.act = NULL;
}

int env_setup(void **state)
{
	env_make("");
	env_make("/a");
	str_copy(env.run, sizeof(env.run), "/tmp/cz-test-run-XXXXXX");
	assert_non_null(mkdtemp(env.run));
	env.run_dirfd = open(env.run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(env.run_dirfd >= 0);
	env.seq = 0;
	env_open();
	return 0;
}

int env_teardown(void **state)
{
	static const char *const names[] = {"journal", "journal.old-boot", "journal.new"};

	env_close();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(env.run_dirfd, names[i], 0);
	close_fd(&env.run_dirfd);
	rmdir(env.run);
	env_remove("");
	return 0;
}

int env_main(const char *name, int (*tests)(void))
{
	struct error e = {0};
	int failed;

	if (geteuid()) {
		puts("skip: needs root");
		return 77;
	}
	if (kernel_open("/", &env.kernel, &e) < 0 || cgroup_fs_open(&env.kernel, &env.fs, &e) < 0) {
		printf("skip: %s\n", e.msg);
		return 77;
	}
	snprintf(env.base, sizeof(env.base), "/cz-test-%s-%d", name, (int)getpid());
	failed = tests();
	cgroup_fs_close(&env.fs);
	kernel_close(&env.kernel);
	return failed ? 1 : 0;
}
