/* SPDX-License-Identifier: MIT */
#include "guest/launch.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "guest/app-spec.h"
#include "guest/bundle.h"
#include "guest/policy.h"
#include "guest/spawn.h"

#define USERS_FILE_MAX 65536
#define PATH_SIZE      256
#define CRUN_ROOT      "/run/cz/crun" /* the state of containers, by the name of the app */
#define CRUN_OPTIONS   "--cgroup-manager=disabled", "--root", CRUN_ROOT
#define CONFIGS	       "/run/cz/bundles"

static inline void app_env_freep(char ***env)
{
	app_env_free(*env);
}

static char *read_users(const char *path)
{
	char *text = calloc(1, USERS_FILE_MAX);

	if (text && read_file_at(AT_FDCWD, path, text, USERS_FILE_MAX) < 0)
		text[0] = 0; /* a root without users: numbers still work */
	return text;
}

static int find_user(const char *who, struct user *ret, struct error *reterr)
{
	_cleanup_free_ char *passwd = read_users("/etc/passwd"), *group = read_users("/etc/group");
	int r = passwd && group ? user_find(passwd, group, who, ret) : -ENOMEM;

	return r < 0 ? error_errno(reterr, r, "user %s", who) : 0;
}

static int launch_in_root(struct app *a, char *const *argv, const int stdio[3], bool terminal,
			  struct error *reterr)
{
	_cleanup_(app_env_freep) char **env = app_env(&a->spec);
	struct user user;
	struct spawn s = {
	    .argv = argv,
	    .env = env,
	    .cgroup_fd = a->cgroup_fd,
	    .stdio = {stdio[0], stdio[1], stdio[2]},
	    .exec_fd = -1,
	    .ext = policy_takes(a->guest, a->spec.class),
	    .terminal = terminal,
	    .workdir = a->spec.workdir,
	};
	int r;

	if (!env)
		return error_errno(reterr, -ENOMEM, "environment");
	if (a->spec.user) {
		r = find_user(a->spec.user, &user, reterr);
		if (r < 0)
			return r;
		s.user = &user;
	}
	return spawn(&s, reterr);
}

/* ---- OCI bundles ---- */

static const char *find_crun(void)
{
	static const char *const places[] = {"/usr/bin/crun", "/usr/local/bin/crun", "/bin/crun",
					     "/usr/sbin/crun"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	remove(path);
	return 0;
}

/* A file with the pid of what a health command runs in the container. */
static int health_pid_path(const struct app *a, char buf[static PATH_SIZE])
{
	return str_printf(buf, PATH_SIZE, CONFIGS "/%s.health", a->spec.name);
}

void launch_forget(const struct app *a)
{
	char path[PATH_SIZE];

	if (str_printf(path, sizeof(path), CRUN_ROOT "/%s", a->spec.name) == 0)
		nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (str_printf(path, sizeof(path), CONFIGS "/%s.json", a->spec.name) == 0)
		unlink(path);
	if (health_pid_path(a, path) == 0)
		unlink(path);
}

/* Neither a fifo nor a device: process 1 would wait for it. */
static ssize_t read_config(const char *bundle, char *text, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[4200];
	struct stat st;

	if (str_printf(path, sizeof(path), "%s/config.json", bundle) < 0)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? pread_text(fd, text, size) : -EINVAL;
}

/* What crun is told; the bundle itself is left alone. */
static int make_config(const struct zone_app *spec, const char *path, struct error *reterr)
{
	_cleanup_free_ char *text = malloc(BUNDLE_CONFIG_MAX + 1), *config = NULL;
	ssize_t n = text ? read_config(spec->bundle, text, BUNDLE_CONFIG_MAX + 1) : -ENOMEM;
	int r;

	if (n == -E2BIG)
		return error_set(reterr, -E2BIG, "the bundle's config.json is over %d KiB",
				 BUNDLE_CONFIG_MAX / 1024);
	if (n < 0)
		return error_errno(reterr, (int)n, "read config.json of the bundle");
	r = bundle_config(text, (size_t)n, spec, &config, reterr);
	if (r < 0)
		return error_wrap(reterr, r, "the bundle's config.json");
	mkdir("/run/cz", 0755);
	mkdir(CONFIGS, 0700);
	r = write_file_atomic(AT_FDCWD, path, config, strlen(config), 0600);
	return r < 0 ? error_errno(reterr, r, "write %s", path) : 0;
}

static int no_crun(struct error *reterr)
{
	return error_set(reterr, -ENOENT,
			 "an OCI bundle needs crun in the zone's root file system, and there is "
			 "none; with 'rootfs: host' it is the host's");
}

static int spawn_crun(struct app *a, const char *const *argv, const int stdio[3], bool terminal,
		      struct error *reterr)
{
	const struct spawn s = {
	    .argv = (char *const *)argv,
	    .cgroup_fd = a->cgroup_fd,
	    .exec_fd = -1,
	    .stdio = {stdio[0], stdio[1], stdio[2]},
	    .ext = policy_takes(a->guest, a->spec.class),
	    .terminal = terminal,
	};

	return argv[0] ? spawn(&s, reterr) : no_crun(reterr);
}

/* crun runs in the app's cgroup and leaves cgroups alone: limits are ours. It waits for the
 * container, hands signals on, and ends with its exit code. */
static int launch_bundle(struct app *a, const int stdio[3], struct error *reterr)
{
	char config[PATH_SIZE];
	const char *argv[] = {find_crun(), CRUN_OPTIONS, "run",	       "--bundle", a->spec.bundle,
			      "--config",  config,	 a->spec.name, NULL};
	int r;

	if (!argv[0])
		return no_crun(reterr);
	launch_forget(a); /* what a crun that was killed has left */
	r = str_printf(config, sizeof(config), CONFIGS "/%s.json", a->spec.name);
	if (r == 0)
		r = make_config(&a->spec, config, reterr);
	return r < 0 ? r : spawn_crun(a, argv, stdio, false, reterr);
}

/* As who runs in there, with the same environment. */
static int launch_in_container(struct app *a, char *const *argv, const int stdio[3],
			       enum launch_for what, struct error *reterr)
{
	const char *words[16 + BESIDE_WORDS_MAX] = {find_crun(), CRUN_OPTIONS, "exec"};
	char pid_file[PATH_SIZE];
	size_t n = 5;
	int r = health_pid_path(a, pid_file);

	if (r < 0)
		return r;
	if (!a->pid)
		return error_set(reterr, -ESRCH,
				 "app %s does not run, and has no container to enter",
				 a->spec.name);
	if (what == FOR_TERMINAL)
		words[n++] = "--tty";
	if (what == FOR_HEALTH) {
		unlink(pid_file); /* of the one before */
		words[n++] = "--pid-file";
		words[n++] = pid_file;
	}
	if (a->spec.workdir) {
		words[n++] = "--cwd";
		words[n++] = a->spec.workdir;
	}
	words[n++] = a->spec.name;
	while (*argv && n < ARRAY_SIZE(words) - 1)
		words[n++] = *argv++;
	if (*argv)
		return error_set(reterr, -E2BIG, "%d words at most", BESIDE_WORDS_MAX);
	return spawn_crun(a, words, stdio, what == FOR_TERMINAL, reterr);
}

int launch_beside(struct app *a, char *const *argv, const int stdio[3], enum launch_for what,
		  struct error *reterr)
{
	return a->spec.bundle ? launch_in_container(a, argv, stdio, what, reterr)
			      : launch_in_root(a, argv, stdio, what == FOR_TERMINAL, reterr);
}

void launch_kill_health(const struct app *a, pid_t pid)
{
	char path[PATH_SIZE];
	uint64_t inside;

	/* crun's end is not that of what it runs */
	if (a->spec.bundle && health_pid_path(a, path) == 0 &&
	    read_u64_at(AT_FDCWD, path, &inside) == 0 && inside > 1 && inside <= INT_MAX)
		kill((pid_t)inside, SIGKILL);
	kill(-pid, SIGKILL);
}

int launch_app(struct app *a, const int stdio[3], struct error *reterr)
{
	if (a->spec.bundle)
		return launch_bundle(a, stdio, reterr);
	if (!a->spec.command || !a->spec.command[0])
		return error_set(reterr, -EINVAL, "no command");
	return launch_in_root(a, a->spec.command, stdio, false, reterr);
}
