/* SPDX-License-Identifier: MIT */
/* What zones compete for. */
#pragma once

enum resource {
	RESOURCE_CPU,
	RESOURCE_MEMORY,
	RESOURCE_IO,
	RESOURCE_NETWORK,
	RESOURCE_CACHE,
	RESOURCE_UNKNOWN
};
const char *resource_name(enum resource r);
