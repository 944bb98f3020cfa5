/* SPDX-License-Identifier: MIT */
/* Pressure stall information: "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345" (us). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "kernel/kio.h"
#include "kernel/procfs.h"
#include "kernel/text.h"

static int parse_total(const struct text_line *l, uint64_t *ret_ns)
{
	const char *p = memmem(l->start, l->len, " total=", 7);
	const char *end = l->start + l->len;
	uint64_t us;

	if (!p)
		return -EINVAL;
	p += 7;
	if (p == end || *p < '0' || *p > '9')
		return -EINVAL;
	if (scan_u64(&p, end, &us) < 0 || p != end)
		return -EINVAL;
	*ret_ns = saturating_mul(us, 1000);
	return 0;
}

int psi_parse(const char *text, struct psi_line *ret)
{
	struct psi_line out = {0};
	struct text_line l;
	bool some = false;
	int r;

	while ((r = text_next_line(&text, &l)) > 0) {
		if (l.len > 5 && !memcmp(l.start, "some ", 5)) {
			some = true;
			r = parse_total(&l, &out.some_ns);
		} else if (l.len > 5 && !memcmp(l.start, "full ", 5)) {
			r = parse_total(&l, &out.full_ns);
		}
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (!some)
		return -EINVAL;
	*ret = out;
	return 0;
}

int psi_trigger_open(int dirfd, const char *path, uint64_t stall_ns, uint64_t window_ns)
{
	_cleanup_close_ int fd = kio_openat(dirfd, path, O_RDWR | O_NONBLOCK);
	char text[64];
	int n;

	if (fd < 0)
		return fd;
	n = snprintf(text, sizeof(text), "some %llu %llu", (unsigned long long)stall_ns / 1000,
		     (unsigned long long)window_ns / 1000);
	if (write(fd, text, (size_t)n + 1) < 0)
		return -errno;
	return TAKE_FD(fd);
}
