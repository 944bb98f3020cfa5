/* SPDX-License-Identifier: MIT */
/* What the description of an app says: whether two make the same process, of which class a thread
 * is. Pure. */
#pragma once
#include <stdbool.h>
#include "model/zone-spec.h"

/* Would `b` start another process than `a` did? All else can be changed while it runs. */
bool app_same_process(const struct zone_app *a, const struct zone_app *b);
/* The first rule that fits a thread of that name; NULL: none does. */
const struct thread_rule *app_thread_rule(const struct zone_app *a, const char *name);
void app_spec_done(struct zone_app *a);
/* "NAME=VALUE", NULL-terminated; NULL: no memory. Free with app_env_free. */
char **app_env(const struct zone_app *a);
void app_env_free(char **env);
