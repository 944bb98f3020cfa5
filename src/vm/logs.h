/* SPDX-License-Identifier: MIT */
/* What a guest writes to its console and its apps to their outputs, into the zone's log folder. */
#pragma once
#include <systemd/sd-event.h>
#include "channel/channel.h"

struct logs;
/* dirfd is borrowed; console (a socket) is taken on success. */
must_check int logs_new(sd_event *loop, int dirfd, int console, struct logs **ret);
void logs_free(struct logs *l);
/* A frame of the log port. */
void logs_frame(struct logs *l, const struct channel_frame *f);
/* Streams have no names any more. */
void logs_session(struct logs *l);
