/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "model/zone.h"
#include "fuzz.h"

/* What parses is set, and survives format + parse; what does not says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	struct slo a = {0}, b = {0};
	struct error err = {0};
	char text[256];

	if (slo_parse_kept(s, &a, &err) < 0) {
		FUZZ_ASSERT(err.code < 0 && err.msg[0]);
		FUZZ_ASSERT(!slo_is_set(&a));
		return 0;
	}
	FUZZ_ASSERT(slo_is_set(&a));
	FUZZ_ASSERT(slo_parse_kept(slo_format(&a, text, sizeof(text)), &b, &err) == 0);
	FUZZ_ASSERT(memcmp(&a, &b, sizeof(a)) == 0);
	return 0;
}
