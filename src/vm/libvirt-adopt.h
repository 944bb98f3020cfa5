/* SPDX-License-Identifier: MIT */
/*
 * A domain that somebody else started (cz-libvirt's): which of its knobs were changed, and how they
 * were found. The journal is a file, written before each change, so that whoever comes after a
 * kill -9 can put all back. A value that is no longer the one set here is somebody else's: it is
 * left, and that is said. Knobs are those of libvirt-knobs.h.
 */
#pragma once
#include <stdbool.h>
#include <jansson.h>
#include <libvirt/libvirt.h>

struct adopted {
	virDomainPtr domain;
	const char *path; /* of the journal, borrowed; NULL: not open */
	json_t *journal;  /* {"uri", "uuid", "id", "knobs": {NAME: {"found", "set"}}} */
	/* What could not be done, or was not for this program to do. */
	void (*complain)(const char *knob, const char *text);
};

/* a has domain (borrowed) and complain. An earlier journal of this very run of the domain is gone
 * on with. 0 or -errno; -EADDRINUSE: another zone of this host has it; -EIO: libvirt's last error.
 */
int adopted_open(struct adopted *a, const char *path, const char *uri);
/* Its vCPUs as QEMU would list them (cpu-index, thread-id), but told by the kernel: a command to
 * QEMU's monitor would mark the domain as tainted for good. */
json_t *adopted_cpus(const struct adopted *a);
/* knobs: {NAME: TEXT}, all that is to be set from now on; any other is put back. */
void adopted_set(struct adopted *a, const json_t *knobs);
/* All is put back, and the journal removed. False: something could not be, and the journal stays.
 */
bool adopted_release(struct adopted *a);
/* Reads a journal and does the same, by a connection of its own; what is to be said to stderr.
 * The program's exit code. */
int adopted_give_back(const char *path);
