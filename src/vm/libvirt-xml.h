/* SPDX-License-Identifier: MIT */
/* A zone's spec -> libvirt's XML of a domain. Pure. The domain's processes run as the zone's uid,
 * and libvirt changes the owner of no file. */
#pragma once
#include "base/str.h"
#include "vm/qemu-args.h"

struct libvirt_domain {
	const struct zone_spec *spec;
	const char *nonce;
	bool kvm;
	uid_t uid;
	gid_t gid;
	/* Absolute paths; data, disk, base, virtiofs and interface may be NULL. */
	const char *emulator, *kernel, *initramfs, *sockets; /* sockets: a directory */
	const char *data, *virtiofs, *disk, *base;
	enum disk_format base_format;
	const char *interface; /* of net tap and bridge */
};
/* Nothing of a text can end its element or attribute; control characters are -EINVAL. */
must_check int libvirt_xml(const struct libvirt_domain *d, struct strbuf *ret,
			   struct error *reterr);
