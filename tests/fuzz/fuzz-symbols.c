/* SPDX-License-Identifier: MIT */
/* ELF files, and lines of /proc/PID/maps and /proc/kallsyms; all three come from strangers' hosts.
 */
#include "base/cleanup.h"
#include "cli/symbols-parse.h"
#include "fuzz.h"

#define LOOKUPS 64

static void lines(char *text)
{
	struct kernel_symbol symbol;
	struct mapping m;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		if (mapping_parse(line, &m) == 0)
			FUZZ_ASSERT(m.start < m.end && m.path >= line &&
				    m.path <= line + strlen(line));
		if (kernel_symbol_parse(line, &symbol) == 0)
			FUZZ_ASSERT(symbol.name[0] && strlen(symbol.name) < sizeof(symbol.name));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *copy = fuzz_text(data, size); /* libelf may write into it */
	_cleanup_free_ char *text = fuzz_text(data, size);
	struct lookup lookups[LOOKUPS];
	Elf *elf;

	lines(text);
	FUZZ_ASSERT(elf_version(EV_CURRENT) != EV_NONE);
	elf = elf_memory(copy, size);
	if (!elf)
		return 0;
	/* No end of a string in it: what no file's symbol can be named. */
	memset(lookups, 0xff, sizeof(lookups));
	for (size_t i = 0; i < LOOKUPS; i++)
		lookups[i].addr = size * i / LOOKUPS;
	elf_lookup(elf, lookups, LOOKUPS);
	if (elf_kind(elf) == ELF_K_ELF)
		for (size_t i = 0; i < LOOKUPS; i++)
			FUZZ_ASSERT(memchr(lookups[i].name, 0, sizeof(lookups[i].name)));
	elf_end(elf);
	return 0;
}
