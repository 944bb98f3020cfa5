/* SPDX-License-Identifier: MIT */
/* Questions to cz-gate over HTTP, for what czd does not keep: history. */
#pragma once
#include "cli/verb.h"

#define GATE_DEFAULT "127.0.0.1:9780"
#define GATE_TOKEN   "/etc/cz/read-token"

struct gate_query {
	const char *path;	   /* "history/ledger", below /api/v1/ */
	const char *const *names;  /* of the parameters; ends with NULL */
	const char *const *values; /* a NULL value is left out */
};
/*
 * GET, from address "HOST:PORT" (NULL: GATE_DEFAULT), with the token of that file where it can be
 * read (NULL: GATE_TOKEN). 0 and *ret, or -Exxx and a sentence.
 */
must_check int gate_ask(struct cli *cli, const char *address, const char *token_file,
			const struct gate_query *q, json_t **ret, struct error *reterr);
/* The same; EXIT_OK, or the printed failure's exit code. */
must_check int gate_get(struct cli *cli, const char *address, const char *token_file,
			const struct gate_query *q, json_t **ret);

/* A range as history's verbs take it: --since, or --from and --to, each a time of day, a date and
 * time, seconds since 1970, or how long ago. */
struct gate_range {
	char from_ms[24], to_ms[24];
};
must_check int gate_range(const char *since, const char *from, const char *to, uint64_t now_ns,
			  struct gate_range *ret, struct error *reterr);
