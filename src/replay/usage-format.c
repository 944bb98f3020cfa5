/* SPDX-License-Identifier: MIT */
/* The public traces that are known, and mappings of columns. */
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "replay/usage.h"

/* Samples of five minutes: three outliers of five in a row are within 25 minutes, ten samples 50.
 */
#define FIVE_MINUTES "window=25m,correlate=50m,period=5m"

static const struct usage_format formats[] = {
    {.name = "csv",
     .about = "with a header: time, task, cpu, cpi; job, machine, platform, class, label, culprit "
	      "if there",
     .map = "time=time,task=task,cpu=cpu,cpi=cpi"},
    {.name = "google2011",
     .about = "Google clusterdata-2011-2, task_usage; CPU is a part of the largest machine's",
     .columns = "start_time,end_time,job_id,task_index,machine_id,cpu_rate,canonical_memory_usage,"
		"assigned_memory_usage,unmapped_page_cache,total_page_cache,maximum_memory_usage,"
		"disk_io_time,local_disk_space_usage,maximum_cpu_rate,maximum_disk_io_time,"
		"cycles_per_instruction,memory_accesses_per_instruction,sample_portion,"
		"aggregation_type,sampled_cpu_usage",
     .map = "time=start_time:us,task=job_id+task_index,job=job_id,machine=machine_id,cpu=cpu_rate,"
	    "cpi=cycles_per_instruction",
     .settings = FIVE_MINUTES ",min-cpu=0.01"},
    {.name = "google2019",
     .about = "Google clusterdata-2019, instance_usage as CSV or JSON lines; CPU as in 2011",
     .map = "time=start_time:us,task=collection_id+instance_index,job=collection_id,"
	    "machine=machine_id,cpu=average_usage.cpus,cpi=cycles_per_instruction",
     .settings = FIVE_MINUTES ",min-cpu=0.01"},
    {.name = "alibaba2018",
     .about = "Alibaba cluster-trace-v2018, container_usage; --jobs container_meta.csv",
     .columns = "container_id,machine_id,time_stamp,cpu_util_percent,mem_util_percent,cpi,mem_gps,"
		"mpki,net_in,net_out,disk_io_percent",
     .map =
	 "time=time_stamp:s,task=container_id,machine=machine_id,cpu=cpu_util_percent*0.01,cpi=cpi,"
	 "mpki=mpki,bandwidth=mem_gps",
     .jobs_columns =
	 "container_id,machine_id,time_stamp,app_du,status,cpu_request,cpu_limit,mem_size",
     .jobs_map = "task=container_id,job=app_du"},
    {.name = "amtrace",
     .about =
	 "Alibaba cluster-trace-microarchitecture-v2022, core_pmu_metrics; --jobs container_meta",
     .columns =
	 "ts,node_id,container_id,pod_id,cpu,core_id,socket_id,instructions,cycles,ref_cycles,"
	 "llc_misses",
     .map = "time=ts:s,task=container_id,machine=node_id,cycles=ref_cycles,"
	    "instructions=instructions,cpu=ref_cycles*4e-10,misses=llc_misses",
     .jobs_columns = "node_id,container_id,pod_id,cpu_mode,app_name,deploy_group,container_type,"
		     "container_cpu_spec,container_mem_spec,pod_cpu_spec,pod_mem_spec",
     .jobs_map = "task=container_id,job=app_name,class=container_type"},
};

const struct usage_format *usage_format_at(size_t i)
{
	return i < ARRAY_SIZE(formats) ? &formats[i] : NULL;
}

const struct usage_format *usage_format_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i].name, name))
			return &formats[i];
	return NULL;
}

enum kind { NAME, NUMBER, TIME };
static const struct {
	const char *name;
	enum kind kind;
} fields[USAGE_NR] = {
    [USAGE_TIME] = {"time", TIME},
    [USAGE_TASK] = {"task", NAME},
    [USAGE_JOB] = {"job", NAME},
    [USAGE_MACHINE] = {"machine", NAME},
    [USAGE_PLATFORM] = {"platform", NAME},
    [USAGE_CLASS] = {"class", NAME},
    [USAGE_CPU] = {"cpu", NUMBER},
    [USAGE_CPI] = {"cpi", NUMBER},
    [USAGE_CYCLES] = {"cycles", NUMBER},
    [USAGE_INSTRUCTIONS] = {"instructions", NUMBER},
    [USAGE_MPKI] = {"mpki", NUMBER},
    [USAGE_MISSES] = {"misses", NUMBER},
    [USAGE_BANDWIDTH] = {"bandwidth", NUMBER},
    [USAGE_LABEL] = {"label", NAME},
    [USAGE_CULPRIT] = {"culprit", NAME},
};

static int unit_factor(const char *unit, double *ret)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(units[i].name, unit)) {
			*ret = units[i].ns;
			return 0;
		}
	return -EINVAL;
}

/* What follows the column: a unit or a factor. */
static int set_factor(enum kind kind, char *text, double *ret, struct error *reterr)
{
	char *mark = strrchr(text, kind == TIME ? ':' : '*');

	*ret = kind == TIME ? 1e9 : 1;
	if (kind == NAME || !mark)
		return 0;
	*mark++ = 0;
	if (kind == TIME && unit_factor(mark, ret) < 0)
		return error_set(reterr, -EINVAL, "'%s' is no unit of time: s, ms, us or ns", mark);
	if (kind == NUMBER && usage_real(mark, ret) < 0)
		return error_set(reterr, -EINVAL, "'%s' is no number to multiply by", mark);
	return 0;
}

static int set_field(struct usage_map *m, enum usage_field f, char *text, struct error *reterr)
{
	char *rest = text, *column;
	int r = set_factor(fields[f].kind, text, &m->field[f].factor, reterr);

	if (r < 0)
		return r;
	m->field[f].nr = 0;
	if (f == USAGE_CPI)
		m->field[USAGE_CYCLES].nr = m->field[USAGE_INSTRUCTIONS].nr = 0;
	if (f == USAGE_CYCLES)
		m->field[USAGE_CPI].nr = 0;
	while ((column = fields[f].kind == NAME ? strsep(&rest, "+") : rest)) {
		if (m->field[f].nr == USAGE_JOINED_MAX)
			return error_set(reterr, -EINVAL, "%s: at most %d columns", fields[f].name,
					 USAGE_JOINED_MAX);
		if (!column[0] || !str_copy(m->field[f].column[m->field[f].nr++], 64, column))
			return error_set(reterr, -EINVAL, "%s: '%s' is no column's name",
					 fields[f].name, column);
		if (fields[f].kind != NAME)
			break;
	}
	return 0;
}

static int set_one(void *arg, const char *key, char *value, struct error *reterr)
{
	for (size_t f = 0; f < USAGE_NR; f++)
		if (!strcmp(fields[f].name, key))
			return set_field(arg, (enum usage_field)f, value, reterr);
	return error_set(reterr, -EINVAL, "there is no field '%s'", key);
}

int usage_map_set(struct usage_map *m, const char *text, struct error *reterr)
{
	return parse_pairs(text, "FIELD=COLUMN", set_one, m, reterr);
}

int usage_map_check(const struct usage_map *m, struct error *reterr)
{
	static const enum usage_field needed[] = {USAGE_TIME, USAGE_TASK, USAGE_CPU};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!m->field[needed[i]].nr)
			return error_set(reterr, -EINVAL, "no column is given for %s",
					 fields[needed[i]].name);
	if (!m->field[USAGE_CPI].nr &&
	    (!m->field[USAGE_CYCLES].nr || !m->field[USAGE_INSTRUCTIONS].nr))
		return error_set(reterr, -EINVAL,
				 "no column is given for cpi, or for cycles and instructions");
	return 0;
}
