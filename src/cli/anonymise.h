/* SPDX-License-Identifier: MIT */
/* A recording that may be shown to others: no names, no paths, no commands. */
#pragma once
#include <jansson.h>

/* A line of model/record.h, in place. Zones are called after their ids, the same everywhere. */
void anonymise_line(json_t *line);
