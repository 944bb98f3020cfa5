/* SPDX-License-Identifier: MIT */
#include "sched/bus-user.h"

#include <bpf/bpf.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"

static const struct {
	const char *name;
	enum bpf_map_type type;
	uint32_t key_size, value_size, max, flags;
} maps[BUS_MAPS] = {
    [BUS_MAP_CLASS] = {"cz_class", BPF_MAP_TYPE_HASH, sizeof(uint64_t), sizeof(struct bus_class),
		       BUS_CLASS_MAX, BPF_F_NO_PREALLOC},
    [BUS_MAP_TASK_CLASS] = {"cz_task_class", BPF_MAP_TYPE_HASH, sizeof(uint32_t), sizeof(uint32_t),
			    BUS_TASK_CLASS_MAX, BPF_F_NO_PREALLOC},
};

/* Whoever comes first makes the map; who loses the race takes the winner's. */
static int map_open(size_t i, struct error *reterr)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = maps[i].flags);
	char path[64];
	int fd, r;

	r = str_printf(path, sizeof(path), BUS_DIR "/%s", maps[i].name);
	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	if (fd >= 0)
		return fd;
	fd = bpf_map_create(maps[i].type, maps[i].name, maps[i].key_size, maps[i].value_size,
			    maps[i].max, &opts);
	if (fd < 0)
		return error_errno(reterr, fd, "could not make the map %s", path);
	r = bpf_obj_pin(fd, path);
	if (r == 0)
		return fd;
	close(fd);
	fd = r == -EEXIST ? bpf_obj_get(path) : r;
	return fd >= 0 ? fd : error_errno(reterr, fd, "could not pin the map %s", path);
}

int bus_open(struct bus *bus, struct error *reterr)
{
	*bus = BUS_CLOSED;
	if (mkdir(BUS_DIR, 0755) < 0 && errno != EEXIST)
		return error_errno(reterr, -errno, "could not make %s", BUS_DIR);
	for (size_t i = 0; i < BUS_MAPS; i++) {
		bus->fd[i] = map_open(i, reterr);
		if (bus->fd[i] < 0) {
			int r = bus->fd[i];

			bus_close(bus);
			return r;
		}
	}
	return 0;
}

void bus_close(struct bus *bus)
{
	for (size_t i = 0; i < BUS_MAPS; i++)
		close_fd(&bus->fd[i]);
}

static int update(int fd, const void *key, const void *value)
{
	return fd < 0 ? 0 : bpf_map_update_elem(fd, key, value, BPF_ANY);
}

static int drop(int fd, const void *key)
{
	return fd < 0 ? 0 : bpf_map_delete_elem(fd, key);
}

int bus_set_class(struct bus *bus, uint64_t cgroup_id, enum bus_class_id class,
		  uint32_t guarantee_ppm)
{
	struct bus_class value = {.class = class, .guarantee_ppm = guarantee_ppm};

	return update(bus->fd[BUS_MAP_CLASS], &cgroup_id, &value);
}

int bus_drop_class(struct bus *bus, uint64_t cgroup_id)
{
	return drop(bus->fd[BUS_MAP_CLASS], &cgroup_id);
}

int bus_set_task_class(struct bus *bus, uint32_t tid, enum bus_class_id class)
{
	uint32_t value = class;

	return update(bus->fd[BUS_MAP_TASK_CLASS], &tid, &value);
}

int bus_drop_task_class(struct bus *bus, uint32_t tid)
{
	return drop(bus->fd[BUS_MAP_TASK_CLASS], &tid);
}
