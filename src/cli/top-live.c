/* SPDX-License-Identifier: MIT */
/*
 * One loop over keys, signals and two connections: one asks, the other follows czd's events, which
 * make it ask earlier. It asks once a tick, just after czd has published one. Nothing here waits
 * for czd, so a czd that is stopped or gone leaves keys and terminal alive.
 */
#include "cli/top-live.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/show.h"
#include "cli/top-term.h"
#include "cli/top-text.h"
#include "cli/top.h"

#define MS_NS	       1000000ull
#define SECOND_NS      1000000000ull
#define PATIENCE_NS    (2 * SECOND_NS) /* for one answer; then it is said that there is none */
#define RETRY_NS       SECOND_NS
#define PERIOD_MIN_NS  (100 * MS_NS)
#define EVENT_PAUSE_NS (200 * MS_NS) /* events come in heaps */
/* Zones: of so many czd may be asked for all, so that what rests for a tick does not blink. */
#define ALL_BELOW 300

struct live {
	const struct top_options *options;
	struct client ask, events;
	struct top top;
	struct canvas canvas;
	bool quit;
	int signals;
	int step;	   /* of the questions; STEPS: none is open */
	bool why_again;	   /* the selection changed since why was asked */
	uint64_t asked_ns; /* the open question */
	uint64_t began_ns; /* the latest round of them */
	uint64_t next_ns;  /* when the next is due */
};

static unsigned int room(const struct live *l)
{
	return l->canvas.rows >= TOP_ROWS_MIN ? top_layout_of(l->canvas.rows).nr_zones : 1;
}

static void draw(struct live *l)
{
	unsigned int rows, columns;

	top_term_size(&rows, &columns);
	if (canvas_reset(&l->canvas, rows, columns) < 0)
		return;
	if (top_arrange(&l->top, room(l)) < 0)
		return;
	top_paint(&l->top, &l->canvas, clock_mono_ns());
	top_term_draw(&l->canvas);
}

/* --- what is asked, in this order */

static json_t *top_args(struct live *l)
{
	uint64_t zones = get_count(l->top.zones.data, "zones_total");
	bool all = l->top.order.all || (zones && zones <= ALL_BELOW);

	return json_pack("{s:b, s:i}", "all", all, "limit", (int)l->options->limit);
}

static json_t *no_args(struct live *l)
{
	return json_object();
}

/* NULL: nothing is selected. */
static json_t *why_args(struct live *l)
{
	const struct top_zone *zone = top_selected(&l->top);
	char *path = zone ? strdup(zone->path) : NULL;

	l->why_again = false;
	if (!path)
		return NULL;
	free(l->top.why_path);
	l->top.why_path = path;
	return json_pack("{s:s}", "zone", top_zone_handle(zone));
}

static void keep(json_t **slot, json_t *data)
{
	json_decref(*slot);
	*slot = data;
}

static int take_top(struct live *l, json_t *data)
{
	int r = top_zones_take(&l->top.zones, data);

	if (r == 0) {
		l->top.away[0] = 0;
		r = top_arrange(&l->top, room(l));
	}
	return r;
}

static int take_findings(struct live *l, json_t *data)
{
	keep(&l->top.findings, data);
	return 0;
}

static int take_actions(struct live *l, json_t *data)
{
	keep(&l->top.actions, data);
	return 0;
}

static int take_why(struct live *l, json_t *data)
{
	keep(&l->top.why, data);
	free(l->top.why_refused);
	l->top.why_refused = NULL;
	return 0;
}

static const struct {
	const char *verb;
	json_t *(*args)(struct live *l);
	int (*take)(struct live *l, json_t *data); /* consumes data */
} questions[] = {
    {"top", top_args, take_top},
    {"findings", no_args, take_findings},
    {"actions", no_args, take_actions},
    {"why", why_args, take_why},
};
enum { STEP_TOP = 0, STEP_WHY = 3, STEPS = ARRAY_SIZE(questions) };

static void went_away(struct live *l, const struct error *e)
{
	uint64_t now_ns = clock_mono_ns();

	if (!l->top.away[0])
		l->top.away_since_ns = l->asked_ns ? l->asked_ns : now_ns;
	str_copy(l->top.away, sizeof(l->top.away), e->hint[0] ? e->hint : e->msg);
	client_close(&l->ask);
	client_close(&l->events);
	l->ask.no_answer = false;
	l->step = STEPS;
	l->next_ns = now_ns + RETRY_NS;
	draw(l);
}

/* When czd will have published its next tick, or the user wants to see it. */
static uint64_t next_round_ns(const struct live *l, uint64_t now_ns)
{
	uint64_t tick_ns = get_count(l->top.zones.data, "window_ns");
	uint64_t period_ns = tick_ns ? tick_ns : SECOND_NS, next_ns;

	period_ns = period_ns < PERIOD_MIN_NS ? PERIOD_MIN_NS : period_ns;
	if (l->options->interval_ns > period_ns)
		return l->began_ns + l->options->interval_ns;
	next_ns = get_count(l->top.zones.data, "now_ns") + period_ns + period_ns / 20;
	return next_ns > now_ns ? next_ns : now_ns + period_ns / 10;
}

static void ask_from(struct live *l, int step)
{
	struct error e = {0};
	json_t *args = NULL;

	for (l->step = step; l->step < STEPS && !args; l->step += !args)
		args = questions[l->step].args(l);
	if (!args) {
		l->next_ns = next_round_ns(l, clock_mono_ns());
		draw(l);
		return;
	}
	l->asked_ns = clock_mono_ns();
	if (client_ask(&l->ask, questions[l->step].verb, args, &e) < 0)
		went_away(l, &e);
}

static void follow_events(struct live *l)
{
	struct error e = {0};

	if (l->events.fd < 0 &&
	    client_ask(&l->events, "events",
		       json_pack("{s:I, s:b}", "since", (json_int_t)INT64_MAX, "follow", true),
		       &e) < 0)
		client_close(&l->events);
}

static void begin_round(struct live *l)
{
	l->began_ns = clock_mono_ns();
	follow_events(l);
	ask_from(l, STEP_TOP);
}

static void refused(struct live *l, const struct error *e)
{
	char *text;

	if (l->step != STEP_WHY || asprintf(&text, "%s. %s", e->msg, e->hint) < 0)
		return;
	keep(&l->top.why, NULL);
	free(l->top.why_refused);
	l->top.why_refused = text;
}

static void on_answer(struct live *l)
{
	struct error e = {0};
	json_t *data;
	int r;

	if (l->step == STEPS) /* nothing was asked: czd closed it; the next round connects anew */
		client_close(&l->ask);
	while (l->step < STEPS && l->ask.fd >= 0) {
		r = client_poll(&l->ask, &data, &e);
		if (r == 0)
			return;
		if (r > 0 && questions[l->step].take(l, data) < 0) {
			error_set(&e, -EPROTO, "its answer cannot be used");
			r = -EPROTO;
		}
		if (r < 0 && (l->ask.no_answer || l->step == STEP_TOP)) {
			went_away(l, &e);
			return;
		}
		if (r < 0)
			refused(l, &e);
		ask_from(l, l->step + 1 == STEPS && l->why_again ? STEP_WHY : l->step + 1);
	}
}

static void on_event(struct live *l)
{
	_cleanup_json_ json_t *data = NULL;
	uint64_t early_ns = l->began_ns + EVENT_PAUSE_NS;
	struct error e = {0};
	int r;

	while ((r = client_poll(&l->events, &data, &e)) > 0) {
		if (json_array_size(json_object_get(data, "events")) && early_ns < l->next_ns)
			l->next_ns = early_ns;
		keep(&data, NULL);
	}
	if (r < 0)
		client_close(&l->events);
}

static void ask_why(struct live *l)
{
	l->why_again = true;
	if (l->step == STEPS && !l->top.away[0])
		ask_from(l, STEP_WHY);
}

static void on_keys(struct live *l)
{
	enum top_does does;
	uint32_t key;

	while (!l->quit && top_term_key(&key)) {
		does = top_key_press(&l->top, key, room(l));
		if (does == TOP_NOTHING)
			continue;
		l->quit = does == TOP_QUIT;
		if (does == TOP_REDRAW)
			top_term_forget();
		if (does == TOP_ASK)
			l->next_ns = 0;
		draw(l);
		ask_why(l);
	}
}

static void on_signal(struct live *l)
{
	struct signalfd_siginfo info;

	if (read(l->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP) {
		top_term_pause();
		raise(SIGSTOP);
		top_term_resume();
	}
	if (info.ssi_signo == SIGWINCH || info.ssi_signo == SIGTSTP || info.ssi_signo == SIGCONT)
		draw(l);
	else
		l->quit = true;
}

/* Until the next thing is due: a round, the end of patience, or the seconds of a czd that is away.
 */
static int timeout_ms(const struct live *l, uint64_t now_ns)
{
	uint64_t due_ns = l->step < STEPS ? l->asked_ns + PATIENCE_NS : l->next_ns;

	return due_ns <= now_ns ? 0 : (int)((due_ns - now_ns) / MS_NS + 1);
}

static void on_time(struct live *l)
{
	uint64_t now_ns = clock_mono_ns();
	struct error e = {0};

	if (l->step == STEPS && now_ns >= l->next_ns) {
		begin_round(l);
	} else if (l->step < STEPS && now_ns >= l->asked_ns + PATIENCE_NS) {
		error_set(&e, -ETIMEDOUT, "It is there: is it stopped or overloaded?");
		went_away(l, &e);
	}
}

static void loop(struct live *l)
{
	draw(l);
	while (!l->quit) {
		struct pollfd fds[] = {
		    {.fd = top_term_fd(), .events = POLLIN},
		    {.fd = l->signals, .events = POLLIN},
		    {.fd = l->ask.fd, .events = POLLIN},
		    {.fd = l->events.fd, .events = POLLIN},
		};

		if (poll(fds, ARRAY_SIZE(fds), timeout_ms(l, clock_mono_ns())) < 0 &&
		    errno != EINTR)
			return;
		if (fds[1].revents)
			on_signal(l);
		if (fds[0].revents & ~POLLIN) /* the terminal is gone */
			return;
		if (fds[0].revents)
			on_keys(l);
		if (fds[2].revents)
			on_answer(l);
		if (fds[3].revents)
			on_event(l);
		on_time(l);
	}
}

/* Before the terminal is taken over: what ends czctl ends it in order, or it is stopped by Ctrl-Z.
 */
static int open_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int top_live(struct cli *cli, const struct top_options *o)
{
	struct live l = {
	    .options = o,
	    .ask = CLIENT_CLOSED(cli->client.path),
	    .events = CLIENT_CLOSED(cli->client.path),
	    .top.order = {.all = o->all, .tree = o->tree},
	    .canvas.utf8 = top_is_utf8(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")),
	    .step = STEPS,
	};
	_cleanup_close_ int signals = open_signals();
	struct error e = {0};

	l.signals = signals;
	l.ask.at_once = l.events.at_once = true;
	if (signals < 0)
		error_errno(&e, -errno, "signalfd");
	else if (top_term_open(cli->out.color, &e) == 0)
		loop(&l);
	top_term_close();
	client_close(&l.ask);
	client_close(&l.events);
	top_done(&l.top);
	canvas_done(&l.canvas);
	return e.code ? cli_fail(cli, &e) : EXIT_OK;
}
