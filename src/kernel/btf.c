/* SPDX-License-Identifier: MIT */
#include "kernel/btf.h"

#include <elf.h>
#include <linux/btf.h>
#include <stdint.h>
#include <string.h>

struct btf_data {
	const char *strings;
	size_t strings_len;
	const char *types, *end;
	unsigned int searches; /* each is a walk: a few are enough for a kernel */
};

#define SEARCHES_MAX 4

/* Bytes that follow a struct btf_type; SIZE_MAX: a kind from the future. */
static size_t tail_size(const struct btf_type *t)
{
	size_t nr = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return nr * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return nr * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return nr * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return nr * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return nr * sizeof(struct btf_var_secinfo);
	default:
		return SIZE_MAX;
	}
}

/* The type at *p, which is moved to the next; false at the end, or where nothing more is known. */
static bool next_type(const struct btf_data *b, const char **p, struct btf_type *ret)
{
	size_t left = (size_t)(b->end - *p), tail;

	if (left < sizeof(*ret))
		return false;
	memcpy(ret, *p, sizeof(*ret));
	tail = tail_size(ret);
	if (tail > left - sizeof(*ret))
		return false;
	*p += sizeof(*ret) + tail;
	return true;
}

static const char *name_of(const struct btf_data *b, const struct btf_type *t)
{
	return t->name_off < b->strings_len ? b->strings + t->name_off : "";
}

static bool is_header_good(const struct btf_header *h, size_t len)
{
	return len >= sizeof(*h) && h->magic == BTF_MAGIC && h->hdr_len >= sizeof(*h) &&
	       h->hdr_len <= len && h->type_off <= len - h->hdr_len &&
	       h->type_len <= len - h->hdr_len - h->type_off && h->str_off <= len - h->hdr_len &&
	       h->str_len <= len - h->hdr_len - h->str_off && h->str_len > 0;
}

/* Parameters of the function prototype with that id; ids count types from 1. */
static unsigned int nr_params(struct btf_data *b, uint32_t id)
{
	const char *p = b->types;
	struct btf_type t;

	if (b->searches++ >= SEARCHES_MAX)
		return 0;
	for (uint32_t i = 1; next_type(b, &p, &t); i++)
		if (i == id && BTF_INFO_KIND(t.info) == BTF_KIND_FUNC_PROTO)
			return BTF_INFO_VLEN(t.info);
	return 0;
}

/*
 * Schedulers call scx_bpf_create_dsq(id, node). Where the kernel's function takes a third, implicit
 * argument, libbpf needs an _impl beside it; a build that has neither that nor the plain form of
 * two parameters cannot load them.
 */
static void note(struct btf_data *b, const struct btf_type *t, struct btf_facts *facts)
{
	const char *name = name_of(b, t);

	if (BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT && !strcmp(name, "sched_ext_ops"))
		facts->sched_ext_ops = true;
	if (BTF_INFO_KIND(t->info) != BTF_KIND_FUNC)
		return;
	if (!strcmp(name, "scx_bpf_create_dsq_impl") ||
	    (!strcmp(name, "scx_bpf_create_dsq") && nr_params(b, t->type) == 2))
		facts->create_dsq = true;
}

int btf_look(const void *data, size_t len, struct btf_facts *ret)
{
	struct btf_facts facts = {0};
	const char *base = data, *p;
	struct btf_header h;
	struct btf_data b = {0};
	struct btf_type t;

	if (len < sizeof(h))
		return -EINVAL;
	memcpy(&h, data, sizeof(h));
	if (!is_header_good(&h, len))
		return -EINVAL;
	b.types = base + h.hdr_len + h.type_off;
	b.end = b.types + h.type_len;
	b.strings = base + h.hdr_len + h.str_off;
	b.strings_len = h.str_len;
	if (b.strings[b.strings_len - 1])
		return -EINVAL;
	for (p = b.types; next_type(&b, &p, &t);)
		note(&b, &t, &facts);
	*ret = facts;
	return 0;
}

static bool is_within(uint64_t offset, uint64_t size, size_t len)
{
	return offset <= len && size <= len - offset;
}

static bool section(const char *data, const Elf64_Ehdr *e, size_t i, size_t len, Elf64_Shdr *ret)
{
	memcpy(ret, data + e->e_shoff + i * sizeof(*ret), sizeof(*ret));
	return ret->sh_type != SHT_NOBITS && is_within(ret->sh_offset, ret->sh_size, len);
}

int elf_find_btf(const void *elf, size_t len, const void **ret, size_t *ret_len)
{
	const char *data = elf;
	Elf64_Shdr names, s;
	Elf64_Ehdr e;

	if (len < sizeof(e))
		return -EINVAL;
	memcpy(&e, data, sizeof(e));
	if (memcmp(e.e_ident, ELFMAG, SELFMAG) || e.e_ident[EI_CLASS] != ELFCLASS64 ||
	    e.e_ident[EI_DATA] != ELFDATA2LSB || e.e_shentsize != sizeof(s) ||
	    !is_within(e.e_shoff, (uint64_t)e.e_shnum * sizeof(s), len) ||
	    e.e_shstrndx >= e.e_shnum || !section(data, &e, e.e_shstrndx, len, &names))
		return -EINVAL;
	for (size_t i = 0; i < e.e_shnum; i++) {
		if (!section(data, &e, i, len, &s) || s.sh_name > names.sh_size ||
		    names.sh_size - s.sh_name < sizeof(".BTF") ||
		    memcmp(data + names.sh_offset + s.sh_name, ".BTF", sizeof(".BTF")))
			continue;
		*ret = data + s.sh_offset;
		*ret_len = s.sh_size;
		return 0;
	}
	return -ENODATA;
}
