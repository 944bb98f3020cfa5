/* SPDX-License-Identifier: MIT */
#include "model/metric.h"

#define X(id, name, unit, kind, help) [ZM_##id] = {name, unit, METRIC_##kind, help},
const struct metric_desc zone_metrics[ZM_NR] = {ZONE_METRICS(X)};
#undef X
#define X(id, name, unit, kind, help) [HM_##id] = {name, unit, METRIC_##kind, help},
const struct metric_desc host_metrics[HM_NR] = {HOST_METRICS(X)};
#undef X
