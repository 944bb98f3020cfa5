/* SPDX-License-Identifier: MIT */
#include "actuate/owner-unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/cpuset.h"
#include "base/parse.h"
#include "base/str.h"

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
	default:
		return -EOPNOTSUPP;
	}
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

bool unit_agrees(enum unit_property p, const char *text, const char *file)
{
	char list[KNOB_TEXT_MAX];

	switch (p) {
	case UNIT_WEIGHT:
		return !strcmp(file, !text[0] ? "100" : !strcmp(text, "idle") ? "0" : text);
	case UNIT_CAP:
		return cap_agrees(text, file);
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

static int read_property(sd_bus_message *m, const char *name, struct unit_state *s,
			 uint64_t *weight, uint64_t cap[2])
{
	const char *group;
	int r;

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

	*ret = (struct unit_state){0};
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

int unit_append(sd_bus_message *m, enum unit_property p, const char *text)
{
	uint64_t a = UINT64_MAX, b = UINT64_MAX;
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	if (r < 0)
		return r;
	if (p == UNIT_CPUS) {
		r = append_cpus(m, text);
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
    {UNIT_WEIGHT, "50-CPUWeight.conf"},
    {UNIT_CAP, "50-CPUQuota.conf"},
    {UNIT_CAP, "50-CPUQuotaPeriodSec.conf"},
    {UNIT_CPUS, "50-AllowedCPUs.conf"},
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
