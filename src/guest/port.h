/* SPDX-License-Identifier: MIT */
/* One virtio-serial port in the loop, with its channel. */
#pragma once
#include "channel/channel.h"
#include "guest/loop.h"

struct port {
	enum channel_port which;
	struct channel *channel;
	struct loop *loop;
	struct source source;
	int fd; /* -1: not found yet */
	channel_handler handle;
	void (*new_session)(void *arg);
	void *arg;
	uint64_t sessions;
};
must_check int port_init(struct port *p, enum channel_port which,
			 const uint8_t nonce[CHANNEL_NONCE], struct loop *loop,
			 channel_handler handle, void (*new_session)(void *arg), void *arg);
/* Once a second: looks for the device where it has none, says hello where nobody answered. */
void port_tick(struct port *p);
/* Writes what the channel has to say, as far as the device takes it. */
void port_flush(struct port *p);
