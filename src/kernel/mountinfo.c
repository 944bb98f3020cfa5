/* SPDX-License-Identifier: MIT */
#include "kernel/mountinfo.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/kio.h"

bool list_has(const char *list, const char *separators, const char *word)
{
	size_t n = strlen(word);

	while (*list) {
		size_t len = strcspn(list, separators);

		if (len == n && !memcmp(list, word, n))
			return true;
		list += len;
		list += strspn(list, separators);
	}
	return false;
}

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

static struct text_line next_word(const char **p, const char *end)
{
	struct text_line w;

	while (*p < end && **p == ' ')
		(*p)++;
	w.start = *p;
	while (*p < end && **p != ' ')
		(*p)++;
	w.len = (size_t)(*p - w.start);
	return w;
}

bool word_is(const struct text_line *w, const char *s)
{
	return w->len == strlen(s) && !memcmp(w->start, s, w->len);
}

int mount_path(const struct text_line *mount, char *buf, size_t size)
{
	const char *src = mount->start;
	size_t len = mount->len;
	size_t o = 0;

	for (size_t i = 0; i < len; i++) {
		char c = src[i];

		if (c == '\\' && i + 3 < len && is_octal(src + i + 1)) {
			c = (char)((src[i + 1] - '0') << 6 | (src[i + 2] - '0') << 3 |
				   (src[i + 3] - '0'));
			i += 3;
		}
		if (o + 1 >= size)
			return -ENAMETOOLONG;
		buf[o++] = c;
	}
	buf[o] = '\0';
	return 0;
}

int mountinfo_parse(const char *line, size_t len, struct mount_words *ret)
{
	/* id parent major:minor root MOUNT options [optional ...] - TYPE source OPTIONS */
	const char *p = line, *end = line + len;
	struct mount_words m = {0};
	struct text_line w;

	for (int i = 0; i < 5; i++)
		m.mount = next_word(&p, end);
	if (!m.mount.len)
		return -EINVAL;
	do {
		w = next_word(&p, end);
		if (!w.len)
			return -EINVAL;
	} while (!word_is(&w, "-"));
	m.type = next_word(&p, end);
	if (!m.type.len)
		return -EINVAL;
	next_word(&p, end);
	m.options = next_word(&p, end);
	*ret = m;
	return 0;
}

int mountinfo_each(const struct kernel *k, int (*cb)(const char *line, size_t len, void *arg),
		   void *arg)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int fd = kio_openat(k->root_fd, "proc/self/mountinfo", O_RDONLY);

	if (fd < 0)
		return fd;
	f = fdopen(fd, "re");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	while ((n = getline(&line, &cap, f)) > 0) {
		int r = line[n - 1] == '\n' ? cb(line, (size_t)n - 1, arg) : -EINVAL;

		if (r)
			return r;
	}
	return ferror(f) ? -EIO : 0;
}
