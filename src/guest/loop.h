/* SPDX-License-Identifier: MIT */
/* One epoll loop with timers. Sources and timers are embedded in what they belong to. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

#define LOOP_EVENTS 32

struct source {
	int fd;		 /* borrowed; -1: not in the loop */
	uint32_t events; /* EPOLL*, as asked for */
	void (*ready)(void *arg, uint32_t events);
	void *arg;
};

struct timer {
	uint64_t at_ns; /* 0: not set */
	void (*due)(void *arg);
	void *arg;
	struct timer *next;
};

struct loop {
	int epoll_fd;
	uint64_t now_ns; /* CLOCK_MONOTONIC at the last wake-up */
	struct timer *timers;
	struct source *batch[LOOP_EVENTS]; /* reported, not yet handled */
};

must_check int loop_init(struct loop *l);
must_check int loop_add(struct loop *l, struct source *s, int fd, uint32_t events,
			void (*ready)(void *arg, uint32_t events), void *arg);
void loop_events(struct loop *l, struct source *s, uint32_t events); /* 0: not now */
void loop_del(struct loop *l, struct source *s);		     /* also when never added */
/* (Re)sets; due() is called once, not before at_ns. */
void loop_timer(struct loop *l, struct timer *t, uint64_t at_ns, void (*due)(void *arg), void *arg);
void loop_cancel(struct loop *l, struct timer *t);
/* Waits for the next thing and handles all there is. */
void loop_once(struct loop *l);
