/* SPDX-License-Identifier: MIT */
/* What stands in which field of docs/protocol.md: a name, a fixed word, or text. */
#include <string.h>
#include "base/cleanup.h"
#include "cli/redact.h"

enum what { IS_TEXT, IS_ZONE, IS_COMMAND, IS_WORD };

static const struct {
	const char *key;
	enum what what;
} fields[] = {
    {"zone", IS_ZONE},	    {"path", IS_ZONE},	   {"victim", IS_ZONE},	    {"culprit", IS_ZONE},
    {"target", IS_ZONE},    {"children", IS_ZONE}, {"app", IS_ZONE},	    {"name", IS_ZONE},
    {"match", IS_ZONE},	    {"comm", IS_COMMAND},  {"cmdline", IS_COMMAND}, {"class", IS_WORD},
    {"class_now", IS_WORD}, {"kind", IS_WORD},	   {"state", IS_WORD},	    {"cause", IS_WORD},
    {"resource", IS_WORD},  {"knob", IS_WORD},	   {"outcome", IS_WORD},    {"verdict", IS_WORD},
    {"mode", IS_WORD},	    {"level", IS_WORD},	   {"unit", IS_WORD},	    {"scope", IS_WORD},
    {"severity", IS_WORD},  {"runtime", IS_WORD},  {"phase", IS_WORD},	    {"cgroups", IS_WORD},
    {"kernel", IS_WORD},    {"version", IS_WORD},  {"priority", IS_WORD},   {"metric", IS_WORD},
    {"slo", IS_WORD},	    {"from", IS_WORD},	   {"to", IS_WORD},
};

/* The same where no zone is meant: probes, metrics, what the host can do. */
static const char *const our_words[] = {"name", "what", "unit", "help", "summary", "needs", NULL};

static enum what what_is(const char *key, bool ours)
{
	for (const char *const *w = our_words; ours && key && *w; w++)
		if (!strcmp(*w, key))
			return IS_WORD;
	for (size_t i = 0; key && i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].key, key))
			return fields[i].what;
	return IS_TEXT;
}

static void learn(struct redact *r, const char *key, const json_t *value)
{
	const char *name, *text = json_string_value(value);
	enum what what = what_is(key, false);
	json_t *item;
	size_t i;

	if (text && what == IS_ZONE)
		redact_learn(r, REDACT_ZONE, text);
	else if (text && what == IS_COMMAND)
		redact_learn(r, REDACT_COMMAND, text);
	json_array_foreach(value, i, item) learn(r, key, item);
	if (!json_is_object(value))
		return;
	json_object_foreach((json_t *)value, name, item) learn(r, name, item);
}

void redact_learn_json(struct redact *r, const json_t *doc)
{
	learn(r, NULL, doc);
}

static json_t *string(struct redact *r, const char *text, enum what what)
{
	_cleanup_(strbuf_done) struct strbuf b = {0};
	json_t *s;

	if (what == IS_WORD)
		return json_string(text);
	if (what == IS_ZONE)
		redact_zone(r, text, &b);
	else if (what == IS_COMMAND)
		redact_command(r, text, &b);
	else
		redact_text(r, text, &b);
	s = json_string(b.data ? b.data : "");
	return s ? s : json_string("REMOVED"); /* cut within a character */
}

static json_t *value_of(struct redact *r, const char *key, const json_t *value, bool ours)
{
	json_t *copy, *item;
	const char *name;
	size_t i;

	if (json_is_string(value))
		return string(r, json_string_value(value), what_is(key, ours));
	if (json_is_array(value)) {
		copy = json_array();
		json_array_foreach(value, i, item)
		    json_array_append_new(copy, value_of(r, key, item, ours));
		return copy;
	}
	if (!json_is_object(value))
		return json_deep_copy(value);
	copy = json_object();
	json_object_foreach((json_t *)value, name, item)
	    json_object_set_new(copy, name, value_of(r, name, item, ours));
	return copy;
}

json_t *redact_json(struct redact *r, const json_t *doc, bool ours)
{
	return value_of(r, NULL, doc, ours);
}
