/* SPDX-License-Identifier: MIT */
#include "replay/usage.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>
#include "base/cleanup.h"
#include "base/str.h"

#define FILE_NAME_MAX 256
#define SCRATCH_MAX   64

struct usage_reader {
	gzFile file;
	char name[FILE_NAME_MAX];
	struct usage_map map; /* and what it does not have that the file has under a field's name */
	const char *columns;
	bool ready, json; /* the first line was seen */
	uint64_t line;
	int32_t at[USAGE_NR][USAGE_JOINED_MAX]; /* index of the column */
	size_t columns_read;			/* as far as a line must be split */
	char *values[USAGE_COLUMNS_MAX];
	char names[USAGE_NR][USAGE_NAME_MAX];
	char scratch[USAGE_NR][USAGE_JOINED_MAX][SCRATCH_MAX]; /* numbers of JSON as text */
	json_t *object;
	char text[USAGE_LINE_MAX];
};

/* A quoted field may have commas and doubled quotes in it. Returns the next field, or NULL. */
static char *end_quoted(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '"' && s[1] != '"')
			break;
		s += *s == '"';
		*to++ = *s;
	}
	s += strcspn(s, ",");
	s = *s ? s + 1 : NULL;
	*to = 0;
	return s;
}

size_t usage_split(char *line, char **ret, size_t max)
{
	size_t n = 0;

	while (line && n < max) {
		char *next;

		if (*line == '"') {
			ret[n++] = ++line;
			next = end_quoted(line);
		} else {
			ret[n++] = line;
			next = strchr(line, ',');
			if (next)
				*next++ = 0;
		}
		line = next;
	}
	return n;
}

/* Fifteen and more digits are exact enough here, and strtod() depends on the locale. */
int usage_real(const char *s, double *ret)
{
	bool negative = *s == '-', digits = false;
	int exponent = 0, places = 0;
	uint64_t mantissa = 0;

	s += *s == '-' || *s == '+';
	for (bool point = false; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
		if (*s == '.') {
			point = true;
			continue;
		}
		digits = true;
		if (mantissa < UINT64_MAX / 10 - 1) {
			mantissa = mantissa * 10 + (uint64_t)(*s - '0');
			places += point;
		} else {
			places -= !point;
		}
	}
	if (digits && (*s == 'e' || *s == 'E')) {
		bool minus = s[1] == '-';

		s += 1 + (s[1] == '-' || s[1] == '+');
		for (digits = false; *s >= '0' && *s <= '9' && exponent < 400; s++, digits = true)
			exponent = exponent * 10 + (*s - '0');
		exponent = minus ? -exponent : exponent;
	}
	if (!digits || *s)
		return -EINVAL;
	exponent -= places;
	*ret = exponent < 0 ? (double)mantissa / pow(10, -exponent)
			    : (double)mantissa * pow(10, exponent);
	*ret = negative ? -*ret : *ret;
	return isfinite(*ret) ? 0 : -EINVAL;
}

int usage_open(int fd, const char *name, const struct usage_map *map, const char *columns,
	       struct usage_reader **ret, struct error *reterr)
{
	struct usage_reader *r = calloc(1, sizeof(*r));

	if (!r) {
		close(fd);
		return error_set(reterr, -ENOMEM, "out of memory");
	}
	str_copy(r->name, sizeof(r->name), name);
	r->map = *map;
	r->columns = columns;
	r->file = gzdopen(fd, "rb");
	if (!r->file) {
		close(fd);
		free(r);
		return error_set(reterr, -ENOMEM, "out of memory");
	}
	gzbuffer(r->file, 1u << 17);
	*ret = r;
	return 0;
}

void usage_close(struct usage_reader *r)
{
	if (!r)
		return;
	json_decref(r->object);
	gzclose(r->file);
	free(r);
}

static int bad(const struct usage_reader *r, struct error *reterr, const char *what,
	       const char *why)
{
	char safe[128];

	return error_set(reterr, -EINVAL, "%s:%llu: '%s' %s", r->name, (unsigned long long)r->line,
			 str_escape(safe, sizeof(safe), what), why);
}

/* 1, 0 at the end. */
static int read_line(struct usage_reader *r, struct error *reterr)
{
	size_t len;
	int err;

	if (!gzgets(r->file, r->text, sizeof(r->text))) {
		const char *why = gzerror(r->file, &err);

		if (err != Z_OK && err != Z_STREAM_END)
			return error_set(reterr, -EIO, "%s: behind line %llu: %s", r->name,
					 (unsigned long long)r->line,
					 err == Z_BUF_ERROR ? "the file was cut off" : why);
		return 0;
	}
	r->line++;
	len = strlen(r->text);
	if (len + 1 == sizeof(r->text) && r->text[len - 1] != '\n')
		return error_set(reterr, -E2BIG, "%s:%llu: the line is longer than %d bytes",
				 r->name, (unsigned long long)r->line, USAGE_LINE_MAX);
	while (len && (r->text[len - 1] == '\n' || r->text[len - 1] == '\r'))
		r->text[--len] = 0;
	return 1;
}

/* Exports of nested columns write average_usage.cpus or average_usage_cpus. */
static bool is_same_column(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !((*a == '.' || *a == '_') && (*b == '.' || *b == '_')))
			return false;
	return *a == *b;
}

static int find_column(const struct usage_reader *r, const char *wanted, char *const *names,
		       size_t n)
{
	char *end;
	unsigned long number;

	if (wanted[0] == '#') {
		number = strtoul(wanted + 1, &end, 10);
		return *end || !number || number > USAGE_COLUMNS_MAX ? -EINVAL : (int)number - 1;
	}
	for (size_t i = 0; i < n; i++)
		if (is_same_column(names[i], wanted))
			return (int)i;
	return -ENOENT;
}

static int resolve(struct usage_reader *r, char *const *names, size_t n, struct error *reterr)
{
	for (size_t f = 0; f < USAGE_NR; f++)
		for (uint32_t i = 0; i < r->map.field[f].nr; i++) {
			const char *wanted = r->map.field[f].column[i];
			int at = find_column(r, wanted, names, n);

			if (at < 0)
				return error_set(reterr, -ENOENT,
						 "%s:%llu: there is no column '%s' in the header",
						 r->name, (unsigned long long)r->line, wanted);
			r->at[f][i] = at;
			if ((size_t)at + 1 > r->columns_read)
				r->columns_read = (size_t)at + 1;
		}
	return 0;
}

/* A column that is called as a field is that field, unless another column was given for it. */
static void add_by_name(struct usage_reader *r, char *const *names, size_t n)
{
	static const struct {
		enum usage_field field;
		const char *name;
	} known[] = {{USAGE_MPKI, "mpki"},	   {USAGE_BANDWIDTH, "bandwidth"},
		     {USAGE_JOB, "job"},	   {USAGE_MACHINE, "machine"},
		     {USAGE_PLATFORM, "platform"}, {USAGE_CLASS, "class"},
		     {USAGE_LABEL, "label"},	   {USAGE_CULPRIT, "culprit"}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		__typeof__(r->map.field[0]) *f = &r->map.field[known[i].field];

		if (f->nr || (!r->json && find_column(r, known[i].name, names, n) < 0))
			continue;
		f->nr = 1;
		f->factor = 1;
		str_copy(f->column[0], sizeof(f->column[0]), known[i].name);
	}
}

static bool has_number(char *const *names, size_t n)
{
	double ignored;

	for (size_t i = 0; i < n; i++)
		if (usage_real(names[i], &ignored) == 0)
			return true;
	return false;
}

/* By the first line: JSON, a header, or data in the order that the format has. 1: it was a header.
 */
static int look_at_first(struct usage_reader *r, struct error *reterr)
{
	_cleanup_free_ char *copy = NULL;
	char *names[USAGE_COLUMNS_MAX];
	bool header;
	size_t n;
	int err;

	r->ready = true;
	r->json = r->text[strspn(r->text, " \t")] == '{';
	if (r->json) {
		add_by_name(r, NULL, 0);
		return 0;
	}
	copy = strdup(r->text);
	if (!copy)
		return error_set(reterr, -ENOMEM, "out of memory");
	n = usage_split(copy, names, USAGE_COLUMNS_MAX);
	header = !has_number(names, n);
	if (!header && r->columns) {
		free(copy);
		copy = strdup(r->columns);
		n = copy ? usage_split(copy, names, USAGE_COLUMNS_MAX) : 0;
	} else if (!header) {
		n = 0; /* only columns by number can be meant */
	}
	if (header)
		add_by_name(r, names, n);
	err = resolve(r, names, n, reterr);
	return err < 0 ? err : header;
}

static const char *json_text(json_t *value, char *buf)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_integer(value))
		snprintf(buf, SCRATCH_MAX, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		snprintf(buf, SCRATCH_MAX, "%.17g", json_real_value(value));
	else
		return json_is_true(value) ? "true" : json_is_false(value) ? "false" : "";
	for (char *c = buf; *c; c++)
		*c = *c == ',' ? '.' : *c; /* a locale's */
	return buf;
}

/* "average_usage.cpus": by the whole name, else step by step. */
static json_t *json_at(json_t *o, const char *path)
{
	char copy[64], *rest = copy, *step;
	json_t *value = json_object_get(o, path);

	if (value)
		return value;
	snprintf(copy, sizeof(copy), "%s", path);
	for (value = o; value && (step = strsep(&rest, "."));)
		value = json_object_get(value, step);
	return value == o ? NULL : value;
}

/* The text of a column of the line at hand; "": empty, or not there. */
static const char *column(struct usage_reader *r, enum usage_field f, uint32_t i)
{
	if (r->json)
		return json_text(json_at(r->object, r->map.field[f].column[i]), r->scratch[f][i]);
	return r->values[r->at[f][i]];
}

static const char *name_of(struct usage_reader *r, enum usage_field f)
{
	uint32_t nr = r->map.field[f].nr;
	size_t len = 0;

	if (nr == 0)
		return "";
	if (nr == 1 && !r->json)
		return column(r, f, 0);
	for (uint32_t i = 0; i < nr && len < USAGE_NAME_MAX; i++)
		len += (size_t)snprintf(r->names[f] + len, USAGE_NAME_MAX - len, "%s%s",
					i ? "/" : "", column(r, f, i));
	return r->names[f];
}

static bool is_missing(const char *s)
{
	return !*s || !strcasecmp(s, "null") || !strcasecmp(s, "nan") || !strcasecmp(s, "none");
}

/* 1; 0: not told; -EINVAL. Traces write negative numbers for what could not be measured. */
static int number_of(struct usage_reader *r, enum usage_field f, double *ret, struct error *reterr)
{
	const char *s = r->map.field[f].nr ? column(r, f, 0) : "";
	double value;

	*ret = 0;
	if (is_missing(s))
		return 0;
	if (usage_real(s, &value) < 0)
		return bad(r, reterr, s, "is not a number");
	if (value < 0)
		return 0;
	*ret = value * r->map.field[f].factor;
	return 1;
}

static uint32_t to_ppm(double x)
{
	double ppm = x * 1e6;

	return ppm < UINT32_MAX ? (uint32_t)lround(ppm) : UINT32_MAX;
}

static enum zone_class class_of(const char *s)
{
	static const struct {
		const char *prefix;
		enum zone_class class;
	} known[] = {{"lc", CLASS_LC}, {"be", CLASS_BE}, {"biz", CLASS_LC}, {"batch", CLASS_BE}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strncasecmp(s, known[i].prefix, strlen(known[i].prefix)))
			return known[i].class;
	return CLASS_NORMAL;
}

/* The line at hand says something of this field, be it nothing. */
static bool is_told(const struct usage_reader *r, enum usage_field f)
{
	return r->map.field[f].nr && (!r->json || json_at(r->object, r->map.field[f].column[0]));
}

static int label_of(struct usage_reader *r, const struct usage_row *row)
{
	const char *s = name_of(r, USAGE_LABEL);

	if (is_told(r, USAGE_LABEL))
		return !strcmp(s, "1") || !strcasecmp(s, "true");
	return is_told(r, USAGE_CULPRIT) ? row->culprit[0] != 0 : -1;
}

/* NaN: not told. */
static int measure_of(struct usage_reader *r, enum usage_field f, double *ret, struct error *reterr)
{
	int told = number_of(r, f, ret, reterr);

	if (told == 0)
		*ret = NAN;
	return told;
}

static int fill_row(struct usage_reader *r, struct usage_row *row, struct error *reterr)
{
	double time = 0, cpu = 0, cpi = 0;
	const struct {
		enum usage_field field;
		int (*read)(struct usage_reader *r, enum usage_field f, double *ret,
			    struct error *reterr);
		double *value;
	} numbers[] = {
	    {USAGE_CPU, number_of, &cpu},
	    {USAGE_CPI, number_of, &cpi},
	    {USAGE_CYCLES, number_of, &row->cycles},
	    {USAGE_INSTRUCTIONS, number_of, &row->instructions},
	    {USAGE_MISSES, number_of, &row->misses},
	    {USAGE_MPKI, measure_of, &row->mpki},
	    {USAGE_BANDWIDTH, measure_of, &row->bandwidth},
	};
	int err = number_of(r, USAGE_TIME, &time, reterr);

	*row = (struct usage_row){.line = r->line};
	if (err == 0 && r->map.field[USAGE_TIME].nr)
		return bad(r, reterr, r->map.field[USAGE_TIME].column[0], "has no time in it");
	for (size_t i = 0; err >= 0 && i < ARRAY_SIZE(numbers); i++)
		err = numbers[i].read(r, numbers[i].field, numbers[i].value, reterr);
	if (err < 0)
		return err;
	row->task = name_of(r, USAGE_TASK);
	if (!row->task[0])
		return bad(r, reterr, r->map.field[USAGE_TASK].column[0], "has no task in it");
	row->job = name_of(r, USAGE_JOB);
	row->machine = name_of(r, USAGE_MACHINE);
	row->platform = name_of(r, USAGE_PLATFORM);
	row->culprit = name_of(r, USAGE_CULPRIT);
	for (size_t i = 0; i < 5; i++) {
		const char *name = (const char *[]){row->task, row->job, row->machine,
						    row->platform, row->culprit}[i];

		if (strlen(name) >= USAGE_NAME_MAX - 1)
			return bad(r, reterr, name, "is too long for a name");
	}
	row->time_ns = time < 1.8e19 ? (uint64_t)time : UINT64_MAX;
	row->cpu_ppm = to_ppm(cpu);
	row->cpi_ppm = to_ppm(cpi);
	row->class = class_of(name_of(r, USAGE_CLASS));
	row->culprit = is_missing(row->culprit) ? "" : row->culprit;
	row->label = label_of(r, row);
	return 1;
}

static int take_apart(struct usage_reader *r, struct error *reterr)
{
	json_error_t why;
	size_t n;

	if (!r->json) {
		n = usage_split(r->text, r->values, r->columns_read);
		if (n < r->columns_read)
			return error_set(reterr, -EINVAL,
					 "%s:%llu: the line has %zu columns, %zu are needed",
					 r->name, (unsigned long long)r->line, n, r->columns_read);
		return 0;
	}
	json_decref(r->object);
	r->object = json_loads(r->text, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(r->object))
		return error_set(reterr, -EINVAL, "%s:%llu: not a JSON object: %s", r->name,
				 (unsigned long long)r->line, why.text);
	return 0;
}

int usage_next(struct usage_reader *r, struct usage_row *ret, struct error *reterr)
{
	int err;

	while ((err = read_line(r, reterr)) > 0) {
		if (!r->text[0])
			continue;
		if (!r->ready) {
			err = look_at_first(r, reterr);
			if (err < 0)
				return err;
			if (err > 0)
				continue;
		}
		err = take_apart(r, reterr);
		return err < 0 ? err : fill_row(r, ret, reterr);
	}
	return err;
}
