/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/parse.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size);
	uint64_t bytes = 77;
	char buf[32];
	int r = parse_size_bytes(s, &bytes);

	FUZZ_ASSERT(r == 0 || r == -EINVAL || r == -ERANGE);
	FUZZ_ASSERT(r == 0 || bytes == 77);
	FUZZ_ASSERT(strlen(format_bytes(bytes, buf, sizeof(buf))) > 0);
	return 0;
}
