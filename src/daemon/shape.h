/* SPDX-License-Identifier: MIT */
/* Snapshot and kin -> the JSON of docs/protocol.md. Every function returns a new reference or NULL.
 */
#pragma once
#include <jansson.h>
#include "daemon/daemon.h"

json_t *shape_zone(const struct daemon *d, const struct zone_view *v);
json_t *shape_ledger(const struct daemon *d, const struct ledger_view *w); /* w NULL: null */
json_t *shape_finding(const struct daemon *d, const struct finding *f);
json_t *shape_action(const struct daemon *d, const struct action *a);
json_t *shape_event(const struct event *e);
/* holders.c: who had what the zone waited for, in the latest tick: [{zone, kernel, ns or pages,
 * share_ppm}]; empty where nothing is known. */
json_t *shape_holders(const struct daemon *d, enum holder_kind kind, const struct zone_view *v);
/* Adds to a list what of it is known, and what would explain the finding (NULL: none) but is off.
 */
void holders_note(const struct daemon *d, const struct zone_view *v, const struct finding *f,
		  json_t *list);
/* What is enforced for a victim (0: for all) until when, for whom else, and why not. */
json_t *shape_mode(const struct daemon *d, uint64_t victim_id);
/* A number, or null when it is not known. */
json_t *shape_known(bool known, uint64_t value);
/* Text of our own making or an exact path: as it is. Where that is not UTF-8 (a path may be
 * anything, and a text may have been cut inside of a character) it is escaped like shape_text(). */
json_t *shape_string(const char *s);
/* Text that may hold anything: escaped for display. */
json_t *shape_text(const char *s);
#define FINDING_WORDS_MAX (2 * ZONE_NAME_MAX + 64)
/* "redis is hurt by batch", "redis was held back by its own CPU quota"; into buf, returns it. */
char *finding_words(const struct finding *f, bool past, char *buf, size_t size);
/* hurt, learning, unknown, fine; w NULL: nothing measured yet. */
const char *protected_state(const struct daemon *d, const struct zone_view *v,
			    const struct ledger_view *w);
/* A zone that went away lately; NULL: not known. */
const struct gone_zone *shape_gone(const struct daemon *d, uint64_t zone_id);
const struct finding *open_finding(const struct daemon *d, uint64_t victim_id); /* NULL: none */
