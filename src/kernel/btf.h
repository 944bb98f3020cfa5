/* SPDX-License-Identifier: MIT */
/*
 * What a kernel can do, by its type information (BTF): a version number does not say it, because
 * distributions build with tools that leave things out. The data is a stranger's: every offset in
 * it is checked.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

struct btf_facts {
	bool sched_ext_ops; /* struct sched_ext_ops: the kernel has the class */
	bool create_dsq;    /* scx_bpf_create_dsq() or its _impl() can be called as schedulers do */
};

/* 0, or -EINVAL: not BTF. */
must_check int btf_look(const void *data, size_t len, struct btf_facts *ret);
/* The .BTF section of a 64-bit little-endian ELF file in memory. 0; -ENODATA: it has none;
 * -EINVAL: no such file. */
must_check int elf_find_btf(const void *data, size_t len, const void **ret, size_t *ret_len);
