/* SPDX-License-Identifier: MIT */
/* Pressure stall information: "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345" (us). */
#include <string.h>

#include "base/parse.h"
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
