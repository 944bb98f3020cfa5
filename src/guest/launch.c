/* SPDX-License-Identifier: MIT */
#include "guest/launch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "guest/app-spec.h"
#include "guest/policy.h"
#include "guest/spawn.h"

#define USERS_FILE_MAX 65536

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

/* crun runs in the app's cgroup and leaves cgroups alone: limits are ours. */
static int launch_bundle(struct app *a, const int stdio[3], struct error *reterr)
{
	static const char *const places[] = {"/usr/bin/crun", "/usr/local/bin/crun", "/bin/crun",
					     "/usr/sbin/crun"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char *argv[] = {(char *)places[i],
				"--cgroup-manager=disabled",
				"run",
				"--bundle",
				a->spec.bundle,
				a->spec.name,
				NULL};

		if (access(places[i], X_OK) == 0)
			return launch_beside(a, argv, stdio, false, reterr);
	}
	return error_set(reterr, -ENOENT,
			 "an OCI bundle needs crun in the zone's root file system: there is none");
}

int launch_app(struct app *a, const int stdio[3], struct error *reterr)
{
	if (a->spec.bundle)
		return launch_bundle(a, stdio, reterr);
	if (!a->spec.command || !a->spec.command[0])
		return error_set(reterr, -EINVAL, "no command");
	return launch_beside(a, a->spec.command, stdio, false, reterr);
}
