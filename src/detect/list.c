/* SPDX-License-Identifier: MIT */
/* All detectors: one line each. */
#include "base/cleanup.h"
#include "detect/internal.h"

static const struct detector *const list[] = {
    &detector_cpu, &detector_latency, &detector_memory,
    &detector_io,  &detector_network, &detector_cache,
};
_Static_assert(ARRAY_SIZE(list) <= DETECTORS_MAX, "struct watch has a track for each detector");

const struct detector *const *detectors(size_t *ret_nr)
{
	*ret_nr = ARRAY_SIZE(list);
	return list;
}
