/* SPDX-License-Identifier: MIT */
/* Lines of /proc/net/tcp and /proc/net/unix; the latter end in names that anybody chooses. */
#include "base/cleanup.h"
#include "cli/suggest.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);
	char *rest = text, *line;
	uint32_t port, state;
	uint64_t inode;
	bool listens;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (suggest_tcp_line(line, &port, &state, &inode) == 0)
			FUZZ_ASSERT(port <= 0xffff && state <= 0xff);
		(void)!suggest_unix_line(line, &listens, &inode);
	}
	return 0;
}
