/* SPDX-License-Identifier: MIT */
#include "guest/launch.h"

#include <fcntl.h>
#include <ftw.h>
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
#define CRUN_ROOT      "/run/cz/crun" /* the state of containers, by the name of the app */
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

int launch_beside(struct app *a, char *const *argv, const int stdio[3], bool terminal,
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
	    /* that of a bundle is a place in its container */
	    .workdir = a->spec.bundle ? NULL : a->spec.workdir,
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

void launch_forget(const struct app *a)
{
	char path[256];

	if (str_printf(path, sizeof(path), CRUN_ROOT "/%s", a->spec.name) == 0)
		nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (str_printf(path, sizeof(path), CONFIGS "/%s.json", a->spec.name) == 0)
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

/* crun runs in the app's cgroup and leaves cgroups alone: limits are ours. It waits for the
 * container, hands signals on, and ends with its exit code. */
static int launch_bundle(struct app *a, const int stdio[3], struct error *reterr)
{
	char config[256];
	char *argv[] = {(char *)find_crun(),
			"--cgroup-manager=disabled",
			"--root",
			CRUN_ROOT,
			"run",
			"--bundle",
			a->spec.bundle,
			"--config",
			config,
			a->spec.name,
			NULL};
	const struct spawn s = {
	    .argv = argv,
	    .cgroup_fd = a->cgroup_fd,
	    .exec_fd = -1,
	    .stdio = {stdio[0], stdio[1], stdio[2]},
	    .ext = policy_takes(a->guest, a->spec.class),
	};
	int r;

	if (!argv[0])
		return error_set(
		    reterr, -ENOENT,
		    "an OCI bundle needs crun in the zone's root file system, and there is none; "
		    "with 'rootfs: host' it is the host's");
	launch_forget(a); /* what a crun that was killed has left */
	r = str_printf(config, sizeof(config), CONFIGS "/%s.json", a->spec.name);
	if (r == 0)
		r = make_config(&a->spec, config, reterr);
	return r < 0 ? r : spawn(&s, reterr);
}

int launch_app(struct app *a, const int stdio[3], struct error *reterr)
{
	if (a->spec.bundle)
		return launch_bundle(a, stdio, reterr);
	if (!a->spec.command || !a->spec.command[0])
		return error_set(reterr, -EINVAL, "no command");
	return launch_beside(a, a->spec.command, stdio, false, reterr);
}
