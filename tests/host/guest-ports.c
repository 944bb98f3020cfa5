/* SPDX-License-Identifier: MIT */
#include "guest-ports.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"

int guest_open_port(enum channel_port port)
{
	char path[300], name[64];

	for (int i = 0; i < 64; i++) { /* vport: which virtio device, which port of it */
		_cleanup_fclose_ FILE *f = NULL;
		int device = i / 8, nr = i % 8;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/vport%dp%d/name", device, nr);
		f = fopen(path, "re");
		if (!f || !fgets(name, sizeof(name), f))
			continue;
		name[strcspn(name, "\n")] = 0;
		snprintf(path, sizeof(path), "/dev/vport%dp%d", device, nr);
		if (strcmp(name, channel_port_name(port)) == 0)
			return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	return -1;
}

static void load_modules(void)
{
	struct dirent **names;
	int n = scandir("/lib/cz/modules", &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[300];
		int fd;

		snprintf(path, sizeof(path), "/lib/cz/modules/%s", names[i]->d_name);
		fd = open(path, O_RDONLY);
		if (names[i]->d_name[0] != '.' && syscall(SYS_finit_module, fd, "", 4) < 0)
			printf("guest: module %s: %m\n", names[i]->d_name);
		close(fd);
	}
}

void guest_start(char *line, size_t size)
{
	int fd;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	load_modules();
	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	memset(line, 0, size);
	if (fd < 0 || read(fd, line, size - 1) <= 0)
		printf("guest: no command line\n");
	close_fd(&fd);
}

void guest_nonce(char *line, uint8_t ret[CHANNEL_NONCE])
{
	char *nonce = strstr(line, "cz.nonce=");

	memset(ret, 0, CHANNEL_NONCE);
	if (nonce)
		nonce[9 + 2 * CHANNEL_NONCE] = 0;
	if (!nonce || channel_nonce_parse(nonce + 9, ret) < 0)
		printf("guest: no nonce\n");
}
