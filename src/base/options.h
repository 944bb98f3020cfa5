/* SPDX-License-Identifier: MIT */
/*
 * Command line options as a table: parsing, checking and --help come from the same lines.
 * Values are stored at `offset` of a context structure, in the type the kind names.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cpuset.h"
#include "base/error.h"

enum option_kind {
	OPTION_FLAG,	 /* bool */
	OPTION_DURATION, /* uint64_t ns; a number without a unit is seconds */
	OPTION_SIZE,	 /* uint64_t bytes */
	OPTION_NUMBER,	 /* uint64_t */
	OPTION_RATIO,	 /* uint32_t ppm */
	OPTION_TEXT,	 /* const char *, borrowed from argv */
	OPTION_CHOICE,	 /* uint32_t: index into choices */
	OPTION_CPUS,	 /* struct cpuset */
	OPTION_KIND_NR,
};

struct option_desc {
	const char *name; /* "seconds"; NULL ends a table */
	enum option_kind kind;
	size_t offset;
	const char *value; /* what to call the value in --help */
	const char *help;
	uint64_t min, max;	    /* of durations, sizes and numbers; max 0: no limit */
	const char *const *choices; /* of OPTION_CHOICE, NULL-terminated */
	char letter;		    /* "-o"; 0: none */
};

/* OPTION(struct context, "name", KIND, field, "VALUE", "help", .min = ...) */
#define OPTION(context, option, k, field, what, text, ...)                                         \
	{                                                                                          \
		.name = option, .kind = OPTION_##k, .offset = offsetof(context, field),            \
		.value = what, .help = text, __VA_ARGS__                                           \
	}
#define OPTIONS_END                                                                                \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/*
 * Sets what argv[0..argc) says. At most max_words words that are no options go to words[], in
 * order. Returns their number, or -EINVAL with a message that names the option.
 */
must_check int options_parse(const struct option_desc *const *tables, void *context, int argc,
			     char **argv, const char **words, int max_words, struct error *reterr);
/* The lines of --help, one per option. */
void options_print(const struct option_desc *table);
