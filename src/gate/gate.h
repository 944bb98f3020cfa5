/* SPDX-License-Identifier: MIT */
/*
 * cz-gate: everything that parses what strangers send. One event loop, an ordinary client of czd:
 * it holds no state that czd lacks, and its death harms nobody. One more thread reads history.
 */
#pragma once
#include <systemd/sd-event.h>
#include "gate/czd.h"
#include "gate/http.h"
#include "gate/metrics.h"
#include "gate/security.h"
#include "gate/stream.h"
#include "gate/view.h"

struct gate_options {
	const char *listen; /* "127.0.0.1:9780", "[::]:9780" */
	const char *socket; /* of czd */
	const char *read_token_file, *change_token_file;
	const char *user;    /* whom to become when started as root */
	const char *hosts;   /* further names this host is asked by, separated by commas */
	uint64_t zones_max;  /* of /metrics */
	const char *history; /* the file, or "none" */
	uint64_t history_bytes, history_age_ns;
	bool help, version;
};

struct gate {
	const struct gate_options *opt;
	sd_event *loop;
	/* Connections to czd: a slow answer delays only those on its own. */
	struct czd *watch;  /* the snapshot, each tick */
	struct czd *ask;    /* what reads */
	struct czd *change; /* what changes, and what takes long */
	struct view view;
	struct metrics metrics;
	struct security security;
	struct http *http;
	struct stream *stream;
	struct watch *watcher;
	struct history *history; /* NULL: none is kept */
	struct reader *reader;	 /* of it; NULL as well */
	uint64_t started_real_ns;
	uint64_t sending_bytes; /* of answers that clients have not taken yet */
};

/* watch.c: keeps gate->view up to date, and tells of each new one. */
must_check int watch_new(struct gate *g, struct watch **ret);
void watch_free(struct watch *w);
/* Called with each new snapshot, after gate->view was filled; czd being away is told by
 * g->view.known false. Append what is to happen then. */
void gate_on_snapshot(struct gate *g);
