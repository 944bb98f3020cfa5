/* SPDX-License-Identifier: MIT */
/* czctl: global options, then one verb. See verb.h for how a verb is made. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/verbs.h"

#define DEFAULT_SOCKET "/run/cz/czd.sock"

static const struct {
	int code;
	enum exit_code exit;
} exits[] = {
    {-EINVAL, EXIT_USAGE},	  {-ERANGE, EXIT_USAGE},	 {-E2BIG, EXIT_USAGE},
    {-ENAMETOOLONG, EXIT_USAGE},  {-ENOENT, EXIT_NOT_FOUND},	 {-ESRCH, EXIT_NOT_FOUND},
    {-EPERM, EXIT_NOT_PERMITTED}, {-EACCES, EXIT_NOT_PERMITTED},
};

/* Message and hint in one line where that fits. */
static void print_error(const char *message, const char *hint)
{
	char shown[1024], shown_hint[512];
	size_t n;

	str_escape(shown, sizeof(shown), message);
	str_escape(shown_hint, sizeof(shown_hint), hint);
	n = strlen(shown);
	if (n && !strchr(".?!", shown[n - 1]) && n < sizeof(shown) - 1)
		memcpy(shown + n, ".", 2);
	if (!shown_hint[0])
		fprintf(stderr, "czctl: %s\n", shown);
	else if (out_width(shown) + out_width(shown_hint) + 8 <= 80)
		fprintf(stderr, "czctl: %s %s\n", shown, shown_hint);
	else
		fprintf(stderr, "czctl: %s\n       %s\n", shown, shown_hint);
}

int cli_fail(const struct cli *cli, const struct error *e)
{
	fflush(stdout);
	print_error(e->msg, e->hint);
	if (cli->client.no_answer)
		return EXIT_UNREACHABLE;
	for (size_t i = 0; i < ARRAY_SIZE(exits); i++)
		if (exits[i].code == e->code)
			return exits[i].exit;
	return EXIT_FAILED;
}

int cli_usage(const struct verb *verb, const char *fmt, ...)
{
	char message[400], hint[100];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	snprintf(hint, sizeof(hint), "Help: czctl help%s%s", verb ? " " : "",
		 verb ? verb->name : "");
	print_error(message, hint);
	return EXIT_USAGE;
}

int cli_call(struct cli *cli, const char *verb, json_t *args, json_t **ret)
{
	struct error e = {0};

	if (client_call(&cli->client, verb, args, ret, &e) < 0)
		return cli_fail(cli, &e);
	return EXIT_OK;
}

void cli_print_json(const json_t *data)
{
	_cleanup_free_ char *text = json_dumps(data, JSON_COMPACT | JSON_ENSURE_ASCII);

	/* DEL is plain ASCII to JSON, but not to a terminal. */
	for (const char *p = text; p && *p; p++) {
		if (*p == 0x7f)
			fputs("\\u007f", stdout);
		else
			putchar(*p);
	}
	putchar('\n');
}

int cli_show(struct cli *cli, const char *verb, json_t *args,
	     void (*print)(const struct cli *cli, const json_t *data))
{
	_cleanup_json_ json_t *data = NULL;
	int r = cli_call(cli, verb, args, &data);

	if (r != EXIT_OK)
		return r;
	if (cli->json)
		cli_print_json(data);
	else
		print(cli, data);
	return EXIT_OK;
}

static unsigned int terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint32_t width;

	if (columns && parse_u32(columns, &width) == 0 && width >= 40 && width <= 1000)
		return width;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
		return size.ws_col;
	return 80;
}

static bool wants_color(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && no[0]) && !(term && !strcmp(term, "dumb"));
}

static int run_help(struct cli *cli, int argc, char **argv)
{
	const struct verb *verb;

	if (argc == 0) {
		verbs_print_help(&cli->out);
		return EXIT_OK;
	}
	if (!strcmp(argv[0], "--list")) {
		verbs_print_names();
		return EXIT_OK;
	}
	verb = verb_find(argv[0]);
	if (!verb)
		return cli_usage(NULL, "there is no verb '%s'", argv[0]);
	verb_print_help(&cli->out, verb);
	return EXIT_OK;
}

static int run_verb(struct cli *cli, const char *name, int argc, char **argv)
{
	const struct verb *verb = verb_find(name);
	const char *best;
	struct args args;
	bool help;
	int r;

	if (!strcmp(name, "help"))
		return run_help(cli, argc, argv);
	if (!verb) {
		best = verb_closest(name);
		if (best)
			return cli_usage(NULL, "there is no verb '%s'. Did you mean '%s'?", name,
					 best);
		return cli_usage(NULL, "there is no verb '%s'", name);
	}
	r = verb_parse(cli, verb, argc, argv, &args, &help);
	if (r != 0)
		return r;
	if (help) {
		verb_print_help(&cli->out, verb);
		return EXIT_OK;
	}
	return verb->run(cli, &args);
}

static int run_command(struct cli *cli, int argc, char **argv)
{
	int r;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help"))
			return run_help(cli, 0, NULL);
		if (!strcmp(argv[i], "-V") || !strcmp(argv[i], "--version")) {
			puts("czctl " CZ_VERSION);
			return EXIT_OK;
		}
		r = global_option(cli, argc, argv, &i);
		if (r < 0)
			return EXIT_USAGE;
		if (r == 0 && argv[i][0] == '-')
			return cli_usage(NULL, "unknown option '%s'", argv[i]);
		if (r == 0)
			return run_verb(cli, argv[i], argc - i - 1, argv + i + 1);
	}
	verbs_print_help(&cli->out);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const char *socket = getenv("CZ_SOCKET");
	struct cli cli = {
	    .client = CLIENT_CLOSED(socket && socket[0] ? socket : DEFAULT_SOCKET),
	};
	int r;

	/* Names are UTF-8 whatever the user's locale; times and numbers stay in the C locale. */
	setlocale(LC_CTYPE, "C.UTF-8");
	cli.out = (struct out){.width = terminal_width(), .color = wants_color()};
	r = run_command(&cli, argc, argv);
	client_close(&cli.client);
	if ((fflush(stdout) == EOF || ferror(stdout)) && r == EXIT_OK) {
		fprintf(stderr, "czctl: cannot write the output: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return r;
}
