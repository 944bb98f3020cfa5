/* SPDX-License-Identifier: MIT */
#include "bench/reply.h"
#include "fuzz.h"
#include "fuzz-reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_reply(&reply_resp, data, size);
	return 0;
}
