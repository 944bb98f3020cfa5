/* SPDX-License-Identifier: MIT */
/*
 * Who takes memory from whom. A task that needs memory where there is none reclaims it itself: its
 * zone's time in there is counted, and every page that it takes, by the cgroup that owned the page.
 * What the kernel's own threads reclaim in the background is the kernel's: who made them do it is
 * not known to them.
 *
 * Pages are seen as they leave the page cache, and as they are written to swap; clean anonymous
 * pages that are in swap already are not. Owners are cgroups of the memory controller.
 */
#define ZONE_SUMS_FIELDS 2 /* times, ns */
#include "zone-pairs.bpf.h"
#include "zone-timed.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define PF_MEMALLOC 0x800
#define PF_KSWAPD   0x20000
#define OWNER_FLAGS 7ul

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(on_direct_begin)
{
	return timed_begin();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(on_direct_end)
{
	return timed_end();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(on_memcg_begin)
{
	return timed_begin();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(on_memcg_end)
{
	return timed_end();
}

struct mem_cgroup_per_node___objcg {
	struct obj_cgroup *objcg;
} __attribute__((preserve_access_index));

/* 0: nobody's. Newer kernels charge pages to an object that outlives its cgroup. */
static __always_inline u64 owner_of(struct folio *folio)
{
	unsigned long owner = folio->memcg_data & ~OWNER_FLAGS;

	if (bpf_core_field_exists(((struct mem_cgroup_per_node___objcg *)0)->objcg) && owner)
		owner = (unsigned long)BPF_CORE_READ((struct obj_cgroup *)owner, memcg);
	return owner ? BPF_CORE_READ((struct mem_cgroup *)owner, css.cgroup, kn, id) : 0;
}

static __always_inline u64 pages_of(struct folio *folio)
{
	unsigned long flags = 0;
	u64 pages = 1;

	/* the first word, whatever its type is called */
	bpf_probe_read_kernel(&flags, sizeof(flags), folio);
	if (flags & (1ul << bpf_core_enum_value(enum pageflags, PG_head)) &&
	    bpf_core_field_exists(folio->_nr_pages))
		pages = folio->_nr_pages;
	return pages;
}

static __always_inline int taken(struct folio *folio)
{
	struct task_struct *p = bpf_get_current_task_btf();
	u64 owner;

	if (!(p->flags & (PF_MEMALLOC | PF_KSWAPD)))
		return 0; /* a file is cut or removed */
	owner = owner_of(folio);
	if (owner)
		pair_add(owner, p->flags & PF_KSWAPD ? ZONE_PAIR_KERNEL : task_zone(p),
			 pages_of(folio));
	return 0;
}

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int BPF_PROG(on_file_page, struct folio *folio)
{
	return taken(folio);
}

SEC("tp_btf/mm_vmscan_write_folio")
int BPF_PROG(on_swap_page, struct folio *folio)
{
	return taken(folio);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
