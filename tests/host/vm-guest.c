/* SPDX-License-Identifier: MIT */
/*
 * The least guest that cz-vm takes for one: PID 1, static. It says ready, answers what it is asked
 * (vcpus, power-down), counts a log line each second, echoes terminals, and tells on the console
 * what it sees of the shared root file system. To test cz-vm without all that cz-guest does.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "channel/channel.h"
#include "guest-ports.h"

static struct channel *channels[CHANNEL_NR];
static bool deaf, anew;

static void say(const char *text)
{
	if (channel_write(channels[CHANNEL_CONTROL], CHANNEL_MESSAGE, 0, text, strlen(text)) < 0)
		printf("guest: not said\n");
}

static void on_control(const char *text)
{
	const char *id = strstr(text, "\"id\":");
	char answer[256];

	snprintf(answer, sizeof(answer), "{\"id\":%lu,\"ok\":true,\"policy\":\"none\"}",
		 id ? strtoul(id + 5, NULL, 10) : 0);
	printf("guest: %s\n", text);
	if (deaf)
		return;
	say(answer);
	if (strstr(text, "\"anew\"")) /* an app of that name: the session begins anew */
		anew = true;
	if (strstr(text, "\"panic\"")) /* an app of that name: process 1 ends */
		exit(7);
	if (strstr(text, "\"power-down\"")) {
		sync();
		reboot(RB_POWER_OFF);
	}
}

/* A terminal opened with "count" says at its end how much it was given, and the bytes' sum. */
static bool counting;
static unsigned long count, sum;

static void on_counted(enum channel_port port, const struct channel_frame *f)
{
	char text[64];
	int n;

	for (size_t i = 0; f->type == CHANNEL_DATA && i < f->len; i++, count++)
		sum += (unsigned char)f->data[i];
	if (f->type != CHANNEL_CLOSED)
		return;
	n = snprintf(text, sizeof(text), "%lu %lu", count, sum);
	if (channel_write(channels[port], CHANNEL_DATA, f->stream, text, (size_t)n) < 0)
		printf("guest: no count\n");
}

static void on_frame(const struct channel_frame *f, void *arg)
{
	enum channel_port port = *(enum channel_port *)arg;
	char text[4096];

	snprintf(text, sizeof(text), "%.*s", (int)f->len, f->data);
	if (f->type == CHANNEL_OPEN)
		counting = strstr(text, "count");
	if (counting)
		on_counted(port, f);
	if (f->type == CHANNEL_MESSAGE)
		on_control(text);
	else if (f->type == CHANNEL_OPEN &&
		 channel_write(channels[port], CHANNEL_OPENED, f->stream, "{\"ok\":true}", 11) < 0)
		printf("guest: no terminal\n");
	else if (f->type == CHANNEL_DATA && !deaf && !counting &&
		 channel_write(channels[port], CHANNEL_DATA, f->stream, f->data, f->len) < 0)
		printf("guest: no echo\n");
	else if (f->type == CHANNEL_CLOSED || f->type == CHANNEL_END)
		if (channel_write(channels[port], CHANNEL_END, f->stream, "\7\0\0\0", 4) < 0)
			printf("guest: no end\n");
	channel_consumed(channels[port], f->stream, f->len);
}

static const char *access_word(const char *path)
{
	int fd = open(path, O_RDONLY);
	char byte;
	const char *word = fd < 0 ? "no" : read(fd, &byte, 1) == 1 ? "readable" : "there";

	if (fd >= 0)
		close(fd);
	return word;
}

static void look_at_root(void)
{
	static const char *const paths[] = {"/mnt/bin/true",
					    "/mnt/etc/passwd",
					    "/mnt/etc/shadow",
					    "/mnt/root/.bashrc",
					    "/mnt/etc/ssh/ssh_config",
					    "/mnt/home",
					    "/mnt/hello",
					    "/mnt/var/tmp/cz-test/root's",
					    "/mnt/var/tmp/cz-test/everybody's"};
	int fd;

	mkdir("/mnt", 0755);
	if (mount("cz-root", "/mnt", "virtiofs", 0, NULL) < 0) {
		printf("guest: no shared root: %m\n");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		printf("guest: %s %s\n", paths[i], access_word(paths[i]));
	fd = open("/mnt/usr/written", O_WRONLY | O_CREAT, 0644);
	printf("guest: write %s\n", fd < 0 ? strerror(errno) : "ok");
	fd = mknod("/mnt/tmp/sda", S_IFBLK | 0600, makedev(8, 0));
	printf("guest: mknod %s\n", fd < 0 ? strerror(errno) : "ok");
	printf("guest: remount %s\n", chmod("/mnt/usr", 0777) < 0 ? strerror(errno) : "chmod ok");
}

static void look_at_disk(void)
{
	int fd = open("/dev/vda", O_RDWR);
	char text[64] = "";

	if (fd < 0)
		return;
	if (pread(fd, text, 32, 4096) == 32)
		printf("guest: disk before '%.32s'\n", text);
	if (pread(fd, text, 32, 0) == 32)
		printf("guest: disk base '%.32s'\n", text);
	memset(text, 0, sizeof(text));
	strcpy(text, "written by the guest");
	if (pwrite(fd, text, 32, 4096) != 32 || fsync(fd) < 0)
		printf("guest: disk not written\n");
	close(fd);
}

static void start(void)
{
	char line[4096];
	uint8_t bytes[CHANNEL_NONCE];

	guest_start(line, sizeof(line));
	printf("guest: cmdline %s\n", line);
	deaf = strstr(line, " test=deaf");
	if (strstr(line, "cz.root=virtiofs"))
		look_at_root();
	look_at_disk();
	guest_nonce(line, bytes);
	for (enum channel_port i = 0; i < CHANNEL_NR; i++) {
		if (channel_new(i, bytes, (uint32_t)clock_mono_ns() | 1, &channels[i]) < 0)
			printf("guest: no channel\n");
	}
}

static void port_io(enum channel_port port, int fd)
{
	char buf[65536];
	const void *data;
	ssize_t n;
	size_t len;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		channel_feed(channels[port], buf, (size_t)n, on_frame, &port);
	while ((data = channel_pending(channels[port], &len)), len > 0) {
		n = write(fd, data, len);
		if (n <= 0)
			break;
		channel_sent(channels[port], (size_t)n);
	}
}

static void each_second(unsigned int second)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "line %u\n", second);

	for (size_t i = 0; i < CHANNEL_NR; i++)
		channel_tick(channels[i]);
	if (channel_write(channels[CHANNEL_LOG], CHANNEL_NAME, 0, "web", 3) == 0 &&
	    channel_write(channels[CHANNEL_LOG], CHANNEL_DATA, 0, line, (size_t)n) < 0)
		printf("guest: no log\n");
	if (channel_up(channels[CHANNEL_CONTROL]))
		say("{\"event\":\"stats\",\"policy\":\"none\",\"apps\":[]}");
}

int main(void)
{
	struct pollfd polls[CHANNEL_NR];
	uint64_t next_ns = 0;
	unsigned int second = 0;
	uint64_t told = 0; /* the last session that heard ready */

	start();
	for (enum channel_port i = 0; i < CHANNEL_NR; i++)
		polls[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	for (;;) {
		poll(polls, CHANNEL_NR, 50);
		for (enum channel_port i = 0; i < CHANNEL_NR; i++) {
			if (polls[i].fd < 0) /* the driver may still be looking for it */
				polls[i].fd = guest_open_port(i);
			port_io(i, polls[i].fd);
		}
		if (anew)
			channel_restart(channels[CHANNEL_CONTROL]);
		anew = false;
		if (clock_mono_ns() > next_ns) {
			each_second(second++);
			next_ns = clock_mono_ns() + 1000000000;
		}
		if (channel_up(channels[CHANNEL_CONTROL]) &&
		    told != channel_counts(channels[CHANNEL_CONTROL])->sessions) {
			told = channel_counts(channels[CHANNEL_CONTROL])->sessions;
			say("{\"event\":\"ready\",\"v\":1,\"kernel\":\"7\",\"uptime_ms\":1,"
			    "\"cpus\":2,\"online\":1}");
		}
	}
}
