/* SPDX-License-Identifier: MIT */
#include "guest/term-open.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "guest/apps.h"
#include "guest/launch.h"
#include "guest/spawn.h"

#define WORDS_MAX BESIDE_WORDS_MAX

struct request {
	const char *words[WORDS_MAX + 1];
	const char *app; /* NULL: none */
	bool shell, tty;
	struct winsize size;
};

static int size_of(const json_t *j, const char *key, unsigned short fallback, unsigned short *ret)
{
	const json_t *n = json_object_get(j, key);
	json_int_t value = n ? json_integer_value(n) : fallback;

	if (value < 1 || value > 4096)
		return -EINVAL;
	*ret = (unsigned short)value;
	return 0;
}

static int read_words(const json_t *argv, struct request *r)
{
	size_t n = json_array_size(argv);

	if (n < 1 || n > WORDS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		r->words[i] = json_string_value(json_array_get(argv, i));
		if (!r->words[i])
			return -EINVAL;
	}
	return 0;
}

static int read_request(const json_t *j, struct request *ret, struct error *reterr)
{
	const char *verb = json_string_value(json_object_get(j, "do"));

	ret->shell = verb && !strcmp(verb, "conn");
	if (!ret->shell && (!verb || strcmp(verb, "exec") != 0))
		return error_set(reterr, -EINVAL, "a terminal is for conn or exec");
	ret->tty = ret->shell || json_is_true(json_object_get(j, "tty"));
	ret->app = json_string_value(json_object_get(j, "app"));
	if (size_of(j, "rows", 24, &ret->size.ws_row) < 0 ||
	    size_of(j, "cols", 80, &ret->size.ws_col) < 0)
		return error_set(reterr, -EINVAL, "rows and cols: 1 to 4096");
	if (!ret->shell && read_words(json_object_get(j, "argv"), ret) < 0)
		return error_set(reterr, -EINVAL, "argv: 1 to %d words", WORDS_MAX);
	return 0;
}

/* Our end, and the program's. */
static int open_tty(const struct winsize *size, int *ret_ours, int *ret_theirs)
{
	_cleanup_close_ int ours = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	int theirs, zero = 0;

	if (ours < 0)
		return -errno;
	if (ioctl(ours, TIOCSPTLCK, &zero) < 0)
		return -errno;
	theirs = ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (theirs < 0)
		return -errno;
	ioctl(ours, TIOCSWINSZ, size);
	*ret_ours = TAKE_FD(ours);
	*ret_theirs = theirs;
	return 0;
}

static int open_pipe(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

/* Ours into the terminal, theirs into stdio. */
static int open_stdio(struct term *t, const struct request *req, int stdio[3])
{
	int r;

	if (req->tty) {
		r = open_tty(&req->size, &t->out[0], &stdio[0]);
		if (r < 0)
			return r;
		stdio[1] = fcntl(stdio[0], F_DUPFD_CLOEXEC, 3);
		stdio[2] = fcntl(stdio[0], F_DUPFD_CLOEXEC, 3);
		t->in = fcntl(t->out[0], F_DUPFD_CLOEXEC, 3);
		return stdio[1] < 0 || stdio[2] < 0 || t->in < 0 ? -EMFILE : 0;
	}
	r = open_pipe(&stdio[0], &t->in);
	if (r == 0)
		r = open_pipe(&t->out[0], &stdio[1]);
	if (r == 0)
		r = open_pipe(&t->out[1], &stdio[2]);
	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++)
		fcntl(t->out[i], F_SETFL, O_NONBLOCK);
	return fcntl(t->in, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* The root's own shell, or the busybox that came with us. */
static int spawn_shell(struct term *t, const int stdio[3], struct error *reterr)
{
	static const char *const shells[] = {"/bin/bash", "/bin/sh"};
	_cleanup_close_ int busybox = -1;
	char *argv[] = {"sh", "-l", NULL};
	struct spawn s = {.argv = argv,
			  .cgroup_fd = -1,
			  .exec_fd = -1,
			  .terminal = true,
			  .stdio = {stdio[0], stdio[1], stdio[2]}};

	if (access("/root", X_OK) == 0)
		s.workdir = "/root";
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (access(shells[i], X_OK) == 0) {
			argv[0] = (char *)shells[i];
			return spawn(&s, reterr);
		}
	busybox = openat(t->guest->initramfs_fd, "bin/busybox", O_PATH | O_CLOEXEC);
	if (busybox < 0)
		return error_set(reterr, -ENOENT, "the zone has no shell");
	s.exec_fd = busybox;
	return spawn(&s, reterr);
}

static int spawn_for(struct term *t, struct request *req, const int stdio[3], struct error *reterr)
{
	struct app *a = req->app ? app_find(t->guest, req->app) : NULL;
	struct spawn s = {.argv = (char *const *)req->words,
			  .cgroup_fd = -1,
			  .exec_fd = -1,
			  .terminal = req->tty,
			  .stdio = {stdio[0], stdio[1], stdio[2]}};

	if (req->app && !a)
		return error_set(reterr, -ENOENT, "no such app");
	if (req->shell && !a)
		return spawn_shell(t, stdio, reterr);
	if (req->shell) {
		req->words[0] = "/bin/sh";
		req->words[1] = NULL;
	}
	return a ? launch_beside(a, s.argv, stdio, req->tty ? FOR_TERMINAL : FOR_PIPES, reterr)
		 : spawn(&s, reterr);
}

int term_open(struct term *t, const char *request, size_t len, struct error *reterr)
{
	json_t *j = json_loadb(request, len, JSON_REJECT_DUPLICATES, NULL);
	int stdio[3] = {-1, -1, -1};
	struct request req = {0};
	int r = read_request(j, &req, reterr);

	if (r == 0) {
		t->pending = malloc(CHANNEL_WINDOW);
		r = t->pending ? open_stdio(t, &req, stdio) : -ENOMEM;
	}
	if (r == 0)
		r = spawn_for(t, &req, stdio, reterr);
	json_decref(j);
	for (int i = 0; i < 3; i++)
		close_fd(&stdio[i]);
	if (r < 0) {
		close_fd(&t->in);
		close_fd(&t->out[0]);
		close_fd(&t->out[1]);
		free(TAKE_PTR(t->pending));
		return r;
	}
	t->pid = r;
	t->tty = req.tty;
	return 0;
}
