/* SPDX-License-Identifier: MIT */
#include "model/zone-spec.h"

#include <stdlib.h>

#define DEFAULT_HEALTH_PERIOD_NS 10000000000ull
#define MIB			 (1ull << 20)
#define DEFAULT_VM_MEMORY	 (512 * MIB)

void zone_spec_defaults(struct zone_spec *s)
{
	*s = (struct zone_spec){.runtime = RUNTIME_VM, .restart = RESTART_ON_FAILURE};
}

void zone_app_defaults(struct zone_app *a)
{
	*a = (struct zone_app){
	    .restart = RESTART_ON_FAILURE,
	    .health_period_ns = DEFAULT_HEALTH_PERIOD_NS,
	};
}

uint32_t zone_spec_vcpus(const struct zone_spec *s)
{
	uint32_t pinned = cpuset_count(&s->resource.cpus);
	uint32_t n = s->resource.vcpus ? s->resource.vcpus : pinned ? pinned : 1;

	return n < ZONE_VCPUS_MAX ? n : ZONE_VCPUS_MAX;
}

uint32_t zone_spec_vcpus_max(const struct zone_spec *s)
{
	uint32_t n = zone_spec_vcpus(s);

	return s->resource.vcpus_max > n ? s->resource.vcpus_max : n;
}

uint64_t zone_spec_memory(const struct zone_spec *s)
{
	if (s->resource.memory_bytes || s->runtime == RUNTIME_CGROUP)
		return s->resource.memory_bytes;
	return DEFAULT_VM_MEMORY;
}

uint64_t zone_spec_memory_max(const struct zone_spec *s)
{
	uint64_t bytes = zone_spec_memory(s);

	bytes = s->resource.memory_max_bytes > bytes ? s->resource.memory_max_bytes : bytes;
	return s->runtime == RUNTIME_VM ? (bytes + MIB - 1) / MIB * MIB : bytes;
}

static void free_words(char **words)
{
	for (char **w = words; w && *w; w++)
		free(*w);
	free(words);
}

static void free_pairs(struct key_value *pairs, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
}

static void app_done(struct zone_app *a)
{
	free(a->name);
	for (size_t i = 0; i < a->nr_threads; i++)
		free(a->threads[i].name);
	free_words(a->command);
	free(a->bundle);
	free(a->user);
	free(a->workdir);
	free_pairs(a->env, a->nr_env);
	free_words(a->health);
}

static void sched_done(struct zone_sched *s)
{
	free(s->policy);
	free(s->options);
	for (size_t i = 0; i < s->nr_rules; i++) {
		free(s->rules[i].policy);
		free(s->rules[i].options);
	}
}

void zone_spec_done(struct zone_spec *s)
{
	struct zone_net *net = &s->resource.net;
	char *texts[] = {s->name,      net->address,	net->gateway, net->dns,	     net->bridge,
			 s->os.kernel, s->os.initramfs, s->os.rootfs, s->os.cmdline, s->os.adopt};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	free_words(s->os.share);
	free_pairs(s->labels, s->nr_labels);
	sched_done(&s->sched);
	for (size_t i = 0; i < s->nr_apps; i++)
		app_done(&s->apps[i]);
	free(s->apps);
	*s = (struct zone_spec){0};
}
