/* SPDX-License-Identifier: MIT */
/* Who takes memory from whom (src/bpf/reclaimers.bpf.c). Costs each page that leaves the page cache
 * and each reclaim, so only where it is asked for. */
#include "base/cleanup.h"
#include "probes/zone-sums.h"
#include "reclaimers.skel.h"

static const char *const hooks[] = {"mm_vmscan_direct_reclaim_begin",
				    "mm_vmscan_direct_reclaim_end", "mm_vmscan_memcg_reclaim_begin",
				    "mm_vmscan_memcg_reclaim_end",
				    "mm_filemap_delete_from_page_cache"};
static const struct sums_spec spec = {
    .elf = reclaimers_bpf__elf_bytes,
    .hooks = hooks,
    .nr_hooks = ARRAY_SIZE(hooks),
    .nr_fields = 2,
    .metrics = {ZM_RECLAIMS, ZM_RECLAIM_NS},
    .has_pairs = true,
    .owners = CG_MEMORY,
    .foreign = ZM_MEM_FOREIGN_PAGES,
};

static int reclaimers_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	return sums_open(&spec, p, ret_state, why, size);
}

const struct probe probe_reclaimers = {
    .name = "reclaimers",
    .summary = "time a zone spends reclaiming memory, and who takes whose pages",
    .needs = "BPF with BTF: CAP_BPF and CAP_PERFMON, or root",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics =
	METRIC_BIT(ZM_RECLAIM_NS) | METRIC_BIT(ZM_RECLAIMS) | METRIC_BIT(ZM_MEM_FOREIGN_PAGES),
    .open = reclaimers_open,
    .close = sums_close,
    .read = sums_read,
    .end = sums_end,
    .forget = sums_forget,
    .holds = HELD_MEMORY,
    .holders = sums_holders,
};
