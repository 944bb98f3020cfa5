/* SPDX-License-Identifier: MIT */
/* net.max: bytes a second that a zone may send through one interface. See net-pace.h. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include "actuate/knobs.h"
#include "actuate/net-pace.h"
#include "base/parse.h"
#include "base/str.h"

#define RATE_MIN 1024

/* "1048576 eth0" */
static bool parse(const char *to, uint64_t *ret_rate, char name[IF_NAMESIZE])
{
	char rate[32], rest[2];

	return sscanf(to, "%31s %15s %1s", rate, name, rest) == 2 &&
	       parse_u64(rate, ret_rate) >= 0 && *ret_rate >= RATE_MIN;
}

bool net_max_valid(const char *to)
{
	char name[IF_NAMESIZE];
	uint64_t rate;

	return parse(to, &rate, name);
}

int net_max_get(const struct knob_target *t, char *buf, size_t size)
{
	char text[KNOB_TEXT_MAX], name[IF_NAMESIZE], rate[32];
	int r = knob_file_read(t->dirfd, KF_NET, true, text, sizeof(text));

	if (r < 0)
		return r;
	if (sscanf(text, "%15s %31s", name, rate) != 2)
		return str_copy(buf, size, "max") ? 0 : -ENAMETOOLONG;
	return str_printf(buf, size, "%s %s", rate, name);
}

int net_max_plan(const struct knob_target *t, const char *to, struct entry *e, struct error *reterr)
{
	char old[KNOB_TEXT_MAX], new[KNOB_TEXT_MAX], name[IF_NAMESIZE];
	uint64_t rate;
	int r = knob_file_read(t->dirfd, KF_NET, true, old, sizeof(old));

	if (r >= 0)
		r = net_max_get(t, e->from, sizeof(e->from));
	if (r < 0)
		return r;
	if (old[0] || net_pace_is_taken(t->dirfd))
		return error_set(reterr, -EBUSY,
				 "%s, or another zone with its class, is paced already", t->path);
	if (!parse(to, &rate, name))
		return -EINVAL;
	if (!if_nametoindex(name))
		return error_set(reterr, -ENODATA, "there is no interface %s any more", name);
	snprintf(new, sizeof(new), "%s %llu", name, (unsigned long long)rate);
	r = entry_add(e, KF_NET, t->id, t->path, old, NET_PACE_MARKED);
	return r < 0 ? r : entry_add(e, KF_NET, t->id, t->path, NET_PACE_MARKED, new);
}
