/* SPDX-License-Identifier: MIT */
#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"

#define X(name) &verb_##name,
const struct verb *const verbs[] = {VERBS(X) NULL};
#undef X

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; verbs[i]; i++)
		if (!strcmp(verbs[i]->name, name))
			return verbs[i];
	return NULL;
}

const char *verb_closest(const char *name)
{
	const char *best = NULL;
	unsigned int least = 3, distance;

	for (size_t i = 0; verbs[i]; i++) {
		distance = str_distance(name, verbs[i]->name);
		if (distance < least) {
			least = distance;
			best = verbs[i]->name;
		}
	}
	return best;
}

void verbs_print_names(void)
{
	for (size_t i = 0; verbs[i]; i++)
		puts(verbs[i]->name);
	puts("help");
}

static const char global_help[] =
    "  --socket PATH         czd's socket (default $CZ_SOCKET or /run/cz/czd.sock)\n"
    "  -o, --output FORMAT   table (default) or json\n"
    "  --color WHEN          auto (default), always, never; NO_COLOR is honoured\n"
    "  -h, --help            help; after a verb: help of that verb\n"
    "  -V, --version         version of czctl\n";

void verbs_print_help(const struct out *o)
{
	puts("czctl shows who hurts whom on this machine, and puts it right.\n\n"
	     "Usage: czctl [OPTIONS] VERB ...\n\n"
	     "First steps: czctl doctor; sudo czctl protect ZONE; czctl why ZONE\n");
	out_styled(o, STYLE_TITLE, "Verbs");
	putchar('\n');
	for (size_t i = 0; verbs[i]; i++)
		printf("  %-10s  %s\n", verbs[i]->name, verbs[i]->summary);
	putchar('\n');
	out_styled(o, STYLE_TITLE, "Options");
	printf("\n%s\nHelp with examples: czctl help VERB. Exit codes: man czctl.\n", global_help);
}

static bool has_letter(const struct verb *verb, const struct verb_option *v)
{
	return verb->letters && strchr(verb->letters, v->name[0]);
}

void verb_print_help(const struct out *o, const struct verb *verb)
{
	char left[64];

	printf("czctl %s: %s\n\n", verb->name, verb->summary);
	printf("Usage: czctl %s%s%s\n\n", verb->name, verb->usage[0] ? " " : "", verb->usage);
	fputs(verb->help, stdout);
	if (!verb->options)
		return;
	putchar('\n');
	out_styled(o, STYLE_TITLE, "Options");
	putchar('\n');
	for (const struct verb_option *v = verb->options; v->name; v++) {
		bool letter = has_letter(verb, v);

		snprintf(left, sizeof(left), "%s%.*s%s--%s%s%s", letter ? "-" : "", letter, v->name,
			 letter ? ", " : "", v->name, v->arg ? " " : "", v->arg ? v->arg : "");
		printf("  %-16s  %s\n", left, v->help);
	}
}

/* "--name", "--name=value" or "--name value": the value, or "" for a flag. NULL: printed. */
static const char *option_value(const struct verb *verb, const char *name, bool takes_value,
				int argc, char **argv, int *i)
{
	const char *inline_value = strchr(argv[*i], '=');

	if (!takes_value && !inline_value)
		return "";
	if (takes_value && inline_value)
		return inline_value + 1;
	if (takes_value && *i + 1 < argc)
		return argv[++*i];
	cli_usage(verb, takes_value ? "--%s needs a value" : "--%s takes no value", name);
	return NULL;
}

static bool is_option(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, "--", 2) && !strncmp(word + 2, name, n) &&
	       (word[2 + n] == 0 || word[2 + n] == '=');
}

static int set_output(struct cli *cli, const char *value)
{
	if (strcmp(value, "json") && strcmp(value, "table"))
		return -EINVAL;
	cli->json = !strcmp(value, "json");
	return 0;
}

static int set_color(struct cli *cli, const char *value)
{
	if (!strcmp(value, "always"))
		cli->out.color = true;
	else if (!strcmp(value, "never"))
		cli->out.color = false;
	else if (strcmp(value, "auto"))
		return -EINVAL;
	return 0;
}

static int set_socket(struct cli *cli, const char *value)
{
	cli->client.path = value;
	return 0;
}

static const struct {
	const char *name, *letter, *values;
	int (*set)(struct cli *cli, const char *value);
} globals[] = {
    {"output", "-o", "table or json", set_output},
    {"color", "", "auto, always or never", set_color},
    {"socket", "", "a path", set_socket},
};

int global_option(struct cli *cli, int argc, char **argv, int *i)
{
	const char *word = argv[*i], *value;

	for (size_t g = 0; g < ARRAY_SIZE(globals); g++) {
		if (strcmp(word, globals[g].letter) && !is_option(word, globals[g].name))
			continue;
		value = option_value(NULL, globals[g].name, true, argc, argv, i);
		if (!value)
			return -EINVAL;
		if (globals[g].set(cli, value) == 0)
			return 1;
		cli_usage(NULL, "--%s: '%s' is not %s", globals[g].name, value, globals[g].values);
		return -EINVAL;
	}
	return 0;
}

const char *verb_output(struct cli *cli, const char *value)
{
	return value && set_output(cli, value) == 0 ? NULL : value;
}

static int unknown_option(const struct verb *verb, const char *word)
{
	const char *best = NULL;
	unsigned int least = 3, distance;

	for (const struct verb_option *v = verb->options; v && v->name; v++) {
		distance = str_distance(word[1] == '-' ? word + 2 : word, v->name);
		if (distance < least) {
			least = distance;
			best = v->name;
		}
	}
	if (best)
		return cli_usage(verb, "unknown option '%s'. Did you mean '--%s'?", word, best);
	return cli_usage(verb, "unknown option '%s'", word);
}

/* 1 taken, 0 not an option of this verb, -EINVAL printed. */
static int verb_option(const struct verb *verb, int argc, char **argv, int *i, struct args *ret)
{
	const struct verb_option *v = verb->options;

	for (; v && v->name; v++) {
		const char letter[] = {'-', v->name[0], 0};

		if (!is_option(argv[*i], v->name) &&
		    (!has_letter(verb, v) || strcmp(argv[*i], letter)))
			continue;
		ret->option[v - verb->options] =
		    option_value(verb, v->name, v->arg != NULL, argc, argv, i);
		return ret->option[v - verb->options] ? 1 : -EINVAL;
	}
	return 0;
}

static int check_words(const struct verb *verb, const struct args *args)
{
	if (args->nr < verb->min_words)
		return cli_usage(verb, "something is missing: czctl %s %s", verb->name,
				 verb->usage);
	if (verb->max_words >= 0 && args->nr > verb->max_words)
		return cli_usage(verb, "'%s' is one word too many", args->words[verb->max_words]);
	return 0;
}

int verb_parse(struct cli *cli, const struct verb *verb, int argc, char **argv, struct args *ret,
	       bool *ret_help)
{
	bool options_end = false;
	int r;

	*ret = (struct args){.words = argv}; /* words move to the front of argv */
	*ret_help = false;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];

		if (options_end || word[0] != '-' || !word[1]) {
			ret->words[ret->nr++] = argv[i];
			options_end = options_end || verb->stops_at_word;
			continue;
		}
		if (!strcmp(word, "--")) {
			options_end = true;
			continue;
		}
		if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			*ret_help = true;
			return 0;
		}
		r = verb_option(verb, argc, argv, &i, ret);
		if (r == 0)
			r = global_option(cli, argc, argv, &i);
		if (r == 0 && verb->foreign_after && ret->nr >= verb->foreign_after) {
			ret->words[ret->nr++] = argv[i];
			continue;
		}
		if (r <= 0)
			return r < 0 ? EXIT_USAGE : unknown_option(verb, word);
	}
	return check_words(verb, ret);
}
