/* SPDX-License-Identifier: MIT */
/*
 * A replay as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing show, in the Trace Event
 * Format, JSON. A process stands for a zone: counters for its CPU and, of protected zones, for its
 * waiting by who ran meanwhile, in milliseconds a second; slices for findings (on the victim) and
 * actions (on whose knob was turned), instants for fast events.
 */
#pragma once
#include <stdio.h>
#include "replay/replay.h"

struct trace;
must_check int trace_new(FILE *out, struct trace **ret);
void trace_tick(struct trace *t, const struct snapshot *s);
void trace_event(struct trace *t, const struct fast_event *e);
/* Lines of the replay; those that only the recording has are left out. */
void trace_line(struct trace *t, const struct replay_line *l);
/* Ends what is open, at the last tick, and frees. 0, or -Exxx: something could not be written. */
must_check int trace_end(struct trace *t);
