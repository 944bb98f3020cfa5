/* SPDX-License-Identifier: MIT */
/* cz-vm LAUNCH_JSON: one VM zone's life, from its files to its end (docs/zone-protocol.md). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "vm/launch.h"
#include "vm/privs.h"
#include "vm/setup.h"
#include "vm/zone.h"

static int run(const char *path, struct error *reterr)
{
	struct launch l = {0};
	struct setup s;
	int r = launch_load(path, &l, reterr);

	if (r < 0)
		return r;
	r = setup_prepare(&l, &s, reterr);
	if (r == 0)
		r = privs_drop(l.uid, l.gid, reterr);
	if (r == 0)
		r = zone_run(&l, &s.start, reterr);
	setup_done(&s);
	launch_done(&l);
	return r;
}

int main(int argc, char **argv)
{
	struct error e = {0};
	int r;

	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: cz-vm LAUNCH_JSON\n\nRuns one VM zone; czd starts it.\n");
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
	}
	if (geteuid() != 0) {
		log_error(
		    "cz-vm has to be started by root: it sets the zone up, then gives root up");
		return 2;
	}
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	r = run(argv[1], &e);
	if (r < 0) {
		log_error("%s%s%s", e.msg[0] ? e.msg : error_name(r), e.hint[0] ? "; " : "",
			  e.hint);
		return 3;
	}
	return r;
}
