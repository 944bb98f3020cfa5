/* SPDX-License-Identifier: MIT */
/* What the verbs about created zones share: the spec from a file, waiting, and how a zone looks. */
#pragma once
#include "cli/verb.h"
#include "model/zone-spec.h"

#define ZONE_WAIT_NS (60ull * 1000000000)

/* The spec in that file ("-": standard input) as czd takes it. EXIT_OK, or printed why not. */
must_check int zone_cli_spec(const struct verb *verb, const char *path, json_t **ret);
const char *zone_cli_name(const json_t *spec); /* metadata.name */
/* --wait [TIME] and --grace TIME. EXIT_OK, or printed. */
must_check int zone_cli_time(const struct verb *verb, const char *option, const char *text,
			     uint64_t fallback_ns, uint64_t *ret_ns);
/* Until the zone is in that state ("gone" too) and its phase is over; prints what went wrong. */
must_check int zone_cli_wait(struct cli *cli, const char *name, const char *state,
			     uint64_t timeout_ns);
/* Says on standard error which apps of a zone that was just started have failed. */
void zone_cli_note_apps(struct cli *cli, const char *name);
/* A cgroup zone's processes are the host's: this one joins the zone, or (not NULL) that app's
 * group, and the command takes its place. Returns when that failed, with the exit code; printed. */
int zone_cli_become(struct cli *cli, const char *name, const char *app, char *const command[]);
void zone_cli_table(const struct cli *cli, const json_t *applied);
/* One created zone: what it is to be, what it is, and its apps. */
void zone_cli_print(const struct cli *cli, const json_t *zone);
/* The differences, or that there are none. */
void zone_cli_diff(const struct cli *cli, const json_t *diff);
/* How a verb ends: czd's answer as JSON, or that sentence, or what an update changed. EXIT_OK. */
int zone_cli_done(const struct cli *cli, const json_t *data, const char *fmt, ...)
    printf_like(3, 4);
int zone_cli_updated(const struct cli *cli, const json_t *data);
