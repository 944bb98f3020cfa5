/* SPDX-License-Identifier: MIT */
/*
 * The fields of a zone's specification: one row each, from which everything else follows: what the
 * loader accepts, the normal form, the JSON, `czctl spec explain`, docs/zone.schema.json, what an
 * update takes. A new field is a member of struct zone_spec, a row here, a paragraph of
 * man/cz-zone.5.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"
#include "model/lifecycle.h"

enum field_type {
	/* scalars: zone_field_parse, zone_field_format */
	FIELD_TEXT,	/* char *; `fits` says which */
	FIELD_ENUM,	/* an enum; `names` */
	FIELD_BOOL,	/* bool */
	FIELD_EITHER,	/* bool as one of two `names` */
	FIELD_FIXED,	/* always names[0]; in no struct */
	FIELD_COUNT,	/* uint32_t */
	FIELD_CPUS,	/* uint64_t, ppm of a CPU: "50%", "1.5", "500m" */
	FIELD_LOAD,	/* uint32_t, the same */
	FIELD_PERCENT,	/* uint32_t: "40%" */
	FIELD_TIME_US,	/* uint64_t */
	FIELD_TIME_NS,	/* uint64_t */
	FIELD_SIZE,	/* uint64_t bytes */
	FIELD_RATE,	/* uint64_t bytes a second */
	FIELD_OPS,	/* uint64_t */
	FIELD_OPS_RATE, /* uint64_t a second */
	FIELD_CPUSET,	/* struct cpuset */
	FIELD_MASK,	/* uint64_t, hexadecimal */
	FIELD_SLO,	/* struct slo */
	/* the others */
	FIELD_ROOTFS,  /* of struct zone_os: "none", "host", or {image|dir|oci: PATH} */
	FIELD_WORDS,   /* char **, NULL-terminated */
	FIELD_MAP,     /* struct key_value *, its number at nr_offset */
	FIELD_PORTS,   /* zone_net.forward: ["HOST:GUEST"] */
	FIELD_SECTION, /* a mapping of `sub` fields, with offsets from the same base */
	FIELD_RULES,   /* array of structs of item_bytes, `sub`; its number at nr_offset */
	FIELD_APPS,    /* list of struct zone_app, `sub`; its number at nr_offset */
};

enum field_flags {
	FIELD_VM_ONLY = 1,  /* refused in a zone of runtime cgroup */
	FIELD_REQUIRED = 2, /* of its mapping */
	FIELD_ALWAYS = 4,   /* shown in the normal form even at its default */
	FIELD_LINES = 8,    /* words and values may have line ends and tabs */
};

struct zone_field {
	const char *key;
	enum field_type type;
	unsigned int flags;
	enum zone_update change; /* what it takes to change it */
	size_t offset, nr_offset;
	uint64_t min, max;	      /* of the value; entries; characters of a text */
	const char *const *names;     /* ends with NULL */
	bool (*fits)(const char *s);  /* of a text, a word, a map's key */
	const char *allowed;	      /* "an absolute path": text, map; NULL: from the type */
	const struct zone_field *sub; /* ends with a NULL key */
	size_t item_bytes;
	const char *fallback; /* the default, for people */
	const char *help;
};

extern const struct zone_field zone_fields[]; /* the top level; ends with a NULL key */

bool zone_field_is_scalar(const struct zone_field *f);
/* "a size (512Mi, 2G), 1 MiB to 4 TiB": what f takes. Returns buf. */
char *zone_field_allowed(const struct zone_field *f, char *buf, size_t size);
/* A scalar from its text into base + f->offset; a text there is replaced. -EINVAL, -ERANGE with a
 * sentence that quotes the text escaped; -ENOMEM. */
must_check int zone_field_parse(const struct zone_field *f, const char *text, void *base,
				struct error *reterr);
/* What zone_field_parse reads back as the same value; nothing is added for one that is not set.
 * Lists and maps: for people. */
void zone_field_format(const struct zone_field *f, const void *base, struct strbuf *ret);
/* "HOST:GUEST". */
must_check int zone_ports_parse(const char *text, uint16_t *ret_host, uint16_t *ret_guest);
/* May a zone, or an app, be called that? */
bool zone_name_fits(const char *s);
/* Texts with more lines than one are for commands and environments only. */
bool text_is_clean(const char *s, bool lines);
