/* SPDX-License-Identifier: MIT */
/* What a domain of libvirt's needs before root is given up. */
#pragma once
#include "vm/launch.h"
#include "vm/qemu-args.h"

#define LIBVIRT_VIRTIOFS "virtiofs.sock" /* in the zone's state directory */

/* Puts what libvirt wants by path in place, and starts cz-libvirt with the order to run the plan;
 * plan->helper is the connection to it. Root. */
must_check int libvirt_order(const struct launch *l, struct qemu_plan *plan, struct error *reterr);
/* The same for a domain that runs already. */
must_check int libvirt_adopt(const struct launch *l, struct qemu_plan *plan, struct error *reterr);
