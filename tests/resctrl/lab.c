/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/io.h"
#include "lab.h"

#define PATIENCE_MS 10000

static void skip(const char *why)
{
	printf("skip: %s\n", why);
	exit(77);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

void lab_init(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		skip("/dev/fuse cannot be opened: it needs root and a kernel with FUSE");
	close(fd);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip("no mount namespace of its own: it needs root");
}

void lab_model(struct lab *lab, const char *model)
{
	int fd = open(lab->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || write_file_atomic(fd, "model", model, strlen(model), 0600) < 0)
		die("model");
	close(fd);
}

static void start(struct lab *lab)
{
	char model[96], dir[96];

	snprintf(model, sizeof(model), "%s/model", lab->root);
	snprintf(dir, sizeof(dir), "%s/sys/fs/resctrl", lab->root);
	lab->pid = fork();
	if (lab->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execl(FAKE_RESCTRL, "fake-resctrl", model, dir, NULL);
	_exit(127);
}

void lab_open(struct lab *lab, const char *model)
{
	static const char *const dirs[] = {"sys", "sys/fs", "sys/fs/resctrl"};
	struct error e = {0};
	char path[128];
	int r = -ENOENT;

	*lab = (struct lab){.rc.fd = -1};
	snprintf(lab->root, sizeof(lab->root), "/tmp/cz-resctrl-XXXXXX");
	if (!mkdtemp(lab->root))
		die("mkdtemp");
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", lab->root, dirs[i]);
		if (mkdir(path, 0700) < 0)
			die(path);
	}
	lab_model(lab, model);
	start(lab);
	if (kernel_open(lab->root, &lab->kernel, &e) < 0)
		die(e.msg);
	for (int ms = 0; r < 0 && ms < PATIENCE_MS; ms += 5) {
		if (waitpid(lab->pid, NULL, WNOHANG) == lab->pid)
			die("fake-resctrl ended at once");
		usleep(5000);
		r = resctrl_open(&lab->kernel, &lab->rc, &e);
	}
	if (r < 0) {
		fprintf(stderr, "fake-resctrl: %s\n", e.msg);
		exit(1);
	}
}

void lab_close(struct lab *lab)
{
	static const char *const names[] = {"sys/fs/resctrl", "sys/fs", "sys", "model", ""};
	char path[128];

	resctrl_close(&lab->rc);
	kernel_close(&lab->kernel);
	kill(lab->pid, SIGTERM);
	waitpid(lab->pid, NULL, 0);
	for (size_t i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/%s", lab->root, names[i]);
		if (remove(path) < 0)
			die(path);
	}
}

int lab_write(const struct lab *lab, const char *path, const char *text)
{
	return write_file_at(lab->rc.fd, path, text);
}

const char *lab_read(const struct lab *lab, const char *path)
{
	static char text[65536];

	if (read_file_at(lab->rc.fd, path, text, sizeof(text)) < 0)
		die(path);
	return text;
}
