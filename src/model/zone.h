/* SPDX-License-Identifier: MIT */
/* The noun zone, as plain data: what it is, what it is worth, what it was promised. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

enum zone_kind { ZONE_CGROUP, ZONE_CONTAINER, ZONE_VM };
enum zone_class { CLASS_NORMAL, CLASS_LC, CLASS_BE };
/* What acts for a protected zone. */
enum control { CONTROL_GUARD, CONTROL_CPI2_CAP };

/* 0 in a field: that goal is not set. A zone without any goal has a learned baseline. */
struct slo {
	uint64_t wait_p99_ns;	 /* run-queue wait, 99th percentile (ledger_view.wait_p99_ns) */
	uint32_t wait_share_ppm; /* time waited for others / wall time of its waiting */
	uint64_t latency_p99_ns; /* what the application reports through `czctl feed` */
};

#define ZONE_NAME_MAX 128
#define ZONE_PATH_MAX 1024

const char *zone_kind_name(enum zone_kind k);	/* "cgroup", "container", "vm" */
const char *zone_class_name(enum zone_class c); /* "normal", "lc", "be" */
const char *control_name(enum control c);	/* "guard", "cpi2-cap" */
must_check int control_parse(const char *s, enum control *ret);
must_check int zone_class_parse(const char *s, enum zone_class *ret);
/* What a person may ask for, wherever it is written. */
#define SLO_WAIT_P99_MIN_NS    10000ull /* 10 us */
#define SLO_WAIT_P99_MAX_NS    10000000000ull
#define SLO_SHARE_MIN_PPM      1000
#define SLO_SHARE_MAX_PPM      1000000
#define SLO_LATENCY_P99_MIN_NS 1000ull
#define SLO_LATENCY_P99_MAX_NS 3600000000000ull
/* "wait.p99=500us,share=5%,latency.p99=2ms"; all goals of the text or none. -ERANGE also for a goal
 * out of range. */
must_check int slo_parse(const char *s, struct slo *ret, struct error *reterr);
/* The same for what slo_format wrote, by whatever version: any goal above 0 counts. */
must_check int slo_parse_kept(const char *s, struct slo *ret, struct error *reterr);
bool slo_is_set(const struct slo *s);
/* The inverse of slo_parse_kept; "" when nothing is set. Returns buf. */
char *slo_format(const struct slo *s, char *buf, size_t size);
