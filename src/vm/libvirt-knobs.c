/* SPDX-License-Identifier: MIT */
#include "vm/libvirt-knobs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/cpuset.h"
#include "base/parse.h"

#define PIN	  "pin."
#define MAP_BYTES 512

static int read_pin(virDomainPtr d, unsigned int vcpu, char *buf, size_t size)
{
	int n = (int)vcpu + 1;
	_cleanup_free_ unsigned char *maps = calloc((size_t)n, MAP_BYTES);
	const unsigned char *map;
	struct cpuset cpus = {0};

	if (!maps)
		return -ENOMEM;
	if (virDomainGetVcpuPinInfo(d, n, maps, MAP_BYTES, VIR_DOMAIN_AFFECT_LIVE) < n)
		return -EIO;
	map = maps + (size_t)vcpu * MAP_BYTES;
	for (unsigned int cpu = 0; cpu < MAP_BYTES * 8 && cpu < CPUSET_MAX; cpu++) {
		if (map[cpu / 8] & 1u << cpu % 8)
			cpuset_add(&cpus, cpu);
	}
	return cpuset_format(&cpus, buf, size);
}

static int write_pin(virDomainPtr d, unsigned int vcpu, const char *text)
{
	unsigned char map[MAP_BYTES] = {0};
	struct cpuset cpus;
	int r = cpuset_parse(text, &cpus);

	if (r < 0)
		return r;
	for (int cpu = cpuset_next(&cpus, 0); cpu >= 0 && (size_t)cpu < sizeof(map) * 8;
	     cpu = cpuset_next(&cpus, (unsigned int)cpu + 1))
		VIR_USE_CPU(map, cpu);
	return virDomainPinVcpuFlags(d, vcpu, map, sizeof(map), VIR_DOMAIN_AFFECT_LIVE) < 0 ? -EIO
											    : 0;
}

static int read_schedule(virDomainPtr d, const char *name, char *buf, size_t size)
{
	virTypedParameter list[16] = {0}; /* a daemon is asked for no more */
	int n = ARRAY_SIZE(list), r = -ENOENT;

	if (virDomainGetSchedulerParametersFlags(d, list, &n, VIR_DOMAIN_AFFECT_LIVE) < 0)
		return -EIO;
	for (int i = 0; i < n; i++) {
		if (strcmp(list[i].field, name) != 0)
			continue;
		r = 0;
		if (list[i].type == VIR_TYPED_PARAM_LLONG)
			snprintf(buf, size, "%lld", list[i].value.l);
		else if (list[i].type == VIR_TYPED_PARAM_ULLONG)
			snprintf(buf, size, "%llu", list[i].value.ul);
		else
			r = -EINVAL;
	}
	virTypedParamsClear(list, n);
	return r;
}

static int write_schedule(virDomainPtr d, const char *name, const char *text)
{
	virTypedParameterPtr list = NULL;
	int n = 0, max = 0, r;

	if (strcmp(name, VIR_DOMAIN_SCHEDULER_VCPU_QUOTA) == 0)
		r = virTypedParamsAddLLong(&list, &n, &max, name, strtoll(text, NULL, 10));
	else
		r = virTypedParamsAddULLong(&list, &n, &max, name, strtoull(text, NULL, 10));
	if (r == 0)
		r = virDomainSetSchedulerParametersFlags(d, list, n, VIR_DOMAIN_AFFECT_LIVE);
	virTypedParamsFree(list, n);
	return r < 0 ? -EIO : 0;
}

static bool is_pin(const char *name, uint32_t *ret_vcpu)
{
	return strncmp(name, PIN, strlen(PIN)) == 0 && parse_u32(name + strlen(PIN), ret_vcpu) == 0;
}

int knob_read(virDomainPtr d, const char *name, char *buf, size_t size)
{
	uint32_t vcpu;

	return is_pin(name, &vcpu) ? read_pin(d, vcpu, buf, size)
				   : read_schedule(d, name, buf, size);
}

int knob_write(virDomainPtr d, const char *name, const char *text)
{
	uint32_t vcpu;

	return is_pin(name, &vcpu) ? write_pin(d, vcpu, text) : write_schedule(d, name, text);
}
