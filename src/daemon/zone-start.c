/* SPDX-License-Identifier: MIT */
/* From a spec to a process: may it run here, what its supervisor has to know, the fork. */
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "actuate/zone-limits.h"
#include "actuate/zone-make.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "daemon/zone-mgr.h"
#include "spec/zone-spec-io.h"

#define LOG_FILE     "log/supervisor.log"
#define EXIT_NO_EXEC 126

static int check_file(const char *field, const char *path, struct error *reterr)
{
	if (!path || access(path, F_OK) == 0)
		return 0;
	return error_errno(reterr, -errno, "%s: %s", field, path);
}

static int check_memory(const struct zones_mgr *m, const struct zone_spec *s, struct error *reterr)
{
	uint64_t total, available, wanted = zone_spec_memory(s);
	char size[2][32];

	if (proc_meminfo(&m->d->kernel, &total, &available) < 0 || wanted <= total)
		return 0;
	return error_set(reterr, -EINVAL, "resource.memory: this host has %s, less than %s",
			 format_bytes(total, size[0], sizeof(size[0])),
			 format_bytes(wanted, size[1], sizeof(size[1])));
}

static int check_vm(const struct zones_mgr *m, const struct zone_spec *s, struct error *reterr)
{
	char path[4096];
	int r;

	if (s->os.adopt)
		return zone_libexec_path(m, "cz-libvirt", path, sizeof(path), reterr);
	r = zone_kernel_path(m, s->os.kernel, path, sizeof(path), reterr);
	if (r == 0)
		r = check_file("os.rootfs", s->os.rootfs, reterr);
	if (r == 0)
		r = check_file("os.initramfs", s->os.initramfs, reterr);
	if (r == 0)
		r = check_memory(m, s, reterr);
	if (r < 0)
		return r;
	if (zone_program(VM_QEMU))
		return 0;
	error_set(reterr, -ENOENT, "qemu-system-x86_64 is not installed");
	error_hint(reterr, "apt install qemu-system-x86 --no-install-recommends");
	return -ENOENT;
}

static int check_cgroup(const struct zone_spec *s, struct error *reterr)
{
	if (s->resource.io.bytes_burst || s->resource.io.ops_burst)
		return error_set(reterr, -EOPNOTSUPP,
				 "resource.io: bursts are for runtime vm; cgroups know none");
	return 0;
}

static int check_cpus(const struct zones_mgr *m, const struct zone_spec *s, struct error *reterr)
{
	struct cpuset outside, both;
	char text[256];

	cpuset_andnot(&outside, &s->resource.cpus, &m->d->topo.online);
	if (cpuset_count(&outside)) {
		if (cpuset_format(&outside, text, sizeof(text)) < 0)
			str_copy(text, sizeof(text), "many");
		return error_set(reterr, -EINVAL, "resource.cpuset: this host has no CPU %s", text);
	}
	for (size_t i = 0; i < m->nr; i++) {
		const struct zone_spec *other = &m->items[i]->spec;

		if (!strcmp(other->name, s->name) || !s->resource.exclusive_cpus ||
		    !other->resource.exclusive_cpus)
			continue;
		cpuset_and(&both, &s->resource.cpus, &other->resource.cpus);
		if (!cpuset_count(&both) || cpuset_format(&both, text, sizeof(text)) < 0)
			continue;
		return error_set(reterr, -EBUSY, "CPU %s is exclusive to zone %s", text,
				 other->name);
	}
	return 0;
}

/* What nothing here applies is refused: a limit that does not limit is a false promise. */
static int check_cache(const struct zones_mgr *m, const struct zone_spec *s, struct error *reterr)
{
	const char *field = s->resource.llc_mask	? "resource.llc"
			    : s->resource.membw_percent ? "resource.memoryBandwidth"
							: NULL;
	bool has = faccessat(m->d->kernel.root_fd, "sys/fs/resctrl/schemata", F_OK, 0) == 0;

	if (!field)
		return 0;
	return error_set(reterr, -EOPNOTSUPP,
			 has ? "%s: czd does not divide caches and memory bandwidth yet"
			     : "%s: needs resctrl, which this host does not have",
			 field);
}

int zone_check(const struct zones_mgr *m, const struct zone_spec *s, struct error *reterr)
{
	int r = check_cpus(m, s, reterr);

	if (r == 0)
		r = check_cache(m, s, reterr);
	if (r < 0)
		return r;
	return s->runtime == RUNTIME_VM ? check_vm(m, s, reterr) : check_cgroup(s, reterr);
}

/* The folder of sockets: others of group cz may pass, to the terminal's. */
static int make_run_dir(struct applied *z, struct error *reterr)
{
	const struct group *cz = getgrnam("cz");
	_cleanup_close_ int fd = -1;

	if (mkdirat(z->m->run_dirfd, z->name, 0750) < 0 && errno != EEXIST)
		return error_errno(reterr, -errno, "make the run directory of %s", z->name);
	fd = openat(z->m->run_dirfd, z->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0750) < 0 || (cz && fchown(fd, 0, cz->gr_gid) < 0))
		return error_errno(reterr, -errno, "open the run directory of %s", z->name);
	return 0;
}

void zone_clear_run_dir(struct applied *z)
{
	static const char *const files[] = {"launch.json", "link.sock", "term.sock", "private",
					    "group"};
	_cleanup_close_ int fd =
	    openat(z->m->run_dirfd, z->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(files); i++)
		if (remove_all_at(fd, files[i]) < 0)
			log_debug("zone %s: %s stays", z->name, files[i]);
}

static int nonce(char hex[static 33])
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static int add_vm_paths(const struct applied *z, json_t *o, struct error *reterr)
{
	static const char *const keys[] = {
	    [VM_QEMU] = "qemu", [VM_VIRTIOFSD] = "virtiofsd", [VM_QEMU_DATA] = "qemu_data"};
	char path[4096];
	int r = zone_kernel_path(z->m, z->spec.os.kernel, path, sizeof(path), reterr);

	if (r < 0)
		return r;
	json_object_set_new(o, "kernel", json_string(path));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *found = zone_program(i);

		json_object_set_new(o, keys[i], found ? json_string(found) : json_null());
	}
	r = zone_libexec_path(z->m, "cz-guest", path, sizeof(path), reterr);
	if (r == 0)
		json_object_set_new(o, "guest", json_string(path));
	json_object_set_new(o, "sched_dir", json_string(z->m->d->opt->libexec_dir));
	return r;
}

/* Where a folder is, in full: a supervisor has another working directory. */
static json_t *full_path(const char *dir, const char *name)
{
	char path[4096];
	_cleanup_free_ char *real = realpath(dir, NULL);

	return real && str_printf(path, sizeof(path), "%s/zones/%s", real, name) == 0
		   ? json_string(path)
		   : NULL;
}

static int write_launch(struct applied *z, struct error *reterr)
{
	uint32_t uid = z->spec.runtime == RUNTIME_VM ? ZONE_UID_BASE + z->rec.slot : 0;
	_cleanup_free_ char *text = NULL;
	char hex[33], file[ZONE_SPEC_NAME_MAX + 16];
	json_t *o;
	int r = nonce(hex);

	if (r < 0)
		return error_errno(reterr, r, "a nonce for %s", z->name);
	o = json_pack("{s:i,s:s,s:I,s:I,s:o,s:o,s:o,s:s}", "v", 1, "name", z->name, "uid",
		      (json_int_t)uid, "gid", (json_int_t)uid, "spec", zone_spec_json(&z->spec),
		      "dir", full_path(z->m->d->opt->state_dir, z->name), "run",
		      full_path(z->m->d->opt->run_dir, z->name), "nonce", hex);
	if (o && z->spec.runtime == RUNTIME_VM && !z->spec.os.adopt)
		r = add_vm_paths(z, o, reterr);
	if (r == 0)
		text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
	json_decref(o);
	if (r < 0)
		return r;
	if (!text)
		return error_errno(reterr, -ENOMEM, "launch.json of %s", z->name);
	snprintf(file, sizeof(file), "%s/launch.json", z->name);
	r = write_file_atomic(z->m->run_dirfd, file, text, strlen(text), 0600);
	return r < 0 ? error_errno(reterr, r, "write launch.json of %s", z->name) : 0;
}

static int open_log(const struct applied *z)
{
	_cleanup_close_ int dir =
	    openat(z->m->dirfd, z->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0 || (mkdirat(dir, "log", 0700) < 0 && errno != EEXIST))
		return -1;
	/* The folder is the zone's own: a link there is none of ours. */
	if (renameat(dir, LOG_FILE, dir, LOG_FILE ".1") < 0)
		unlinkat(dir, LOG_FILE, 0);
	return openat(dir, LOG_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* The last line that is not empty, off the end of the text. NULL: there is none. */
static char *cut_line(char *text)
{
	size_t n = strlen(text);
	char *line;

	while (n > 0 && strchr("\r\n", text[n - 1]))
		n--;
	text[n] = 0;
	line = memrchr(text, '\n', n);
	if (line)
		*line++ = 0;
	else if (n > 0)
		line = text;
	return line;
}

void zone_last_words(const struct applied *z, const char *file, char *buf, size_t size)
{
	char path[ZONE_SPEC_NAME_MAX + 32], text[4096], *line, *said;
	int fd;
	ssize_t n = -1;

	snprintf(path, sizeof(path), "%s/log/%s", z->name, file);
	fd = openat(z->m->dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		off_t end = lseek(fd, 0, SEEK_END);

		n = pread(fd, text, sizeof(text) - 1, end > 4095 ? end - 4095 : 0);
		close(fd);
	}
	text[n > 0 ? n : 0] = 0;
	line = cut_line(text);
	said = line ? cut_line(text) : NULL;
	if (!line)
		str_copy(buf, size, "nothing; czctl log shows more");
	else if (said && !strncmp(said, "qemu", 4)) /* then it is the reason of what follows */
		str_escape(buf, size, said);
	else
		str_escape(buf, size, line);
}

/* Between czd and systemd; a supervisor that thinks its log a journal would write priorities. */
static const char *const czd_only[] = {"JOURNAL_STREAM", "INVOCATION_ID", "NOTIFY_SOCKET",
				       "WATCHDOG_PID",	 "WATCHDOG_USEC", "LISTEN_PID",
				       "LISTEN_FDS",	 "LISTEN_FDNAMES"};

/* czd is to be the last to go when memory is short; its zones are not. */
static void be_killable(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		dprintf(STDERR_FILENO, "oom_score_adj stays as czd's: %m\n");
	if (fd >= 0)
		close(fd);
}

/* In the child. Nothing of czd's is handed on: files, signals, priority, limits, its own words. */
static void become(char *const argv[], int log_fd, int go_fd)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct sched_param none = {0};
	char go;
	sigset_t empty;

	/* End of file: czd died before anybody could know of this process. */
	if (read(go_fd, &go, 1) != 1)
		_exit(EXIT_NO_EXEC);
	setsid();
	sched_setscheduler(0, SCHED_OTHER, &none);
	setpriority(PRIO_PROCESS, 0, 0);
	setrlimit(RLIMIT_RTTIME, &unlimited);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	be_killable();
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	for (size_t i = 0; i < ARRAY_SIZE(czd_only); i++)
		unsetenv(czd_only[i]);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	if (chdir("/") == 0)
		execv(argv[0], argv);
	dprintf(STDERR_FILENO, "cannot run %s: %m\n", argv[0]);
	_exit(EXIT_NO_EXEC);
}

static int start_ticks(const struct zones_mgr *m, pid_t pid, uint64_t *ret)
{
	struct proc_pid_stat st;
	int r = proc_pid_stat(&m->d->kernel, pid, &st);

	if (r == 0)
		*ret = st.start_ticks;
	return r;
}

int zone_spawn(struct applied *z, const char *program, const char *arg1, const char *arg2,
	       struct error *reterr)
{
	char *argv[] = {(char *)program, (char *)arg1, (char *)arg2, NULL};
	bool vm = z->spec.runtime == RUNTIME_VM;
	char group[ZONE_PATH_MAX];
	_cleanup_close_ int log_fd = open_log(z), go_read = -1, go_write = -1;
	int go[2], r;
	pid_t pid;

	snprintf(group, sizeof(group), "%s/%s", z->path, vm ? "main" : "cz-run");
	if (log_fd < 0 || pipe2(go, O_CLOEXEC) < 0)
		return error_errno(reterr, -errno, "start %s", program);
	go_read = go[0];
	go_write = go[1];
	pid = fork();
	if (pid == 0) {
		close(go_write);
		become(argv, log_fd, go_read);
	}
	if (pid < 0)
		return error_errno(reterr, -errno, "start %s", program);
	z->rec.pid = pid;
	z->is_child = true;
	r = zone_attach_pid(&z->m->d->fs, group, pid, reterr);
	if (r == 0)
		r = start_ticks(z->m, pid, &z->rec.start_ticks);
	if (r == 0)
		r = zone_watch(z);
	if (r < 0) {
		kill(pid, SIGKILL);
		z->rec.pid = 0;
		return error_wrap(reterr, r, "start %s", program);
	}
	/* Known on disk before it runs: a czd that starts anew finds it. */
	zone_set_state(z, ZS_RUNNING);
	if (write(go_write, "g", 1) != 1)
		log_debug("zone %s: its supervisor is gone already", z->name);
	return 0;
}

static int spawn_supervisor(struct applied *z, const char *program, struct error *reterr)
{
	char launch[4096];

	snprintf(launch, sizeof(launch), "%s/zones/%s/launch.json", z->m->d->opt->run_dir, z->name);
	return zone_spawn(z, program, launch, NULL, reterr);
}

static int check_start(struct applied *z, struct error *reterr)
{
	int r = zone_may(z, ZS_RUNNING, reterr);

	if (r < 0)
		return r;
	if (z->groups) {
		error_set(reterr, -EBUSY, "zone %s: what ran in it is still ending", z->name);
		error_hint(reterr, "try again in a moment");
		return -EBUSY;
	}
	if (z->broken)
		return error_set(reterr, -ENOEXEC, "zone %s: %s", z->name, z->why);
	zone_look_at_spec(z);
	if (z->edited) {
		error_set(reterr, -ESTALE, "zone %s: its spec.yaml was changed behind czd's back",
			  z->name);
		error_hint(reterr, "czctl update -f FILE says what it is to be");
		return -ESTALE;
	}
	r = zone_check(z->m, &z->spec, reterr);
	return r < 0 ? r : zone_path_is_free(z, reterr);
}

void zone_note_machine(struct applied *z, const struct zone_spec *spec)
{
	z->vcpus_max = spec->os.adopt ? 0 : zone_spec_vcpus_max(spec);
	z->memory_max_bytes = zone_spec_memory_max(spec);
}

int zone_start(struct applied *z, struct error *reterr)
{
	char program[4096];
	int r;

	if (z->rec.wish == WISH_REMOVE)
		return error_set(reterr, -EBUSY, "zone %s is being removed", z->name);
	if (z->rec.state == ZS_RUNNING) {
		/* On its way down: then it begins anew. */
		if (z->rec.wish == WISH_STOP) {
			z->rec.wish = WISH_REBOOT;
			zone_set_state(z, ZS_RUNNING);
		}
		return 0;
	}
	r = check_start(z, reterr);
	if (r == 0)
		r = zone_libexec_path(z->m, z->spec.runtime == RUNTIME_VM ? "cz-vm" : "cz-run",
				      program, sizeof(program), reterr);
	if (r == 0)
		r = make_run_dir(z, reterr);
	if (r == 0)
		r = write_launch(z, reterr);
	if (r < 0)
		return r;
	z->rec.wish = WISH_NONE;
	z->gave_back = false;
	zone_note_machine(z, &z->spec);
	r = zone_make_groups(z, reterr);
	if (r == 0)
		r = zone_set_limits(z, reterr);
	if (r == 0)
		r = spawn_supervisor(z, program, reterr);
	if (r < 0) {
		if (z->groups && zone_remove_groups(z) < 0)
			zone_soon(z->m);
		zone_clear_run_dir(z);
		return r;
	}
	zone_note_groups(z);
	z->started_ns = clock_mono_ns();
	z->retry_ns = 0;
	z->clean = false;
	z->hello = (struct zone_hello){0};
	zone_set_phase(z, PHASE_STARTING);
	z->why[0] = 0;
	zone_say(z, "starting");
	zone_soon(z->m);
	return 0;
}

int zone_adopt(struct applied *z)
{
	struct error e = {0};
	uint64_t ticks = 0;

	if (z->rec.pid <= 1)
		return -ESRCH;
	z->pidfd = pidfd_open(z->rec.pid, 0);
	if (z->pidfd < 0)
		return -ESRCH;
	/* In this order: from here on the pid cannot change hands unseen. */
	if (start_ticks(z->m, z->rec.pid, &ticks) < 0 || ticks != z->rec.start_ticks ||
	    !zone_holds(z, z->rec.pid)) {
		close_fd(&z->pidfd);
		return -ESRCH;
	}
	z->is_child = false;
	z->groups = true;
	if (zone_mark_groups(z, &e) < 0) /* an earlier czd left no mark */
		log_warn("zone %s: %s", z->name, e.msg);
	return zone_watch(z);
}
