/* SPDX-License-Identifier: MIT */
#include "sched/object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "sched/bus.h"
#include "sched/loader.h"

#define OPS_SWITCH_PARTIAL (1ull << 3)

struct bpf_map *object_map(struct bpf_object *obj, const char *name)
{
	return bpf_object__find_map_by_name(obj, name);
}

void *object_rodata(struct bpf_object *obj, size_t *ret_size)
{
	static const char suffix[] = ".rodata";
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		size_t len = strlen(bpf_map__name(map));

		if (bpf_map__is_internal(map) && len >= sizeof(suffix) - 1 &&
		    strcmp(bpf_map__name(map) + len - (sizeof(suffix) - 1), suffix) == 0)
			return bpf_map__initial_value(map, ret_size);
	}
	return NULL;
}

/* Where a member of the program's own struct sched_ext_ops is; libbpf lays it out anew as it loads.
 */
static void *ops_member(struct bpf_object *obj, const char *name)
{
	struct bpf_map *map = object_map(obj, "ops");
	const struct btf *btf = bpf_object__btf(obj);
	int id = btf__find_by_name_kind(btf, "sched_ext_ops", BTF_KIND_STRUCT);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	char *base = map ? bpf_map__initial_value(map, &(size_t){0}) : NULL;

	for (uint32_t i = 0; type && base && i < btf_vlen(type); i++) {
		if (strcmp(btf__name_by_offset(btf, btf_members(type)[i].name_off), name) == 0)
			return base + btf_member_bit_offset(type, i) / 8;
	}
	return NULL;
}

/* Without a bus (no bpffs, no right to it) the maps are the policy's own, and empty. */
static void prepare_bus(struct bpf_object *obj)
{
	struct bpf_map *map;

	if (mkdir(BUS_DIR, 0755) == 0 || errno == EEXIST)
		return;
	bpf_object__for_each_map(map, obj)
	{
		if (bpf_map__pin_path(map))
			bpf_map__set_pin_path(map, NULL);
	}
}

void object_prepare(struct bpf_object *obj, const struct policy_settings *settings)
{
	uint64_t *flags = ops_member(obj, "flags");
	uint32_t *timeout_ms = ops_member(obj, "timeout_ms");

	if (flags && settings->partial)
		*flags |= OPS_SWITCH_PARTIAL;
	if (timeout_ms && settings->watchdog_ns)
		*timeout_ms = (uint32_t)(settings->watchdog_ns / 1000000);
	prepare_bus(obj);
}

uint64_t object_insns(struct bpf_object *obj)
{
	struct bpf_program *program;
	uint64_t sum = 0;

	bpf_object__for_each_program(program, obj)
	{
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(program);

		if (fd >= 0 && bpf_prog_get_info_by_fd(fd, &info, &size) == 0)
			sum += info.verified_insns;
	}
	return sum;
}

uint64_t object_counter(struct bpf_object *obj, uint32_t index)
{
	struct bpf_map *map = object_map(obj, "counters");
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	uint64_t sum = 0;

	if (!map || !values || bpf_map_lookup_elem(bpf_map__fd(map), &index, values) < 0)
		return 0;
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}
