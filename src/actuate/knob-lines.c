/* SPDX-License-Identifier: MIT */
#include "actuate/knob-lines.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#define LINES_MAX 64
#define FILE_MAX  8192

struct lines {
	size_t nr;
	char *items[LINES_MAX]; /* point into the text that was split */
};

static int split(char *text, const char *by, struct lines *ret)
{
	char *line;

	ret->nr = 0;
	while ((line = strsep(&text, by))) {
		if (!*line)
			continue;
		if (ret->nr == LINES_MAX)
			return -ENAMETOOLONG;
		ret->items[ret->nr++] = line;
	}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int join(struct lines *l, char *buf, size_t size)
{
	size_t len = 0;

	qsort(l->items, l->nr, sizeof(l->items[0]), by_text);
	buf[0] = '\0';
	for (size_t i = 0; i < l->nr; i++) {
		int n = snprintf(buf + len, size - len, "%s%s", i ? ";" : "", l->items[i]);

		if (n < 0 || (size_t)n >= size - len)
			return -ENAMETOOLONG;
		len += (size_t)n;
	}
	return 0;
}

int lines_read(int dirfd, const char *name, char *buf, size_t size)
{
	char text[FILE_MAX];
	struct lines l;
	ssize_t n = read_file_at(dirfd, name, text, sizeof(text));
	int r = n < 0 ? (int)n : split(text, "\n", &l);

	return r < 0 ? r : join(&l, buf, size);
}

static bool is_of(const char *line, const char *dev)
{
	size_t len = strcspn(dev, " ");

	return !strncmp(line, dev, len) && line[len] == ' ';
}

static const char *find(const struct lines *l, const char *dev)
{
	for (size_t i = 0; i < l->nr; i++)
		if (is_of(l->items[i], dev))
			return l->items[i];
	return NULL;
}

static int lift(int dirfd, const char *name, bool v2, const char *line)
{
	char text[128];
	int r = str_printf(text, sizeof(text), "%.*s %s", (int)strcspn(line, " "), line,
			   v2 ? "rbps=max wbps=max riops=max wiops=max" : "0");

	return r < 0 ? r : write_file_at(dirfd, name, text);
}

int lines_write(int dirfd, const char *name, bool v2, const char *text)
{
	char before[FILE_MAX], after[FILE_MAX];
	struct lines was, now;
	ssize_t n = read_file_at(dirfd, name, before, sizeof(before));
	int r = n < 0 ? (int)n : split(before, "\n", &was);

	if (r >= 0)
		r = str_copy(after, sizeof(after), text) ? split(after, ";", &now) : -ENAMETOOLONG;
	for (size_t i = 0; r >= 0 && i < was.nr; i++)
		if (!find(&now, was.items[i]))
			r = lift(dirfd, name, v2, was.items[i]);
	for (size_t i = 0; r >= 0 && i < now.nr; i++) {
		const char *old = find(&was, now.items[i]);

		if (!old || strcmp(old, now.items[i]))
			r = write_file_at(dirfd, name, now.items[i]);
	}
	return r;
}

bool lines_get(const char *text, const char *dev, char *buf, size_t size)
{
	char copy[FILE_MAX];
	struct lines l;
	const char *line;

	if (!str_copy(copy, sizeof(copy), text) || split(copy, ";", &l) < 0)
		return false;
	line = find(&l, dev);
	return line && str_copy(buf, size, line);
}

int lines_set(char *text, size_t size, const char *dev, const char *line)
{
	char copy[FILE_MAX], new[FILE_MAX];
	struct lines l;
	size_t kept = 0;
	int r;

	if (!str_copy(copy, sizeof(copy), text) || !str_copy(new, sizeof(new), line))
		return -ENAMETOOLONG;
	r = split(copy, ";", &l);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.nr; i++)
		if (!is_of(l.items[i], dev))
			l.items[kept++] = l.items[i];
	if (kept == LINES_MAX)
		return -ENAMETOOLONG;
	l.items[kept++] = new;
	l.nr = kept;
	return join(&l, text, size);
}

/* memory.oom_control: "oom_kill_disable 0" and more lines. */
int oom_pause_read(int dirfd, const char *name, char *buf, size_t size)
{
	char text[256];
	ssize_t n = read_file_at(dirfd, name, text, sizeof(text));

	if (n < 0)
		return (int)n;
	if (strncmp(text, "oom_kill_disable ", 17))
		return -EOPNOTSUPP;
	return str_copy(buf, size, text[17] == '1' ? "1" : "0") ? 0 : -ENAMETOOLONG;
}
