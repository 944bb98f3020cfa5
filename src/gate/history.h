/* SPDX-License-Identifier: MIT */
/*
 * History: what each snapshot says goes into the store, and so do events, findings and actions. A
 * store that cannot be written costs history and nothing else: that is said once, and tried again.
 */
#pragma once
#include <jansson.h>
#include "gate/http.h"
#include "store/store.h"

struct history;

/* As root: makes the folder of the file, which belongs to `user`. Says what goes wrong. */
void history_prepare(const char *path, const char *user);
/* After rights were given up. *ret is NULL when none is to be kept. -ENOMEM. */
must_check int history_new(struct gate *g, struct history **ret);
void history_free(struct history *h); /* all of them accept NULL */

void history_snapshot(struct history *h); /* gate->view is new, or czd is away */
void history_event(struct history *h, const json_t *event);
void history_rows(struct history *h, const json_t *data); /* with `findings` or `actions` */
/* Is there any that can be read, and how much? -EOPNOTSUPP with a sentence: none is kept, or not
 * now. */
must_check int history_may_read(struct history *h, struct store_stats *ret, struct error *reterr);
/* A reader found the file with that inode damaged. */
void history_suspect(struct history *h, uint64_t inode);

/* history-api.c: what is asked under /api/v1/history */
void history_serve(struct request *r);
void history_serve_ledger(struct request *r);
void history_serve_zones(struct request *r);
void history_serve_notes(struct request *r);
