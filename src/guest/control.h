/* SPDX-License-Identifier: MIT */
/* The control port: requests of cz-vm in, answers and events out. */
#pragma once
#include "guest/guest.h"

void control_frame(const struct channel_frame *f, void *guest);
void control_session(void *guest);
/* Both take the reference of `more` (an object, or NULL). An answer that finds no room is dropped:
 * whoever asked has a deadline. */
void control_ok(struct guest *g, json_int_t id, json_t *more);
void control_event(struct guest *g, const char *event, json_t *more);
void control_error(struct guest *g, json_int_t id, const struct error *e);
