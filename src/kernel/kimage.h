/* SPDX-License-Identifier: MIT */
/* Kernel files for zones: which there are, and what is in them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "kernel/btf.h"

#define KIMAGE_SIZE_MAX (512ull << 20) /* of a file, and of what is unpacked from it */

struct kimage {
	char version[128];    /* "7.2.12+deb14-cloud-amd64"; "" for an ELF file: it does not say */
	char preempt[16];     /* "none", "voluntary", "lazy", "full" or "rt"; "": not known */
	bool preempt_dynamic; /* preempt= at boot chooses another */
	uint32_t hz;	      /* 0: not known */
	uint64_t size_bytes;
	bool has_btf;
	struct btf_facts btf;
};

/*
 * The kernel called `name` in the directory dirfd: the file itself, or, in a directory of its own,
 * vmlinuz, vmlinux or modules/vmlinuz.unsigned. Its path below dirfd. -ENOENT; -EINVAL: no name.
 */
must_check int kimage_find(int dirfd, const char *name, char *buf, size_t size);
/* What is in an x86 bzImage or an ELF vmlinux, its configuration (`config` in its directory or the
 * one above) included. -EINVAL: neither; -ENOTSUP: packed with something other than zstd. */
must_check int kimage_probe(int dirfd, const char *path, struct kimage *ret, struct error *reterr);
/* The parts of a bzImage; for kimage_probe and its tests. -EINVAL, -ENOTSUP as above. */
must_check int bzimage_parts(const uint8_t *data, size_t len, struct kimage *ret,
			     const uint8_t **ret_payload, size_t *ret_len);
/* HZ and preemption from the text of a configuration. */
void kimage_read_config(const char *text, struct kimage *ret);
bool kimage_sched_ext(const struct kimage *k);
