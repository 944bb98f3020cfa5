/* SPDX-License-Identifier: MIT */
/* The store of history: opened, fed once a snapshot, and what to do when it cannot be written. */
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "gate/history-internal.h"

#define RETRY_NS 10000000000ull

void history_prepare(const char *path, const char *user)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam(user) : NULL;
	_cleanup_free_ char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!pw || !slash || slash == dir || !strcmp(path, "none"))
		return;
	*slash = 0;
	if (mkdir(dir, 0750) < 0)
		return; /* it is there, or opening will say what is wrong */
	if (lchown(dir, pw->pw_uid, pw->pw_gid) < 0)
		log_warn("history: folder %s for user %s: %s", dir, user, strerror(errno));
}

void history_trouble(struct history *h, const struct error *e)
{
	if (e->code != h->why.code)
		log_warn("%s; cz-gate goes on without%s%s", e->msg, e->hint[0] ? ". " : "",
			 e->hint);
	h->why = *e;
}

static void well_again(struct history *h)
{
	if (h->why.code)
		log_notice("history is kept again");
	h->why = (struct error){0};
}

static void open_store(struct history *h)
{
	const struct gate_options *o = h->gate->opt;
	struct store_options opt = {.path = o->history,
				    .max_bytes = o->history_bytes,
				    .max_age_ms = o->history_age_ns / 1000000};
	struct error e = {0};

	h->retry_ns = clock_mono_ns() + RETRY_NS;
	h->have_metrics = false;
	if (store_open(&opt, &h->store, &e) < 0)
		history_trouble(h, &e);
	else if (e.msg[0])
		log_warn("%s", e.msg);
}

static void read_boot(char *buf, size_t size)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

int history_new(struct gate *g, struct history **ret)
{
	struct history *h;

	*ret = NULL;
	if (!strcmp(g->opt->history, "none"))
		return 0;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->gate = g;
	read_boot(h->boot, sizeof(h->boot));
	open_store(h);
	*ret = h;
	return 0;
}

/* No tick comes that would take the latest events along. */
static void flush(struct history *h)
{
	struct error e = {0};

	if (h->store && store_flush(h->store, &e) < 0)
		history_trouble(h, &e);
}

void history_free(struct history *h)
{
	if (!h)
		return;
	flush(h);
	store_close(h->store);
	history_forget_totals(h);
	free(h);
}

int history_may_read(struct history *h, struct store_stats *ret, struct error *reterr)
{
	if (!h)
		return error_set(reterr, -EOPNOTSUPP, "cz-gate keeps no history (--history none)");
	if (!h->store)
		return error_set(reterr, -EOPNOTSUPP, "%s",
				 h->why.msg[0] ? h->why.msg : "history is not open");
	store_stats(h->store, ret);
	return 0;
}

void history_suspect(struct history *h, uint64_t inode)
{
	if (h && h->store)
		store_suspect(h->store, inode);
}

static void keep(struct history *h)
{
	struct error e = {0};
	int r = history_add_tick(h, &e);

	/* zones and metrics may be void: see store_commit() */
	h->have_metrics &= r == 0;
	/* what could be said is kept even where some of it could not be */
	if (r == 0 || r == -ENOMEM)
		r = store_commit(h->store, h->t_ms, &e);
	else if (store_commit(h->store, h->t_ms, NULL) == 0)
		r = 0;
	if (r < 0) {
		h->have_metrics = false;
		if (r == -EAGAIN)
			log_notice("%s", e.msg);
		else
			history_trouble(h, &e);
	} else {
		well_again(h);
	}
}

void history_snapshot(struct history *h)
{
	const struct view *v;
	uint64_t before_ns;

	if (!h)
		return;
	v = &h->gate->view;
	if (!v->known || v->run != h->run) {
		history_forget_totals(h);
		h->now_ns = 0;
	}
	h->run = v->run;
	before_ns = h->now_ns;
	h->now_ns = v->now_ns;
	if (!h->store && clock_mono_ns() >= h->retry_ns)
		open_store(h);
	if (!v->known)
		flush(h);
	if (!v->known || !h->store || !before_ns || v->now_ns <= before_ns)
		return;
	h->window_ns = v->now_ns - before_ns;
	h->t_ms = v->real_ns / 1000000;
	h->tick++;
	keep(h);
	history_refresh(h);
}
