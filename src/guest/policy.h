/* SPDX-License-Identifier: MIT */
/*
 * The policy in force: scx-NAME processes (docs/zone-protocol.md, "Schedulers"), at most one of
 * them attached. Those used before stay loaded, so that going back is quick. When one dies the
 * kernel's own scheduler is back by itself; it is started again, at most 3 times a minute.
 */
#pragma once
#include <jansson.h>
#include <sys/types.h>
#include "guest/guest.h"

#define SCHED_LOADED_MAX   4 /* processes, the attached one included */
#define SCHED_RESTARTS_MAX 3 /* in SCHED_RESTARTS_NS */
#define SCHED_RESTARTS_NS  60000000000ULL

must_check int policy_init(struct guest *g);
/* The zone's spec: its policy, or what its rules say; `wanted` is emptied. */
void policy_apply(struct guest *g, struct zone_sched *wanted);
/* The same, said again by a host that met us anew: what was asked for since stays in force. `set`
 * (as of the request "sched", or NULL) is that, for a cz-guest that began after it was asked for.
 */
void policy_apply_again(struct guest *g, struct zone_sched *wanted, const json_t *set);
/* The request "sched": answered when it is in force. Rules rest until the next apply. */
must_check int policy_ask(struct guest *g, json_int_t id, const json_t *request,
			  struct error *reterr);
must_check int policy_ask_stats(struct guest *g, json_int_t id, struct error *reterr);
/* "none", or the NAME of scx-NAME that is attached. */
const char *policy_name(const struct guest *g);
/* The one that is to be in force, and a sentence why it cannot be had ("": it can, or may yet). */
const char *policy_wanted(const struct guest *g);
const char *policy_why(const struct guest *g);
/* Do tasks of apps of that class belong to the policy? Some policies take be only in partial mode:
 * lc then has the kernel's fair class, which goes first, at no cost. */
bool policy_takes(const struct guest *g, enum zone_class class);
/* be apps ran while lc apps waited: so much of the last second. */
void policy_harm(struct guest *g, uint64_t harm_ppm);
bool policy_reaped(struct guest *g, pid_t pid, int exit);
void policy_stop(struct guest *g);
