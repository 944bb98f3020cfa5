/* SPDX-License-Identifier: MIT */
/* What a file held before the oldest open action that touches it. */
#pragma once
#include "actuate/actuate.h"
#include "actuate/entry.h"

/* Native text, borrowed until the journal changes; NULL: no open action holds this file. act may be
 * NULL. */
uint64_t actuator_holder(const struct actuator *act, enum knob_file f,
			 uint64_t dir_id); /* seq; 0 */
const char *actuator_original(const struct actuator *act, enum knob_file f, uint64_t dir_id);
