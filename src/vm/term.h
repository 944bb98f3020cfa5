/* SPDX-License-Identifier: MIT */
/* term.sock: terminals of people, each on a stream of the guest's term port
 * (docs/zone-protocol.md). */
#pragma once
#include <systemd/sd-event.h>
#include "channel/channel.h"
#include "vm/ports.h"

#define TERM_FRAME_MAX 65536
#define TERM_HEAD      4

struct terms;
/* Takes the listening socket on success; ports are borrowed. */
must_check int terms_new(sd_event *loop, int listener, struct ports *ports, struct terms **ret);
void terms_free(struct terms *t);
void terms_frame(struct terms *t, const struct channel_frame *f); /* of the term port */
void terms_session(struct terms *t);				  /* all streams are gone */
void terms_room(struct terms *t);				  /* those who wait may go on */

/* Pure: the frame at the beginning of data. 1: whole, *ret_type and *ret_len (of the payload) set;
 * 0: not yet; -EPROTO: too long, or not for a client to send. */
must_check int term_frame_parse(const uint8_t *data, size_t len, enum channel_type *ret_type,
				size_t *ret_len);
