/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

/* A socket that listens at "ADDRESS:PORT" (names are not looked up; port 0: any). -EPERM for an
 * address that other hosts can reach, unless beyond_loopback. */
must_check int listen_open(const char *listen_at, bool beyond_loopback, uint16_t *ret_port,
			   struct error *reterr);
