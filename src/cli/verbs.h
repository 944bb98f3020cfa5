/* SPDX-License-Identifier: MIT */
/* The list of verbs, in the order of the help text. A new verb is one line here. */
#pragma once
#include "cli/verb.h"

#define VERBS(X)                                                                                   \
	X(top)                                                                                     \
	X(list)                                                                                    \
	X(inspect)                                                                                 \
	X(why)                                                                                     \
	X(findings)                                                                                \
	X(actions)                                                                                 \
	X(events)                                                                                  \
	X(history)                                                                                 \
	X(report)                                                                                  \
	X(flame)                                                                                   \
	X(suggest)                                                                                 \
	X(bundle)                                                                                  \
	X(record)                                                                                  \
	X(replay)                                                                                  \
	X(detect)                                                                                  \
	X(sim)                                                                                     \
	X(protect)                                                                                 \
	X(unprotect)                                                                               \
	X(create)                                                                                  \
	X(start)                                                                                   \
	X(stop)                                                                                    \
	X(remove)                                                                                  \
	X(update)                                                                                  \
	X(apply)                                                                                   \
	X(down)                                                                                    \
	X(diff)                                                                                    \
	X(log)                                                                                     \
	X(pod)                                                                                     \
	X(exec)                                                                                    \
	X(conn)                                                                                    \
	X(observe)                                                                                 \
	X(sched)                                                                                   \
	X(run)                                                                                     \
	X(feed)                                                                                    \
	X(try)                                                                                     \
	X(approve)                                                                                 \
	X(mode)                                                                                    \
	X(undo)                                                                                    \
	X(verify)                                                                                  \
	X(probes)                                                                                  \
	X(doctor)                                                                                  \
	X(check)                                                                                   \
	X(spec)                                                                                    \
	X(resctrl)                                                                                 \
	X(kernel)                                                                                  \
	X(version)

#define X(name) extern const struct verb verb_##name;
VERBS(X)
#undef X

extern const struct verb *const verbs[]; /* ends with NULL */
const struct verb *verb_find(const char *name);
/* The closest verb's name to a misspelt one, or NULL. */
const char *verb_closest(const char *name);
void verbs_print_help(const struct out *o);
void verbs_print_names(void); /* one a line, for completion */
void verb_print_help(const struct out *o, const struct verb *verb);
/* Parse what follows the verb's name. 0, or EXIT_USAGE after printing why. *ret_help: --help. */
must_check int verb_parse(struct cli *cli, const struct verb *verb, int argc, char **argv,
			  struct args *ret, bool *ret_help);
/* A global option at argv[*i] (moves *i past its value): 1 taken, 0 not one, -EINVAL printed. */
must_check int global_option(struct cli *cli, int argc, char **argv, int *i);
/* Of a verb whose own --output is a file: that file, or NULL when a format was meant all the same.
 */
const char *verb_output(struct cli *cli, const char *value);
