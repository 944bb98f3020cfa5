/* SPDX-License-Identifier: MIT */
#include "actuate/owner-unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "actuate/knobs.h"
#include "base/cleanup.h"
#include "base/cpuset.h"
#include "base/parse.h"
#include "base/str.h"

#define PAGE_BYTES	  4096
#define USEC_PER_SEC	  UINT64_C(1000000)
#define PERIOD_DEFAULT_US UINT64_C(100000)
#define DROP_IN_MAX	  600

static const struct {
	const char *suffix, *interface;
} kinds[] = {
    {".service", "org.freedesktop.systemd1.Service"},
    {".slice", "org.freedesktop.systemd1.Slice"},
    {".scope", "org.freedesktop.systemd1.Scope"},
    {".socket", "org.freedesktop.systemd1.Socket"},
    {".mount", "org.freedesktop.systemd1.Mount"},
    {".swap", "org.freedesktop.systemd1.Swap"},
};

const char *unit_interface(const char *unit)
{
	const char *dot = strrchr(unit, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].suffix, dot))
			return kinds[i].interface;
	return NULL;
}

int unit_of_path(const char *path, char *buf, size_t size)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	name += *name == '_'; /* how systemd escapes names that look like files of the kernel */
	return unit_interface(name) ? str_printf(buf, size, "%s", name) : -ENOENT;
}

static int cap_text(const char *to, char *buf, size_t size)
{
	uint64_t quota_us, period_us;

	if (!strcmp(to, "max"))
		return str_printf(buf, size, "%" PRIu64 " %" PRIu64, UINT64_MAX, UINT64_MAX);
	if (sscanf(to, "%" SCNu64 " %" SCNu64, &quota_us, &period_us) != 2 || !period_us ||
	    quota_us > UINT64_MAX / USEC_PER_SEC - period_us)
		return -EINVAL;
	/* Rounded up: systemd rounds down on the way back, to the very quota. */
	return str_printf(buf, size, "%" PRIu64 " %" PRIu64,
			  (quota_us * USEC_PER_SEC + period_us - 1) / period_us, period_us);
}

static int cpus_text(const char *list, char *buf, size_t size)
{
	struct cpuset cpus;
	int r = cpuset_parse(list, &cpus);

	return r < 0 ? r : cpuset_format(&cpus, buf, size);
}

/* "254:0" -> "/dev/vda" */
static int device_path(const char *number, char *buf, size_t size)
{
	char link[64], target[512], *name;
	ssize_t n;

	if (str_printf(link, sizeof(link), "/sys/dev/block/%s", number) < 0)
		return -ENAMETOOLONG;
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	name = strrchr(target, '/');
	for (char *c = name; c && (c = strchr(c, '!'));)
		*c = '/';
	return name ? str_printf(buf, size, "/dev%s", name) : -ENOENT;
}

/* Keeps the lines sorted: systemd tells devices in another order than it was told them. */
static int add_limit(char *buf, size_t size, char kind, const char *path, const char *bytes)
{
	char line[128], *at = buf;
	size_t len, old = strlen(buf);

	if (str_printf(line, sizeof(line), "%c %s %s\n", kind, path, bytes) < 0 ||
	    old + (len = strlen(line)) >= size)
		return -ENAMETOOLONG;
	while (*at && strncmp(at, line, strcspn(at, "\n") + 1) < 0)
		at += strcspn(at, "\n") + 1;
	memmove(at + len, at, strlen(at) + 1);
	memcpy(at, line, len);
	return 0;
}

/* From "254:0 rbps=1048576 wbps=max riops=max wiops=max" and more such lines. */
static int io_text(const char *file, char *buf, size_t size)
{
	char number[32], path[64], rate[2][32];
	int r = 0;

	*buf = '\0';
	for (; r >= 0 && *file; file += strcspn(file, "\n"), file += *file == '\n') {
		if (sscanf(file, "%31s rbps=%31s wbps=%31s", number, rate[0], rate[1]) != 3)
			return -EINVAL;
		r = device_path(number, path, sizeof(path));
		for (int i = 0; i < 2 && r >= 0; i++)
			if (strcmp(rate[i], "max"))
				r = add_limit(buf, size, "rw"[i], path, rate[i]);
	}
	return r;
}

int unit_text_of_knob(enum knob knob, const char *to, enum unit_property *ret_p, char *buf,
		      size_t size)
{
	switch (knob) {
	case KNOB_CPU_IDLE:
		*ret_p = UNIT_WEIGHT;
		return strcmp(to, "1") ? -EOPNOTSUPP : str_printf(buf, size, "idle");
	case KNOB_CPU_WEIGHT:
		*ret_p = UNIT_WEIGHT;
		return str_printf(buf, size, "%s", to);
	case KNOB_CPU_MAX:
		*ret_p = UNIT_CAP;
		return cap_text(to, buf, size);
	case KNOB_CPUSET:
		*ret_p = UNIT_CPUS;
		return cpus_text(to, buf, size);
	case KNOB_MEMORY_HIGH:
		*ret_p = UNIT_MEMORY;
		return str_printf(buf, size, "%s", strcmp(to, "max") ? to : "");
	case KNOB_IO_MAX:
		*ret_p = UNIT_IO;
		return io_text(to, buf, size);
	default:
		return -EOPNOTSUPP;
	}
}

int unit_text_of_entry(const struct cgroup_fs *fs, const struct journal_entry *e,
		       enum unit_property *ret_p, char to[KNOB_TEXT_MAX])
{
	_cleanup_close_ int fd = -1;
	char text[KNOB_TEXT_MAX];
	int r;

	if (e->knob != KNOB_IO_MAX)
		return unit_text_of_knob(e->knob, e->to, ret_p, to, KNOB_TEXT_MAX);
	fd = cgroup_open(fs, CG_IO, e->path, e->zone_id);
	r = fd < 0 ? fd : knob_file_read(fd, KF_IO_MAX, true, text, sizeof(text));
	return r < 0 ? r : unit_text_of_knob(e->knob, text, ret_p, to, KNOB_TEXT_MAX);
}

static bool memory_agrees(const char *text, const char *file)
{
	uint64_t idea, bytes;

	if (!text[0])
		return !strcmp(file, "max");
	return parse_u64(text, &idea) >= 0 && parse_u64(file, &bytes) >= 0 &&
	       idea / PAGE_BYTES == bytes / PAGE_BYTES;
}

static bool cap_agrees(const char *text, const char *file)
{
	uint64_t per_sec_us, period_us, quota_us, file_period_us;

	if (sscanf(text, "%" SCNu64 " %" SCNu64, &per_sec_us, &period_us) != 2)
		return false;
	if (per_sec_us == UINT64_MAX)
		return !strncmp(file, "max", 3);
	if (period_us == UINT64_MAX)
		period_us = PERIOD_DEFAULT_US;
	return sscanf(file, "%" SCNu64 " %" SCNu64, &quota_us, &file_period_us) == 2 &&
	       per_sec_us <= UINT64_MAX / USEC_PER_SEC && period_us == file_period_us &&
	       quota_us == per_sec_us * period_us / USEC_PER_SEC;
}

enum knob_file unit_file(enum unit_property p)
{
	static const enum knob_file files[] = {[UNIT_WEIGHT] = KF_WEIGHT,
					       [UNIT_CAP] = KF_MAX,
					       [UNIT_CPUS] = KF_CPUS,
					       [UNIT_MEMORY] = KF_MEM_HIGH,
					       [UNIT_IO] = KF_IO_MAX};

	return files[p];
}

bool unit_agrees(enum unit_property p, const char *text, const char *file)
{
	char list[KNOB_TEXT_MAX];

	switch (p) {
	case UNIT_WEIGHT:
		return !strcmp(file, !text[0] ? "100" : !strcmp(text, "idle") ? "0" : text);
	case UNIT_CAP:
		return cap_agrees(text, file);
	case UNIT_MEMORY:
		return memory_agrees(text, file);
	case UNIT_IO: /* limits of both kinds are not told apart: it has to have none */
		return !text[0] && !file[0];
	default:
		return cpus_text(file, list, sizeof(list)) >= 0 && !strcmp(list, text);
	}
}

/* AllowedCPUs is a bitmap, least CPU first. */
static int read_cpus(sd_bus_message *m, char *buf, size_t size)
{
	const uint8_t *bytes;
	struct cpuset cpus = {0};
	size_t n;
	int r = sd_bus_message_enter_container(m, 'v', "ay");

	if (r >= 0)
		r = sd_bus_message_read_array(m, 'y', (const void **)&bytes, &n);
	for (size_t i = 0; r >= 0 && i < 8 * n && i < CPUSET_MAX; i++)
		if (bytes[i / 8] & 1u << i % 8)
			cpuset_add(&cpus, (unsigned int)i);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? r : cpuset_format(&cpus, buf, size);
}

static const struct {
	const char *property;
	char kind; /* of a line; 'i': that unit is not for us */
} limits[] = {
    {"IOReadBandwidthMax", 'r'},
    {"IOWriteBandwidthMax", 'w'},
    {"IOReadIOPSMax", 'i'},
    {"IOWriteIOPSMax", 'i'},
};
#define LIMITS_TOLD 2

static int read_limits(sd_bus_message *m, char kind, char *buf, size_t size)
{
	const char *path;
	char text[32];
	uint64_t v;
	int r = sd_bus_message_enter_container(m, 'v', "a(st)");

	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "(st)");
	while (r >= 0 && (r = sd_bus_message_read(m, "(st)", &path, &v)) > 0) {
		snprintf(text, sizeof(text), "%" PRIu64, v);
		r = add_limit(buf, size, kind, path, text);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_property(sd_bus_message *m, const char *name, struct unit_state *s,
			 uint64_t *weight, uint64_t cap[2])
{
	const char *group;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (!strcmp(name, limits[i].property))
			return read_limits(m, limits[i].kind, s->text[UNIT_IO],
					   sizeof(s->text[UNIT_IO]));
	if (!strcmp(name, "MemoryHigh"))
		return sd_bus_message_read(m, "v", "t", &s->memory_high);
	if (!strcmp(name, "CPUWeight"))
		return sd_bus_message_read(m, "v", "t", weight);
	if (!strcmp(name, "CPUQuotaPerSecUSec"))
		return sd_bus_message_read(m, "v", "t", &cap[0]);
	if (!strcmp(name, "CPUQuotaPeriodUSec"))
		return sd_bus_message_read(m, "v", "t", &cap[1]);
	if (!strcmp(name, "AllowedCPUs"))
		return read_cpus(m, s->text[UNIT_CPUS], sizeof(s->text[UNIT_CPUS]));
	if (strcmp(name, "ControlGroup"))
		return sd_bus_message_skip(m, "v");
	r = sd_bus_message_read(m, "v", "s", &group);
	return r < 0 ? r : str_printf(s->group, sizeof(s->group), "%s", group);
}

int unit_state_read(sd_bus_message *m, struct unit_state *ret)
{
	uint64_t weight = UINT64_MAX, cap[2] = {UINT64_MAX, UINT64_MAX};
	const char *name;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	*ret = (struct unit_state){.memory_high = UINT64_MAX};
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &name);
		if (r >= 0)
			r = read_property(m, name, ret, &weight, cap);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r < 0)
		return r;
	if (weight == 0)
		snprintf(ret->text[UNIT_WEIGHT], KNOB_TEXT_MAX, "idle");
	else if (weight != UINT64_MAX)
		snprintf(ret->text[UNIT_WEIGHT], KNOB_TEXT_MAX, "%" PRIu64, weight);
	if (ret->memory_high != UINT64_MAX)
		snprintf(ret->text[UNIT_MEMORY], KNOB_TEXT_MAX, "%" PRIu64, ret->memory_high);
	snprintf(ret->text[UNIT_CAP], KNOB_TEXT_MAX, "%" PRIu64 " %" PRIu64, cap[0], cap[1]);
	return 0;
}

static int append_cpus(sd_bus_message *m, const char *list)
{
	uint8_t bytes[CPUSET_MAX / 8] = {0};
	struct cpuset cpus;
	size_t n = 0;
	int r = cpuset_parse(list, &cpus);

	for (int cpu = r < 0 ? -1 : cpuset_next(&cpus, 0); cpu >= 0;
	     cpu = cpuset_next(&cpus, (unsigned int)cpu + 1)) {
		bytes[cpu / 8] |= (uint8_t)(1u << cpu % 8);
		n = (size_t)cpu / 8 + 1;
	}
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "AllowedCPUs");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "ay");
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', bytes, n);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Replaces what there is of this kind: first by nothing. */
static int append_limits(sd_bus_message *m, size_t which, const char *text, bool empty)
{
	char kind, path[64];
	uint64_t v;
	int r = sd_bus_message_open_container(m, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", limits[which].property);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "a(st)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(st)");
	for (; r >= 0 && *text; text += strcspn(text, "\n"), text += *text == '\n') {
		if (sscanf(text, "%c %63s %" SCNu64, &kind, path, &v) != 3)
			return -EINVAL;
		if (!empty && kind == limits[which].kind)
			r = sd_bus_message_append(m, "(st)", path, v);
	}
	for (int i = 0; i < 3 && r >= 0; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int append_io(sd_bus_message *m, const char *text)
{
	int r = 0;

	for (size_t i = 0; i < LIMITS_TOLD && r >= 0; i++) {
		r = append_limits(m, i, text, true);
		if (r >= 0 && text[0])
			r = append_limits(m, i, text, false);
	}
	return r;
}

int unit_append(sd_bus_message *m, enum unit_property p, const char *text)
{
	uint64_t a = UINT64_MAX, b = UINT64_MAX;
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	if (r < 0)
		return r;
	if (p == UNIT_CPUS) {
		r = append_cpus(m, text);
	} else if (p == UNIT_IO) {
		r = append_io(m, text);
	} else if (p == UNIT_MEMORY) {
		if (text[0] && parse_u64(text, &a) < 0)
			return -EINVAL;
		r = sd_bus_message_append(m, "(sv)", "MemoryHigh", "t", a);
	} else if (p == UNIT_CAP) {
		if (sscanf(text, "%" SCNu64 " %" SCNu64, &a, &b) != 2)
			return -EINVAL;
		r = sd_bus_message_append(m, "(sv)(sv)", "CPUQuotaPeriodUSec", "t", b,
					  "CPUQuotaPerSecUSec", "t", a);
	} else {
		if (!strcmp(text, "idle"))
			a = 0;
		else if (text[0] && parse_u64(text, &a) < 0)
			return -EINVAL;
		r = sd_bus_message_append(m, "(sv)", "CPUWeight", "t", a);
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static const struct {
	enum unit_property p;
	const char *file;
} drop_ins[] = {
    {UNIT_WEIGHT, "50-CPUWeight.conf"},	      {UNIT_CAP, "50-CPUQuota.conf"},
    {UNIT_CAP, "50-CPUQuotaPeriodSec.conf"},  {UNIT_CPUS, "50-AllowedCPUs.conf"},
    {UNIT_MEMORY, "50-MemoryHigh.conf"},      {UNIT_IO, "50-IOReadBandwidthMax.conf"},
    {UNIT_IO, "50-IOWriteBandwidthMax.conf"},
};
/* Of units that have files, and of those that have none. */
static const char *const drop_in_dirs[] = {"/run/systemd/system.control", "/run/systemd/transient"};

bool unit_has_drop_in(const char *unit, enum unit_property p)
{
	char path[DROP_IN_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(drop_ins) * ARRAY_SIZE(drop_in_dirs); i++) {
		size_t n = i / ARRAY_SIZE(drop_in_dirs);

		if (drop_ins[n].p == p &&
		    str_printf(path, sizeof(path), "%s/%s.d/%s",
			       drop_in_dirs[i % ARRAY_SIZE(drop_in_dirs)], unit,
			       drop_ins[n].file) >= 0 &&
		    access(path, F_OK) == 0)
			return true;
	}
	return false;
}

void unit_remove_drop_in(const char *unit, enum unit_property p)
{
	char path[DROP_IN_MAX];

	for (size_t d = 0; d < ARRAY_SIZE(drop_in_dirs); d++) {
		for (size_t n = 0; n < ARRAY_SIZE(drop_ins); n++)
			if (drop_ins[n].p == p &&
			    str_printf(path, sizeof(path), "%s/%s.d/%s", drop_in_dirs[d], unit,
				       drop_ins[n].file) >= 0)
				unlink(path);
		if (str_printf(path, sizeof(path), "%s/%s.d", drop_in_dirs[d], unit) >= 0)
			rmdir(path); /* goes when it is empty, as it should */
	}
}
