/* SPDX-License-Identifier: MIT */
#include "cli/perf-ring.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"

int perf_ring_open(struct perf_ring *ret, int fd, size_t pages)
{
	_cleanup_close_ int owned = fd;
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), data_bytes = pages * page_bytes;
	void *page = mmap(NULL, page_bytes + data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		return -errno;
	*ret = (struct perf_ring){.fd = TAKE_FD(owned), .page = page, .data_bytes = data_bytes};
	return 0;
}

void perf_ring_close(struct perf_ring *r)
{
	munmap(r->page, (size_t)sysconf(_SC_PAGESIZE) + r->data_bytes);
	close(r->fd);
}

static void ring_copy(const struct perf_ring *r, uint64_t at, void *dst, size_t n)
{
	const char *data = (const char *)r->page + sysconf(_SC_PAGESIZE);
	size_t start = at & (r->data_bytes - 1);
	size_t first = n < r->data_bytes - start ? n : r->data_bytes - start;

	memcpy(dst, data + start, first);
	memcpy((char *)dst + first, data, n - first);
}

void perf_ring_drain(const struct perf_ring *r, perf_record_fn *record, void *arg)
{
	uint64_t head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t at = r->page->data_tail, words[PERF_RECORD_WORDS];
	struct perf_event_header h;
	size_t n;

	for (; head - at >= sizeof(h); at += h.size) {
		ring_copy(r, at, &h, sizeof(h));
		if (h.size < sizeof(h))
			break;
		n = h.size - sizeof(h);
		if (n > sizeof(words))
			n = sizeof(words);
		ring_copy(r, at + sizeof(h), words, n);
		record(arg, h.type, words, n / sizeof(*words));
	}
	__atomic_store_n(&r->page->data_tail, head, __ATOMIC_RELEASE);
}

uint32_t perf_callchain(const uint64_t *words, size_t nr_words, uint64_t *ret_addrs, uint32_t max,
			uint32_t *ret_nr_kernel)
{
	uint64_t nr = nr_words ? words[0] : 0;
	uint32_t n = 0, nr_kernel = 0;
	bool kernel = false;

	for (size_t i = 1; i <= nr && i < nr_words && n < max; i++) {
		if (words[i] >= (uint64_t)PERF_CONTEXT_MAX) {
			kernel = words[i] == (uint64_t)PERF_CONTEXT_KERNEL;
			continue;
		}
		ret_addrs[n] = words[i] - (n > 0);
		n++;
		nr_kernel += kernel;
	}
	*ret_nr_kernel = nr_kernel;
	return n;
}
