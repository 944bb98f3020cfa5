/* SPDX-License-Identifier: MIT */
#include "guest/bus.h"

#include <bpf/bpf.h>
#include <string.h>
#include <sys/stat.h>
#include "sched/bus.h"

#define PIN BUS_DIR "/cz_class"

static int map_fd = -1;

int bus_open(struct error *reterr)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd;

	if (mkdir(BUS_DIR, 0700) < 0 && errno != EEXIST)
		return error_errno(reterr, -errno, "make " BUS_DIR);
	fd = bpf_obj_get(PIN);
	if (fd < 0) {
		/* flags and size as bus.bpf.h has them, or the policies will not take it */
		fd = bpf_map_create(BPF_MAP_TYPE_HASH, "cz_class", sizeof(uint64_t),
				    sizeof(struct bus_class), BUS_CLASS_MAX, &opts);
		if (fd < 0)
			return error_errno(reterr, fd, "map cz_class");
		if (bpf_obj_pin(fd, PIN) < 0)
			return error_errno(reterr, -errno, "pin " PIN);
	}
	map_fd = fd;
	return 0;
}

int bus_set_class(uint64_t cgroup_id, enum zone_class class)
{
	struct bus_class value = {.class = class};

	if (map_fd < 0)
		return 0;
	return bpf_map_update_elem(map_fd, &cgroup_id, &value, BPF_ANY);
}

void bus_forget(uint64_t cgroup_id)
{
	if (map_fd >= 0)
		bpf_map_delete_elem(map_fd, &cgroup_id);
}
