/* SPDX-License-Identifier: MIT */
/*
 * A verb of czctl: one file verb-NAME.c with one const struct verb, one line in verbs.h, one
 * paragraph in man/czctl.1, one golden output in tests/e2e. Help and completion print from it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "base/error.h"
#include "cli/client.h"
#include "cli/out.h"

/* What czctl exits with; documented in czctl(1). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,	      /* wrong usage or bad input */
	EXIT_UNREACHABLE = 3, /* czd is not there, hangs, or talks nonsense */
	EXIT_NOT_FOUND = 4,
	EXIT_NOT_PERMITTED = 5,
	EXIT_DIFFERS = 6,      /* verify, diff and replay found differences */
	EXIT_CANNOT_RUN = 126, /* a command; as shells and env(1) have it */
	EXIT_COMMAND_ABSENT = 127,
};

struct cli {
	struct client client;
	struct out out;
	bool json;
};

struct verb_option {
	const char *name; /* without "--" */
	const char *arg;  /* what the value is called in help; NULL: a flag */
	const char *help;
};

#define VERB_OPTIONS_MAX 8
struct args {
	const char *
	    option[VERB_OPTIONS_MAX]; /* by index in verb.options; "" for a flag; NULL: not given */
	int nr;
	char **words; /* the rest */
};

struct verb {
	const char *name;
	const char *summary;		   /* one line, no full stop */
	const char *usage;		   /* what follows the name */
	const char *help;		   /* teaches: what the answer means, examples */
	const struct verb_option *options; /* ends with a NULL name; may be NULL */
	const char *letters;	  /* "f": the option that begins with f is -f too; or NULL */
	int min_words, max_words; /* max -1: any */
	bool stops_at_word;	  /* what follows the first word is not parsed (run) */
	int foreign_after; /* not 0: after that many words, an option nobody knows is a word */
	bool changes;	   /* czd lets only root and cz-admin do it */
	int (*run)(struct cli *cli, const struct args *args); /* an enum exit_code */
};

/* "czctl: MESSAGE. HINT" on stderr; returns the exit code for it. */
must_check int cli_fail(const struct cli *cli, const struct error *e);
/* Bad arguments: prints the message and how to get help. Returns EXIT_USAGE. */
int cli_usage(const struct verb *verb, const char *fmt, ...) printf_like(2, 3);
/* Ask czd; args is consumed. EXIT_OK and *ret, or the printed failure's exit code. */
must_check int cli_call(struct cli *cli, const char *verb, json_t *args, json_t **ret);
/* Ask, and print the answer: as JSON when that is wanted, else by `print`. args is consumed. */
must_check int cli_show(struct cli *cli, const char *verb, json_t *args,
			void (*print)(const struct cli *cli, const json_t *data));
/* The whole data as JSON on one line, ASCII only. */
void cli_print_json(const json_t *data);
#define _cleanup_json_ __attribute__((cleanup(json_decrefp))) /* jansson has the function */
