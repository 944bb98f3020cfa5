/* SPDX-License-Identifier: MIT */
/*
 * PSI of zones that run, from the v2 tree, joined by path. On a hybrid host a zone has PSI only
 * where its tasks have a v2 cgroup of the same path.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/kio.h"
#include "kernel/procfs.h"
#include "probes/internal.h"

static const struct {
	enum cgroup_file file;
	int some, full; /* metric; -1: not kept (cpu's "full" means nothing at the root) */
} kinds[] = {
    {CGF_PSI_CPU, ZM_PSI_CPU_SOME_NS, -1},
    {CGF_PSI_MEMORY, ZM_PSI_MEM_SOME_NS, ZM_PSI_MEM_FULL_NS},
    {CGF_PSI_IO, ZM_PSI_IO_SOME_NS, ZM_PSI_IO_FULL_NS},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct pressure {
	unsigned int next; /* of kinds, in the zone being read */
};

static int pressure_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	char buf[256];
	ssize_t n = kio_read_text_at(p->k->root_fd, "proc/pressure/cpu", buf, sizeof(buf));

	if (n < 0) {
		snprintf(why, size,
			 n == -EOPNOTSUPP ? "PSI is switched off: boot with psi=1"
					  : "the kernel has no PSI (CONFIG_PSI)");
		return -EOPNOTSUPP;
	}
	if (!cgroup_file_exists(p->fs, CGF_PSI_CPU)) {
		snprintf(why, size, "no cgroup v2 hierarchy is mounted: PSI of the host only");
		return -EOPNOTSUPP;
	}
	*ret_state = calloc(1, sizeof(struct pressure));
	return *ret_state ? 0 : -ENOMEM;
}

static int read_kind(struct probes *p, struct probe_zone *z, unsigned int i)
{
	struct psi_line psi;
	char buf[512];
	ssize_t n = kept_read(p, z, kinds[i].file, buf, sizeof(buf));
	int r;

	if (n < 0)
		return (int)n;
	r = psi_parse(buf, &psi);
	if (r < 0)
		return r;
	row_set(&z->row, (enum zone_metric)kinds[i].some, psi.some_ns);
	if (kinds[i].full >= 0)
		row_set(&z->row, (enum zone_metric)kinds[i].full, psi.full_ns);
	return 0;
}

/* CPU every tick; memory and io every tick for protected zones, else in the slow round. */
static int pressure_read(void *state, struct probes *p, struct probe_zone *z)
{
	struct pressure *s = state;
	bool all = z->interest == PROBE_PROTECTED ||
		   (p->tick + (uint32_t)z->id) % p->slow_every == 0 ||
		   !(z->row.valid & METRIC_BIT(ZM_PSI_IO_SOME_NS));
	int r = read_kind(p, z, s->next);

	/* no CPU pressure file, no others: one look says it */
	if (r != -ENOENT && all && ++s->next < KINDS)
		return 1;
	s->next = 0;
	return r;
}

static void pressure_begin(void *state, struct probes *p)
{
	((struct pressure *)state)->next = 0;
}

static void pressure_forget(void *state, const struct probe_zone *z)
{
	((struct pressure *)state)->next =
	    0; /* a zone read half will be read again from the first */
}

const struct probe probe_psi = {
    .name = "psi",
    .summary = "time tasks of a zone stalled on CPU, memory and io",
    .needs = "PSI and a cgroup v2 hierarchy",
    .when = WHEN_ACTIVE,
    .metrics = METRIC_BIT(ZM_PSI_CPU_SOME_NS) | METRIC_BIT(ZM_PSI_MEM_SOME_NS) |
	       METRIC_BIT(ZM_PSI_MEM_FULL_NS) | METRIC_BIT(ZM_PSI_IO_SOME_NS) |
	       METRIC_BIT(ZM_PSI_IO_FULL_NS),
    .open = pressure_open,
    .close = free,
    .read = pressure_read,
    .begin = pressure_begin,
    .forget = pressure_forget,
};
