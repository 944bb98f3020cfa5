/* SPDX-License-Identifier: MIT */
/* What makes two descriptions of an app the same process. Pure. */
#pragma once
#include <stdbool.h>
#include "model/zone-spec.h"

/* Would `b` start another process than `a` did? All else can be changed while it runs. */
bool app_same_process(const struct zone_app *a, const struct zone_app *b);
void app_spec_done(struct zone_app *a);
/* "NAME=VALUE", NULL-terminated; NULL: no memory. Free with app_env_free. */
char **app_env(const struct zone_app *a);
void app_env_free(char **env);
