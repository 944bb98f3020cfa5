/* SPDX-License-Identifier: MIT */
/* What of a running domain can be limited, as texts by name: "pin.N", the CPUs of vCPU N, and
 * libvirt's scheduler parameters by its own names. 0 or -errno; -EIO: libvirt's last error says
 * why. */
#pragma once
#include <stddef.h>
#include <libvirt/libvirt.h>
#include "base/error.h"

#define KNOB_SIZE 512

must_check int knob_read(virDomainPtr d, const char *name, char *buf, size_t size);
must_check int knob_write(virDomainPtr d, const char *name, const char *text);
