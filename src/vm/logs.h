/* SPDX-License-Identifier: MIT */
/* What a guest writes to its console and its apps to their outputs, into the zone's log folder. */
#pragma once
#include <stdbool.h>
#include <jansson.h>
#include <systemd/sd-event.h>
#include "channel/channel.h"

struct logs;
/* dirfd is borrowed; console (a socket) is taken on success. */
must_check int logs_new(sd_event *loop, int dirfd, int console, struct logs **ret);
void logs_free(struct logs *l);
/* A frame of the log port. `apps` is as in a spec: no log is made for any other name, or a guest
 * fills the host's disk with them. False: a name was refused. */
bool logs_frame(struct logs *l, const json_t *apps, const struct channel_frame *f);
/* The kernel's last word, if the console has it: what it said that it panicked of. NULL: nothing.
 * Reads what the console still holds. */
const char *logs_panic(struct logs *l);
/* Streams have no names any more. */
void logs_session(struct logs *l);
