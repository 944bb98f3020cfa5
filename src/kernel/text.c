/* SPDX-License-Identifier: MIT */
#include "kernel/text.h"

#include <string.h>

#include "base/parse.h"
#include "kernel/kio.h"

int text_next_line(const char **text, struct text_line *ret)
{
	const char *start = *text, *nl;

	if (!*start)
		return 0;
	nl = strchr(start, '\n');
	if (!nl)
		return -EINVAL;
	*ret = (struct text_line){start, (size_t)(nl - start)};
	*text = nl + 1;
	return 1;
}

static int key_value(const struct text_line *l, const struct text_key *key, uint64_t *ret)
{
	const char *p = l->start, *end = l->start + l->len;
	size_t n = strlen(key->key);

	if (l->len <= n || memcmp(p, key->key, n) != 0)
		return 0;
	p += n;
	if (*p == ':')
		p++;
	if (p == end || (*p != ' ' && *p != '\t'))
		return 0;
	return scan_u64(&p, end, ret) < 0 ? -EINVAL : 1;
}

int text_read_keys(const char *text, const struct text_key *keys, size_t n)
{
	struct text_line l;
	int found = 0, r;

	while ((r = text_next_line(&text, &l)) > 0) {
		for (size_t i = 0; i < n; i++) {
			r = key_value(&l, &keys[i], keys[i].value);
			if (r < 0)
				return r;
			if (r > 0) {
				found++;
				break;
			}
		}
	}
	return r < 0 ? r : found;
}

int text_u64(const char *text, uint64_t *ret)
{
	const char *end = strchr(text, '\n'), *p = text;
	uint64_t v;

	if (!end || end[1] || scan_u64(&p, end, &v) < 0 || p != end)
		return -EINVAL;
	*ret = v;
	return 0;
}

/* Keep the unread rest, and read on behind it. Returns what was read. */
static ssize_t refill(struct text_numbers *w)
{
	ssize_t n;

	memmove(w->buf, w->buf + w->pos, w->len - w->pos);
	w->len -= w->pos;
	w->pos = 0;
	if (w->len == sizeof(w->buf) - 1)
		return -EINVAL;
	n = kio_read(w->fd, w->buf + w->len, sizeof(w->buf) - 1 - w->len);
	if (n > 0)
		w->len += (size_t)n;
	return n;
}

int text_numbers_next(struct text_numbers *w, uint64_t *ret)
{
	const char *p, *nl;
	ssize_t n;

	while (!(nl = memchr(w->buf + w->pos, '\n', w->len - w->pos))) {
		n = refill(w);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return w->len ? -EINVAL : 0;
	}
	p = w->buf + w->pos;
	if (scan_u64(&p, nl, ret) < 0 || p != nl)
		return -EINVAL;
	w->pos = (size_t)(nl - w->buf) + 1;
	return 1;
}
