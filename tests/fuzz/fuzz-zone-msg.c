/* SPDX-License-Identifier: MIT */
/* What a zone's supervisor may send; whatever it is, all that is taken in stays within bounds. */
#include "fuzz.h"
#include <string.h>
#include "daemon/zone-msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zone_msg m;

	if (zone_msg_parse((const char *)data, size, &m) < 0)
		return 0;
	if (m.hello.nr_vcpus > ZONE_VCPUS_MAX || m.stats.nr_apps > ZONE_APPS_MAX ||
	    m.nr_numbers > ZONE_STATS_MAX)
		abort();
	for (size_t i = 0; i < m.stats.nr_apps; i++)
		if (!memchr(m.stats.apps[i].name, 0, sizeof(m.stats.apps[i].name)) ||
		    strpbrk(m.stats.apps[i].name, "\x1b\n\r\t") ||
		    m.stats.apps[i].nr_parts > ZONE_PARTS_MAX)
			abort();
	return 0;
}
