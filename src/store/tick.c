/* SPDX-License-Identifier: MIT */
#include "store/tick.h"

void tick_pack(struct packed *p, const struct sample *s, size_t n)
{
	uint32_t before = 0;

	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && s[end].zone == s[i].zone; end++)
			;
		pack_u64(p, s[i].zone - before);
		pack_u64(p, end - i);
		for (size_t k = i; k < end; k++) {
			pack_u64(p, (uint64_t)s[k].metric << 1 | (s[k].peer != 0));
			if (s[k].peer)
				pack_u64(p, s[k].peer);
			pack_u64(p, s[k].value);
		}
		before = s[i].zone;
	}
}

void tick_open(struct tick_reader *r, const void *blob, size_t size)
{
	/* SQLite has no address for an empty blob. */
	*r = (struct tick_reader){
	    .u = {.at = blob, .end = size ? (const uint8_t *)blob + size : blob}};
}

bool tick_sample(struct tick_reader *r, struct sample *ret)
{
	uint64_t key;

	if (!r->nr_samples || r->u.bad)
		return false;
	r->nr_samples--;
	key = unpack_u64(&r->u);
	ret->zone = (uint32_t)r->zone;
	ret->metric = (uint32_t)(key >> 1);
	ret->peer = key & 1 ? (uint32_t)unpack_u64(&r->u) : 0;
	ret->value = unpack_u64(&r->u);
	return !r->u.bad;
}

bool tick_next_zone(struct tick_reader *r)
{
	struct sample skipped;

	while (tick_sample(r, &skipped))
		;
	if (r->u.bad || r->u.at == r->u.end) {
		r->done = true;
		return false;
	}
	r->zone += unpack_u64(&r->u);
	r->nr_samples = unpack_u64(&r->u);
	r->done = r->u.bad || r->zone > UINT32_MAX;
	r->u.bad |= r->done;
	return !r->done;
}
