/* SPDX-License-Identifier: MIT */
/* Tells czd the latencies of each interval: lines "v1 ZONE latency_ns VALUE COUNT" in one datagram.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "bench/load.h"

#define NUMBER_DIGITS 20

int feed_open(const char *path, struct error *reterr)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;

	if (!str_copy(a.sun_path, sizeof(a.sun_path), path))
		return error_set(reterr, -ENAMETOOLONG, "--feed: the path is too long");
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return error_errno(reterr, -errno, "--feed: %s", path);
	return TAKE_FD(fd);
}

/* How many lines there are when 2^shift buckets are put together. */
static unsigned int count_groups(const struct hist *h, unsigned int shift)
{
	unsigned int groups = 0, last = UINT32_MAX;

	for (unsigned int b = 0; b < HIST_BUCKETS; b++) {
		if (h->count[b] && b >> shift != last) {
			last = b >> shift;
			groups++;
		}
	}
	return groups;
}

static void add_group(const struct hist *h, const char *zone, unsigned int first, unsigned int end,
		      struct strbuf *out)
{
	uint64_t count = 0;
	double sum = 0;

	for (unsigned int b = first; b < end && b < HIST_BUCKETS; b++) {
		count += h->count[b];
		sum += (double)h->count[b] * (double)hist_bucket_value(b);
	}
	if (count)
		strbuf_printf(out, "v1 %s latency_ns %.0f %" PRIu64 "\n", zone, sum / (double)count,
			      count);
}

void feed_format(const struct hist *h, const char *zone, struct strbuf *out)
{
	size_t line_max = strlen("v1  latency_ns  \n") + strlen(zone) + 2 * NUMBER_DIGITS;
	unsigned int lines_max = (unsigned int)(FEED_DATAGRAM_MAX / line_max), shift = 0;

	/* As fine as fits: typically groups of 4 buckets, within 2 % of the values. */
	while (count_groups(h, shift) > lines_max)
		shift++;
	for (unsigned int b = 0; b < HIST_BUCKETS; b += 1u << shift)
		add_group(h, zone, b, b + (1u << shift), out);
}

void feed_send(int fd, const struct hist *h, const char *zone)
{
	struct strbuf out = {0};

	feed_format(h, zone, &out);
	/* A full or vanished daemon must not disturb the load: the next interval tells it again. */
	if (out.len && !out.failed)
		(void)send(fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	strbuf_done(&out);
}
