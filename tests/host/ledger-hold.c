/* SPDX-License-Identifier: MIT */
/*
 * ledger-hold empty | ledger [CGROUP..]: attach empty programs on the ledger's hooks, or the ledger
 * with these zones protected; say "ready" and hold until stdin ends. For cost benches.
 */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "probes/ledger.h"
#include "empty.skel.h"

static int hold(void)
{
	char c;

	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}

static int hold_empty(void)
{
	struct empty_bpf *e = empty_bpf__open_and_load();

	if (!e || empty_bpf__attach(e)) {
		empty_bpf__destroy(e);
		return 77;
	}
	hold();
	empty_bpf__destroy(e);
	return 0;
}

static int hold_ledger(char **zones)
{
	struct ledger_options o = {.max_zones = 16384};
	struct error err = {0};
	struct ledger *l;
	struct stat st;

	if (ledger_open(&o, &l, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 77;
	}
	for (; *zones; zones++)
		if (stat(*zones, &st) || ledger_protect(l, st.st_ino, 300000))
			return 1;
	hold();
	ledger_close(l);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "empty"))
		return hold_empty();
	if (argc > 1 && !strcmp(argv[1], "ledger"))
		return hold_ledger(argv + 2);
	return 2;
}
