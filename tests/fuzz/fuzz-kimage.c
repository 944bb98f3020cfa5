/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "kernel/kimage.h"
#include "fuzz.h"

/* The input as each of the formats: a configuration, BTF, ELF, bzImage. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);
	const uint8_t *payload;
	struct btf_facts facts;
	struct kimage k = {0};
	const void *btf;
	size_t len;

	kimage_read_config(text, &k);
	FUZZ_ASSERT(k.hz <= 100000);
	if (btf_look(data, size, &facts) == 0)
		FUZZ_ASSERT(size >= 24);
	if (elf_find_btf(data, size, &btf, &len) == 0) {
		FUZZ_ASSERT((const uint8_t *)btf >= data && len <= size &&
			    (const uint8_t *)btf + len <= data + size);
		if (btf_look(btf, len, &facts) < 0)
			return 0;
	}
	if (bzimage_parts(data, size, &k, &payload, &len) == 0)
		FUZZ_ASSERT(payload >= data && payload + len + 4 <= data + size);
	FUZZ_ASSERT(memchr(k.version, 0, sizeof(k.version)));
	return 0;
}
