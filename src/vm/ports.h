/* SPDX-License-Identifier: MIT */
/* The three ports of a guest and its console, on the event loop. */
#pragma once
#include <stdint.h>
#include <jansson.h>
#include <systemd/sd-event.h>
#include "channel/channel.h"

struct ports;
struct ports_events {
	void *arg;
	/* A session began on this port: nothing that was said before holds. */
	void (*session)(void *arg, enum channel_port port);
	void (*frame)(void *arg, enum channel_port port, const struct channel_frame *f);
	/* A sender that had to wait may try again. */
	void (*room)(void *arg, enum channel_port port);
};
/* Takes the fds on success. */
must_check int ports_new(sd_event *loop, const char *nonce, const int fds[CHANNEL_NR],
			 const struct ports_events *events, struct ports **ret);
void ports_free(struct ports *p);
/* The guest opened (again) or closed a port, says QEMU. */
void ports_restart(struct ports *p, enum channel_port port);
void ports_tick(struct ports *p);
must_check int ports_write(struct ports *p, enum channel_port port, enum channel_type type,
			   unsigned int stream, const void *data, size_t len);
/* One object on the control port; takes it. */
must_check int ports_say(struct ports *p, json_t *message);
size_t ports_room(const struct ports *p, enum channel_port port, unsigned int stream);
void ports_consumed(struct ports *p, enum channel_port port, unsigned int stream, size_t bytes);
const struct channel_counts *ports_counts(const struct ports *p, enum channel_port port);
