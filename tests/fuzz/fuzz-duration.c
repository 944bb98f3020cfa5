/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/parse.h"
#include "fuzz.h"

/* Durations, ratios and plain integers: any text gives a value or an error, never both. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	uint64_t ns = 77, u = 77;
	uint32_t ppm = 77;
	char buf[32];
	int r = parse_duration_ns(s, &ns);

	FUZZ_ASSERT(r == 0 || r == -EINVAL || r == -ERANGE);
	FUZZ_ASSERT(r == 0 || ns == 77);
	FUZZ_ASSERT(strlen(format_duration(ns, buf, sizeof(buf))) > 0);
	r = parse_ratio_ppm(s, &ppm);
	FUZZ_ASSERT(r == 0 ? ppm <= 1000000 : ppm == 77);
	r = parse_u64(s, &u);
	FUZZ_ASSERT(r == 0 || u == 77);
	return 0;
}
