/* SPDX-License-Identifier: MIT */
#include "spec/walk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/str.h"

void walk_complain(struct walk *w, uint32_t line, const char *fmt, ...)
{
	char msg[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	error_list_add(w->errs, w->name, line, "%s%s%s", w->path, w->path[0] ? ": " : "", msg);
}

size_t walk_enter(struct walk *w, const char *key)
{
	size_t before = strlen(w->path);

	snprintf(w->path + before, sizeof(w->path) - before, "%s%s",
		 before && key[0] != '[' ? "." : "", key);
	return before;
}

void walk_leave(struct walk *w, size_t before)
{
	w->path[before] = 0;
}

bool walk_is_absent(const struct node *n)
{
	return n->kind == NODE_SCALAR && !n->quoted &&
	       (!n->text[0] || !strcmp(n->text, "~") || !strcmp(n->text, "null"));
}

const char *walk_lack(const struct node *n)
{
	return n->kind == NODE_MAPPING	  ? "expected one value, not keys"
	       : n->kind == NODE_SEQUENCE ? "expected one value, not a list"
					  : "a value is missing here";
}

void walk_unknown_key(struct walk *w, const struct node *n, const void *rows, size_t row_size)
{
	char shown[80], known[200] = "";
	unsigned int distance, least = 3;
	const char *best = NULL, *name;
	const char *row = rows;
	size_t len = 0;

	str_escape(shown, sizeof(shown), n->key);
	for (; (name = *(const char *const *)row); row += row_size) {
		distance = str_distance(name, shown);
		/* Half of the longer one has to be the same. */
		if (distance < least &&
		    (2 * distance <= strlen(name) || 2 * distance <= strlen(shown))) {
			least = distance;
			best = name;
		}
		if (len < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
						len ? ", " : "", name);
	}
	if (best)
		walk_complain(w, n->key_line, "unknown key '%s'. Did you mean '%s'?", shown, best);
	else
		walk_complain(w, n->key_line, "unknown key '%s' (known: %s)", shown, known);
}

size_t walk_list(struct walk *w, const struct node *n, size_t max)
{
	size_t nr = 0;

	if (walk_is_absent(n))
		return 0;
	if (n->kind != NODE_SEQUENCE) {
		walk_complain(w, n->line, "expected a list here ('- ...' lines or [a, b])");
		return 0;
	}
	for (const struct node *e = n->first; e; e = e->next)
		nr++;
	if (nr <= max)
		return nr;
	walk_complain(w, n->line, "%zu entries; at most %zu are possible", nr, max);
	return 0;
}

int walk_fail(struct error_list *errs, const char *name, int code, const char *what)
{
	errs->nr = errs->total = 0;
	error_list_add(errs, name, 0, "%s", what);
	return code;
}

int walk_read_file(int dirfd, const char *path, char **ret, size_t *ret_len,
		   struct error_list *errs)
{
	_cleanup_free_ char *buf = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	/* O_NONBLOCK: opening a FIFO must not hang */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return walk_fail(errs, path, -errno, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) /* /dev/null is an empty file */
		return walk_fail(errs, path, -EINVAL, "not a regular file");
	buf = malloc(SPEC_SIZE_MAX + 2);
	if (!buf)
		return walk_fail(errs, path, -ENOMEM, strerror(ENOMEM));
	while ((n = read(fd, buf + len, SPEC_SIZE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return walk_fail(errs, path, -errno, strerror(errno));
	if (len > SPEC_SIZE_MAX)
		return walk_fail(errs, path, -EFBIG, "larger than 1 MiB");
	buf[len] = 0;
	*ret = TAKE_PTR(buf);
	*ret_len = len;
	return 0;
}
