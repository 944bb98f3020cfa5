/* SPDX-License-Identifier: MIT */
/* What the guest knows of its apps and itself, once a second; the wait ledger of its lc apps. */
#pragma once
#include <jansson.h>
#include "guest/apps.h"

must_check int stats_init(struct guest *g);
/* Once a second: takes the readings and sends the event. */
void stats_tick(struct guest *g);
/* The event as it was sent last, without its name. */
json_t *stats_json(struct guest *g);
/* lc apps are protected in the ledger. */
void stats_class_changed(struct app *a);
void stats_forget(struct app *a);
/* CPU time of the lc apps since the last call, ppm of a CPU. False: no reading. */
bool stats_lc_load(struct guest *g, uint32_t *ret_ppm);
void stats_message_dropped(struct guest *g);
