/* SPDX-License-Identifier: MIT */
/*
 * Names and secrets out of what is sent to somebody else; pure. Each name becomes a pseudonym, the
 * same wherever it stands ("z3.service", "cmd1", "ip2"), numbered as they come: it says nothing of
 * the name and nothing to another bundle.
 *
 * What stands in a field for names is replaced whole. Free text is searched for the names that were
 * learned, for addresses, paths, and words that are no plain words; a plain word that was in no
 * field for names is not recognised. Secrets go even when names are kept.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "base/hash.h"
#include "base/str.h"

enum redact_kind {
	REDACT_ZONE,
	REDACT_COMMAND,
	REDACT_HOST,
	REDACT_USER,
	REDACT_ADDRESS,
	REDACT_NR
};
extern const char *const redact_kinds[REDACT_NR]; /* "zones", ... */

struct redact_entry;
struct redact {
	bool keep_names;
	struct hash by_name; /* struct redact_entry by the name's hash */
	struct redact_entry
	    *spaced;		/* names that are more than one word: searched for as they are */
	uint64_t nr[REDACT_NR]; /* different ones */
	uint64_t secrets;
	bool failed; /* out of memory: do not use what came out */
};
void redact_done(struct redact *r);
/* A name as it stands; of zones and paths each part between '/'. */
void redact_learn(struct redact *r, enum redact_kind kind, const char *name);
/* All names in fields for names, before anything is redacted. */
void redact_learn_json(struct redact *r, const json_t *doc);
void redact_zone(struct redact *r, const char *name, struct strbuf *out);
void redact_command(struct redact *r, const char *name, struct strbuf *out);
void redact_text(struct redact *r, const char *text, struct strbuf *out);
/* Configuration: all that is not a number or one of czd.yaml's own words is taken for a name. */
void redact_config(struct redact *r, const char *text, struct strbuf *out);
/* A copy. ours: what is called name there is no zone's (probes, metrics, capabilities). */
json_t *redact_json(struct redact *r, const json_t *doc, bool ours);
