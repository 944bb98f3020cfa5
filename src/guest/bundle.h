/* SPDX-License-Identifier: MIT */
/* The config.json of an app's OCI bundle -> the one that crun is given. Pure. */
#pragma once
#include "base/error.h"
#include "model/zone-spec.h"

#define BUNDLE_CONFIG_MAX (256 * 1024)

/*
 * With the app's environment over the bundle's, its workdir where it has one, no terminal (output
 * is logged) and no cgroup (the app has one, with the zone's limits). *ret: JSON text, to be freed.
 * Only what this needs is checked, the rest is crun's to refuse.
 */
must_check int bundle_config(const char *text, size_t len, const struct zone_app *app, char **ret,
			     struct error *reterr);
