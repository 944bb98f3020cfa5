/* SPDX-License-Identifier: MIT */
/* The request "apply": apps and scheduler as the zone's spec has them, checked once more here.
 * Without "sched" the scheduler stays as it is. */
#pragma once
#include "guest/guest.h"

must_check int apply_request(struct guest *g, const json_t *req, struct error *reterr);
