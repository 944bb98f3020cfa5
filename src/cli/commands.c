/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <fcntl.h>
#include <stdio.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "cli/show.h"
#include "cli/stack.h"

#define LINE_MAX_BYTES 1024

/* A longer one is cut. */
static ssize_t read_start(int procfd, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(procfd, "cmdline", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : read(fd, buf, size);
}

static json_t *command_of(const json_t *row)
{
	char path[32], raw[LINE_MAX_BYTES + 1], safe[LINE_MAX_BYTES];
	const char *comm = get_text(row, "comm");
	_cleanup_close_ int procfd = -1;
	uint64_t pid;
	ssize_t n;

	if (!get_number(row, "pid", &pid) || !pid || pid > INT32_MAX || !comm[0])
		return json_null();
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	procfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0 || !thread_is_still(procfd, comm))
		return json_null();
	n = read_start(procfd, raw, LINE_MAX_BYTES);
	while (n > 0 && !raw[n - 1])
		n--;
	if (n <= 0)
		return json_null();
	for (ssize_t i = 0; i < n; i++)
		raw[i] = raw[i] ? raw[i] : ' ';
	raw[n] = '\0';
	return json_string(str_escape(safe, sizeof(safe), raw));
}

void commands_add(json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) json_object_set_new(row, "cmdline", command_of(row));
}
