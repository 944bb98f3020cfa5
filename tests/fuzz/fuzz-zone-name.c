/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "zones/zones.h"
#include "fuzz.h"

/* Whatever a cgroup is called: its name fits, is not empty, and is safe to print. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	char name[ZONE_NAME_MAX], again[ZONE_NAME_MAX];
	enum zone_kind kind, kind_again;

	zone_friendly_name(s, name, sizeof(name), &kind);
	FUZZ_ASSERT(name[0] && memchr(name, 0, sizeof(name)));
	for (const char *p = name; *p; p++)
		FUZZ_ASSERT((unsigned char)*p >= 0x20 && *p != 0x7f);
	zone_friendly_name(s, again, sizeof(again), &kind_again);
	FUZZ_ASSERT(!strcmp(name, again) && kind == kind_again);
	return 0;
}
