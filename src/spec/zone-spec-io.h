/* SPDX-License-Identifier: MIT */
/*
 * struct zone_spec <-> YAML and JSON (apiVersion cz/v1, kind Zone; man cz-zone.5). Keys and texts
 * are the same in both: {"metadata": {"name": "web"}, "resource": {"memory": "512Mi", "vcpus": 2}}.
 * Counts are numbers, switches are booleans, everything else is text as in the YAML.
 *
 * A spec that loads is valid as a whole: every field is in its range, names are unique, fields
 * agree with one another. All errors of a file are found in one go, each with its line. Nothing is
 * half loaded: *ret is set on success only, and is then the caller's (zone_spec_done).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "base/error.h"
#include "base/str.h"
#include "model/zone-spec.h"
#include "spec/spec.h"

/* A spec as JSON on one line is at most so long: with its frame it fits the 64 KiB of the link. */
#define ZONE_SPEC_JSON_MAX (48u << 10)

/* 0; -EINVAL: the text is wrong; -ENOMEM. Every failure leaves at least one item in errs, where
 * `name` is what the messages call the file. */
must_check int zone_spec_load_text(const char *name, const char *text, size_t len,
				   struct zone_spec *ret, struct error_list *errs);
/* The same for a file below dirfd (or AT_FDCWD). Also -ENOENT, -EACCES, ...; -EFBIG. */
must_check int zone_spec_load_file(int dirfd, const char *path, struct zone_spec *ret,
				   struct error_list *errs);

/* The spec without what is at its default; NULL: out of memory. Load gives the same spec back. */
json_t *zone_spec_json(const struct zone_spec *s);
/* From what a stranger sent: checked as a file is; the messages have no line. A part of a spec
 * (apps and scheduler, say) is read by giving it apiVersion, kind and a metadata.name. */
must_check int zone_spec_from_json(const char *name, const json_t *json, struct zone_spec *ret,
				   struct error_list *errs);
/* The normal form: zone_spec_json() as YAML text. Loading it gives the same spec, and printing that
 * the same text. 0 or -ENOMEM; ret is reset first. */
must_check int zone_spec_yaml(const struct zone_spec *s, struct strbuf *ret);

/*
 * What of a spec this host cannot give: CPUs it has not, files that are missing, memory it has not.
 * rootfd: the root directory ("/", or a captured host). Findings go to `found` as errors do to
 * errs; text and len are what the spec was loaded from, for the lines, or NULL. Their number is
 * returned.
 */
size_t zone_spec_check_host(const struct zone_spec *s, int rootfd, const char *name,
			    const char *text, size_t len, struct error_list *found);

/* Whether text is in the older form (meta, os, resource; no apiVersion). */
bool zone_spec_is_old(const char *text, size_t len);
/*
 * The older form -> struct zone_spec, as strictly. A name that is not in the file is taken from
 * `name`, less its folders and suffix. What has no place in the new form is said in `notes`.
 */
must_check int zone_spec_convert(const char *name, const char *text, size_t len,
				 struct zone_spec *ret, struct error_list *errs,
				 struct error_list *notes);

/* The line of the value at path ("resource.memory", "apps[1].name") in a text that loads; 0: it is
 * not there. */
uint32_t zone_spec_line(const char *text, size_t len, const char *path);
/* JSON Schema of the format, from the table of fields; NULL: out of memory. */
json_t *zone_spec_schema(void);
