/* SPDX-License-Identifier: MIT */
#include "cli/symbols-parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"

int mapping_parse(const char *line, struct mapping *ret)
{
	struct mapping m = {0};
	char perms[5];
	int path = 0;

	if (sscanf(line,
		   "%16" SCNx64 "-%16" SCNx64 " %4s %16" SCNx64 " %*16[0-9a-f:] %20" SCNu64 " %n",
		   &m.start, &m.end, perms, &m.offset, &m.inode, &path) != 5 ||
	    !path || m.start >= m.end || strlen(perms) != 4)
		return -EINVAL;
	m.exec = perms[2] == 'x';
	m.path = line + path;
	*ret = m;
	return 0;
}

int kernel_symbol_parse(const char *line, struct kernel_symbol *ret)
{
	struct kernel_symbol s = {0};
	char type;

	if (sscanf(line, "%16" SCNx64 " %c %119s [%63[^]]", &s.addr, &type, s.name, s.module) < 3)
		return -EINVAL;
	if (!strchr("tTwW", type))
		return -ENOENT;
	*ret = s;
	return 0;
}

/* An offset to be named, as the address that symbols speak of. */
struct point {
	uint64_t addr;
	uint64_t size; /* of the symbol found; the smallest that covers it is meant */
	bool global;
	struct lookup *lookup;
};

static int by_addr(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static bool address_of(Elf *elf, uint64_t offset, uint64_t *ret)
{
	GElf_Phdr p;
	size_t nr;

	if (elf_getphdrnum(elf, &nr) != 0)
		return false;
	for (size_t i = 0; i < nr && i < 4096; i++) {
		if (!gelf_getphdr(elf, (int)i, &p))
			return false;
		if (p.p_type == PT_LOAD && offset >= p.p_offset &&
		    offset - p.p_offset < p.p_filesz) {
			*ret = p.p_vaddr + (offset - p.p_offset);
			return true;
		}
	}
	return false;
}

static size_t first_from(const struct point *points, size_t nr, uint64_t addr)
{
	size_t low = 0, high = nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (points[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void take_symbol(struct point *points, size_t nr, const GElf_Sym *sym, const char *name)
{
	bool global = GELF_ST_BIND(sym->st_info) == STB_GLOBAL;

	for (size_t i = first_from(points, nr, sym->st_value);
	     i < nr && points[i].addr - sym->st_value < sym->st_size; i++) {
		struct point *p = &points[i];

		if (p->size &&
		    (p->size < sym->st_size || (p->size == sym->st_size && (p->global || !global))))
			continue;
		p->size = sym->st_size;
		p->global = global;
		str_copy(p->lookup->name, sizeof(p->lookup->name), name);
	}
}

static bool is_function(const GElf_Sym *sym)
{
	unsigned char type = GELF_ST_TYPE(sym->st_info);

	return (type == STT_FUNC || type == STT_GNU_IFUNC) && sym->st_shndx != SHN_UNDEF &&
	       sym->st_size;
}

/* *budget: symbols that may still be looked at. */
static void look_in(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, struct point *points,
		    size_t nr, uint64_t *budget)
{
	Elf_Data *data = elf_getdata(section, NULL);
	const char *name;
	GElf_Sym sym;

	if (!data || !header->sh_entsize)
		return;
	for (int i = 0; *budget && gelf_getsym(data, i, &sym); i++, (*budget)--) {
		if (!is_function(&sym) || first_from(points, nr, sym.st_value) == nr)
			continue;
		name = elf_strptr(elf, header->sh_link, sym.st_name);
		if (name && name[0])
			take_symbol(points, nr, &sym, name);
	}
}

void elf_lookup(Elf *elf, struct lookup *lookups, size_t nr)
{
	_cleanup_free_ struct point *points = calloc(nr + 1, sizeof(*points));
	uint64_t budget = SYMBOLS_MAX;
	Elf_Scn *section = NULL;
	size_t known = 0;
	GElf_Shdr header;

	if (!points || elf_kind(elf) != ELF_K_ELF)
		return;
	for (size_t i = 0; i < nr; i++) {
		lookups[i].name[0] = 0;
		points[known].lookup = &lookups[i];
		if (address_of(elf, lookups[i].addr, &points[known].addr))
			known++;
	}
	qsort(points, known, sizeof(*points), by_addr);
	while (known && (section = elf_nextscn(elf, section)) != NULL)
		if (gelf_getshdr(section, &header) &&
		    (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM))
			look_in(elf, section, &header, points, known, &budget);
}
