/* SPDX-License-Identifier: MIT */
/* probe-hold NAME: switch a probe of the host on, say "ready", hold until stdin ends. For benches.
 */
#include <stdio.h>
#include <unistd.h>

#include "probes/probe.h"

int main(int argc, char **argv)
{
	struct probes_options o = {.fd_budget = 16};
	struct probes *probes;
	struct cgroup_fs fs;
	struct kernel k;
	char c;

	if (argc != 2 || kernel_open("/", &k, NULL) < 0 || cgroup_fs_open(&k, &fs, NULL) < 0 ||
	    probes_new(&k, &fs, &o, &probes) < 0)
		return 1;
	if (probes_switch(probes, argv[1], true, NULL) < 0)
		return 77;
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	probes_free(probes);
	cgroup_fs_close(&fs);
	kernel_close(&k);
	return 0;
}
