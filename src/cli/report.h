/* SPDX-License-Identifier: MIT */
/* The report as one HTML file: no script, nothing fetched, light and dark. Every text that came
 * from outside is escaped on its way in. */
#pragma once
#include <stdint.h>
#include <jansson.h>
#include "base/str.h"
#include "cli/report-escape.h"

#define REPORT_POINTS  120
#define REPORT_LAYERS  10 /* of one chart */
#define REPORT_VICTIMS 64

struct report {
	uint64_t from_ms, to_ms;
	const char *host; /* its name */
	size_t nr_victims;
	struct {
		const char *name;
		json_t *ledger; /* as /api/v1/history/ledger, REPORT_POINTS points */
		json_t *p99;	/* as /api/v1/history of wait_p99_ns; NULL: none */
	} victims[REPORT_VICTIMS];
	json_t *findings, *actions, *events; /* arrays */
};

/* report-page.c */
void report_page(struct strbuf *b, const struct report *r);
void report_clock(const struct report *r, uint64_t ms, char *buf, size_t size);

/* report-chart.c: the waiting of one victim, stacked by whom it waited for; what was found and done
 * meanwhile on a time line below. */
void report_chart(struct strbuf *b, const struct report *r, size_t victim);
/* Time waited in all, by the cells that are known. */
uint64_t report_waited_ns(const json_t *ledger, const json_t *mean);
