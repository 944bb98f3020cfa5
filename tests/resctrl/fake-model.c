/* SPDX-License-Identifier: MIT */
/*
 * The model. Each way of the cache is shared by those who may fill it, in proportion of their rates
 * of access, nobody holding more than its footprint; what misses goes to memory, up to what MBA
 * leaves the group, and all together up to what the memory gives. Steady state at once: the cache
 * has no memory of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "fake.h"

#define LINE_BYTES 64.0
#define ROUNDS	   16

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int set_machine(struct fake *f, const char *v)
{
	static const char *const names[] = {"intel", "amd", "mpam"};

	for (int i = 0; i < 3; i++)
		if (!strcmp(names[i], v)) {
			f->machine = i;
			f->ways = i == INTEL ? 11 : 16;
			f->sparse = i != INTEL;
			f->min_cbm_bits = i != AMD;
			f->shareable = i == INTEL ? 0x600 : 0;
			f->gran = i == INTEL ? 10 : i == MPAM ? 5 : 1;
			f->min_bw = f->gran;
			f->max_bw = i == AMD ? 2048 : 100;
			return 0;
		}
	return -1;
}

static int set_number(struct fake *f, const char *key, const char *value)
{
	double v = strtod(value, NULL);
	const struct {
		const char *key;
		uint32_t *u32;
		double *real;
		int *i;
		bool *flag;
	} keys[] = {
	    {.key = "ways", .u32 = &f->ways},
	    {.key = "closids", .u32 = &f->closids},
	    {.key = "rmids", .u32 = &f->rmids},
	    {.key = "min_cbm_bits", .u32 = &f->min_cbm_bits},
	    {.key = "counters", .u32 = &f->counters},
	    {.key = "way_bytes", .real = &f->way_bytes},
	    {.key = "bandwidth_bytes_per_s", .real = &f->bandwidth_bytes_per_s},
	    {.key = "snc", .i = &f->snc},
	    {.key = "cpus", .i = &f->nr_cpus},
	    {.key = "cdp", .flag = &f->cdp},
	    {.key = "mba_MBps", .flag = &f->mbps},
	};

	if (!strcmp(key, "limbo_ms")) {
		f->limbo_ns = (uint64_t)(v * 1e6);
		return 0;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].key, key) != 0)
			continue;
		if (keys[i].u32)
			*keys[i].u32 = (uint32_t)v;
		if (keys[i].real)
			*keys[i].real = v;
		if (keys[i].i)
			*keys[i].i = (int)v;
		if (keys[i].flag)
			*keys[i].flag = v != 0;
		return 0;
	}
	return -1;
}

/* "demand pid 12 domain 0 footprint 1e6 accesses 1e8 remote 0.1" */
static int add_demand(struct fake *f, const char *line)
{
	struct demand d = {0};
	char kind[16], who[PATH_SIZE];
	int id,
	    n = sscanf(line, "demand %15s %143s domain %d footprint %lf accesses %lf remote %lf",
		       kind, who, &id, &d.footprint_bytes, &d.accesses_per_s, &d.remote);

	if (n < 5 || f->nr_demands == DEMANDS_MAX)
		return -1;
	if (!strcmp(kind, "pid"))
		d.tid = atoi(who);
	else
		snprintf(d.group, sizeof(d.group), "%s", strcmp(who, "/") ? who : "");
	for (d.domain = 0; d.domain < f->nr_domains && f->domain_id[d.domain] != id;)
		d.domain++;
	if (d.domain == f->nr_domains)
		return -1;
	f->demands[f->nr_demands++] = d;
	return 0;
}

static int read_line(struct fake *f, const char *line, bool first)
{
	char key[64], value[64];
	int n = sscanf(line, "%63s %63s", key, value);

	if (n < 1 || key[0] == '#')
		return 0;
	if (!strcmp(key, "demand"))
		return add_demand(f, line);
	if (!first)
		return 0; /* the machine stays what it was */
	if (!strcmp(key, "domains")) {
		f->nr_domains = sscanf(line, "domains %d %d %d %d", &f->domain_id[0],
				       &f->domain_id[1], &f->domain_id[2], &f->domain_id[3]);
		return f->nr_domains > 0 ? 0 : -1;
	}
	if (n < 2)
		return -1;
	return strcmp(key, "machine") ? set_number(f, key, value) : set_machine(f, value);
}

int fake_config(struct fake *f, const char *path)
{
	bool first = !f->config[0];
	struct stat st;
	char line[512];
	FILE *in = fopen(path, "re");

	if (!in || fstat(fileno(in), &st) < 0) {
		perror(path);
		if (in)
			fclose(in);
		return -1;
	}
	if (first) {
		set_machine(f, "intel");
		f->nr_domains = 1;
		f->closids = 8;
		f->rmids = 32;
		f->nr_cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
		f->way_bytes = 2 << 20;
		f->bandwidth_bytes_per_s = 20e9;
	}
	f->nr_demands = 0;
	while (fgets(line, sizeof(line), in))
		if (read_line(f, line, first) < 0)
			fprintf(stderr, "fake-resctrl: %s: cannot use: %s", path, line);
	fclose(in);
	if (f->mbps)
		f->max_bw = UINT32_MAX;
	f->config_mtime_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
	snprintf(f->config, sizeof(f->config), "%s", path);
	return 0;
}

static void reload(struct fake *f)
{
	char path[sizeof(f->config)];
	struct stat st;

	memcpy(path, f->config, sizeof(path));
	if (stat(path, &st) == 0 &&
	    st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec != f->config_mtime_ns)
		fake_config(f, path);
}

/* The group whose RMID it has now; NULL: it is not there. */
static struct group *owner(struct fake *f, const struct demand *d)
{
	char path[PATH_SIZE];

	if (d->tid) {
		struct task *t = fake_task(f, d->tid);

		return !t ? NULL : t->mon ? t->mon : t->ctrl;
	}
	for (size_t i = 0; i < GROUPS_MAX; i++) {
		if (!f->groups[i].used)
			continue;
		fake_path(&f->groups[i], path);
		if (!strcmp(path, d->group))
			return &f->groups[i];
	}
	return NULL;
}

static uint32_t mask_of(const struct fake *f, const struct group *g, int domain)
{
	const struct group *ctrl = g->is_mon ? g->parent : g;

	return ctrl->value[f->cdp ? L3DATA : L3][domain];
}

static double limit_of(const struct fake *f, const struct group *g, int domain)
{
	double v = (g->is_mon ? g->parent : g)->value[MB][domain];

	if (f->mbps)
		return v * (1 << 20);
	return f->machine == AMD ? v * 1e9 / 8 : v / 100 * f->bandwidth_bytes_per_s;
}

static void share_cache(struct fake *f, struct group **owners, int domain)
{
	double held[DEMANDS_MAX] = {0}, left[32];

	for (uint32_t w = 0; w < f->ways; w++)
		left[w] = f->way_bytes;
	for (int round = 0; round < ROUNDS; round++) {
		double got[DEMANDS_MAX] = {0};

		for (uint32_t w = 0; w < f->ways; w++) {
			double rates = 0;

			for (size_t i = 0; i < f->nr_demands; i++)
				if (owners[i] && f->demands[i].domain == domain &&
				    mask_of(f, owners[i], domain) >> w & 1 &&
				    held[i] < f->demands[i].footprint_bytes)
					rates += f->demands[i].accesses_per_s;
			if (rates <= 0)
				continue;
			for (size_t i = 0; i < f->nr_demands; i++) {
				struct demand *d = &f->demands[i];
				double room, take;

				if (!owners[i] || d->domain != domain ||
				    !(mask_of(f, owners[i], domain) >> w & 1))
					continue;
				room = d->footprint_bytes - held[i] - got[i];
				take = left[w] * d->accesses_per_s / rates;
				if (held[i] < d->footprint_bytes && room > 0)
					got[i] += take < room ? take : room;
			}
			double taken = 0;

			for (size_t i = 0; i < f->nr_demands; i++) {
				taken += got[i];
				held[i] += got[i];
				got[i] = 0;
			}
			left[w] = left[w] > taken ? left[w] - taken : 0;
		}
	}
	for (size_t i = 0; i < f->nr_demands; i++)
		if (f->demands[i].domain == domain)
			f->demands[i].occupancy = held[i];
}

static void share_memory(struct fake *f, struct group **owners, int domain)
{
	double total = 0;

	for (size_t i = 0; i < f->nr_demands; i++) {
		struct demand *d = &f->demands[i];
		double miss, limit;

		if (d->domain != domain)
			continue;
		d->bytes_per_s = 0;
		if (!owners[i] || d->footprint_bytes <= 0)
			continue;
		miss = 1 - d->occupancy / d->footprint_bytes;
		limit = limit_of(f, owners[i], domain);
		d->bytes_per_s = d->accesses_per_s * LINE_BYTES * miss;
		if (d->bytes_per_s > limit)
			d->bytes_per_s = limit;
		total += d->bytes_per_s;
	}
	for (size_t i = 0; i < f->nr_demands && total > f->bandwidth_bytes_per_s; i++)
		if (f->demands[i].domain == domain)
			f->demands[i].bytes_per_s *= f->bandwidth_bytes_per_s / total;
}

void fake_advance(struct fake *f)
{
	struct group *owners[DEMANDS_MAX];
	uint64_t now = now_ns();
	double s = f->model_ns ? (double)(now - f->model_ns) / 1e9 : 0;

	f->model_ns = now;
	reload(f);
	fake_scan_tasks(f);
	for (size_t i = 0; i < f->nr_demands; i++)
		owners[i] = owner(f, &f->demands[i]);
	for (int d = 0; d < f->nr_domains; d++) {
		share_cache(f, owners, d);
		share_memory(f, owners, d);
		for (size_t g = 0; g < GROUPS_MAX; g++)
			f->groups[g].occupancy[d] = 0;
	}
	for (size_t i = 0; i < f->nr_demands; i++) {
		struct demand *d = &f->demands[i];

		if (!owners[i])
			continue;
		owners[i]->occupancy[d->domain] += d->occupancy;
		owners[i]->total[d->domain] += d->bytes_per_s * s;
		owners[i]->local[d->domain] += d->bytes_per_s * s * (1 - d->remote);
	}
}
