/* SPDX-License-Identifier: MIT */
/*
 * Traces of what tasks used: rows of time, task, CPU use and CPI, as CSV (plain or gzip, with a
 * header or without) or as JSON objects, one a line. Public traces have a format of their own; any
 * other file is read by a mapping of its columns. Memory does not grow with the file.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "detect/cpi2.h"
#include "model/zone.h"

#define USAGE_LINE_MAX	  65536
#define USAGE_COLUMNS_MAX 256
#define USAGE_NAME_MAX	  256 /* of what makes a name out of columns */
#define USAGE_JOINED_MAX  3   /* columns of a name */

enum usage_field {
	USAGE_TIME,
	USAGE_TASK,
	USAGE_JOB,
	USAGE_MACHINE,
	USAGE_PLATFORM, /* type of CPU */
	USAGE_CLASS,
	USAGE_CPU, /* CPUs used */
	USAGE_CPI,
	USAGE_CYCLES,	    /* instead of cpi: rows of one task and time are summed */
	USAGE_INSTRUCTIONS, /* with cycles */
	USAGE_MPKI,	    /* misses of the last-level cache in 1000 instructions */
	USAGE_MISSES,	    /* instead of mpki, with cycles */
	USAGE_BANDWIDTH,    /* of memory, in any unit */
	USAGE_LABEL,	    /* whether the task was hurt then: 1, 0, true, false */
	USAGE_CULPRIT,	    /* by whom: a task or job; none or empty: it was not */
	USAGE_NR
};

struct usage_map {
	struct {
		uint32_t nr;			   /* 0: not in the file */
		char column[USAGE_JOINED_MAX][64]; /* a name, or "#3": the third */
		double factor;			   /* time: to nanoseconds */
	} field[USAGE_NR];
};
/*
 * "time=start_time:us,task=job+index,cpu=percent*0.01,cpi=#6": fields that are named replace those
 * that were there; cycles takes the place of cpi, and cpi that of cycles. Columns joined by + make
 * a name; a number may be multiplied; a time has a unit (s, ms, us, ns; s).
 */
must_check int usage_map_set(struct usage_map *m, const char *text, struct error *reterr);
/* What is needed is there: time, task, cpu, and cpi or cycles with instructions. */
must_check int usage_map_check(const struct usage_map *m, struct error *reterr);

struct usage_format {
	const char *name, *about;
	const char *columns; /* in the order of a file without a header; NULL: it must have one */
	const char *map;     /* for usage_map_set() */
	const char
	    *settings; /* for cpi2_config_set(): what this trace's period makes of them; or NULL */
	const char *jobs_columns,
	    *jobs_map; /* of a second file that says which task is of which job; or NULL */
};
const struct usage_format *usage_format_find(const char *name); /* NULL: there is none */
const struct usage_format *usage_format_at(size_t i);		/* NULL: no more */

struct usage_row {
	uint64_t line, time_ns;
	const char *task, *job, *machine, *platform,
	    *culprit; /* "": not told; until the next row */
	enum zone_class class;
	uint32_t cpu_ppm, cpi_ppm; /* cpi 0: not known */
	double cycles, instructions, misses;
	double mpki, bandwidth; /* NaN: not told */
	int label;		/* -1: not told */
};

struct usage_reader;
/*
 * The fd is the reader's from now on, columns is borrowed; `name` is for messages. Columns of a
 * header, or keys, that are called mpki, bandwidth, job, machine, platform, class, label or culprit
 * are that, if the map has no other for it.
 */
must_check int usage_open(int fd, const char *name, const struct usage_map *map,
			  const char *columns, struct usage_reader **ret, struct error *reterr);
/* 1: a row; 0: the end; -EINVAL: this line is none, what is wrong with it is told with file and
 * line, and the next call goes on behind it; else the file cannot be read on. */
must_check int usage_next(struct usage_reader *r, struct usage_row *ret, struct error *reterr);
void usage_close(struct usage_reader *r);

/* Parts of it, pure; for tests and fuzzers. Splits in place; fields beyond max are left out. */
size_t usage_split(char *line, char **ret, size_t max);
must_check int usage_real(const char *s, double *ret); /* -EINVAL: not a number; no locale */
