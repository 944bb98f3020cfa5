/* SPDX-License-Identifier: MIT */
#include "cli/redact.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"

#define WORD_MAX 1024
#define REMOVED	 "REMOVED"
#define TEXT_MIN 2 /* shorter names are not searched for in text */

const char *const redact_kinds[REDACT_NR] = {"zones", "commands", "hosts", "users", "addresses"};
static const char *const prefixes[REDACT_NR] = {"z", "cmd", "host", "user", "ip"};

struct redact_entry {
	char *name;
	char pseudonym[48];
	struct redact_entry *next_spaced;
};

void redact_done(struct redact *r)
{
	hash_for_each(&r->by_name, e) {
		struct redact_entry *entry = e->value;

		free(entry->name);
		free(entry);
	}
	hash_done(&r->by_name);
	*r = (struct redact){0};
}

/* --- words that say nothing of anybody */

static bool one_of(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (!strcasecmp(*list, word))
			return true;
	return false;
}

/* Parts of paths that are the same on every host. */
static const char *const common_parts[] = {
    "",		  "system.slice", "user.slice",	  "machine.slice",
    "init.scope", "-.slice",	  "kubepods",	  "kubepods.slice",
    "besteffort", "burstable",	  "docker",	  "libpod_parent",
    "system",	  "proc",	  "sys",	  "fs",
    "cgroup",	  "unified",	  "dev",	  "run",
    "etc",	  "usr",	  "var",	  "lib",
    "libexec",	  "bin",	  "sbin",	  "local",
    "share",	  "tmp",	  "cz",		  "czd.sock",
    "feed.sock",  "czd.yaml",	  "control-zone", "kvm",
    "kernel",	  "btf",	  "vmlinux",	  "cpu",
    "cpuacct",	  "cpuset",	  "memory",	  "blkio",
    "freezer",	  "pids",	  "devices",	  "read-token",
    "pressure",	  "some",	  "full",	  "io",
    "weight",	  "max",	  "idle",	  "history.db",
    NULL};

/* Programs and words of ours, and of the kernel's, that look like names. */
static const char *const common_words[] = {"czd",
					   "czctl",
					   "cz-gate",
					   "cz-vm",
					   "cz-run",
					   "cz-zone",
					   "czd.yaml",
					   "cpu.idle",
					   "cpu.weight",
					   "cpu.max",
					   "cpu.shares",
					   "cpuset.cpus",
					   "memory.high",
					   "memory.max",
					   "io.max",
					   "io.weight",
					   "cgroup.freeze",
					   "wait.p99",
					   "latency.p99",
					   "best-effort",
					   "latency-critical",
					   "ms.",
					   "p99",
					   "p50",
					   "v1",
					   "v2",
					   "softirq",
					   "cfs_quota",
					   "e.g",
					   "i.e",
					   "x86_64",
					   "aarch64",
					   NULL};

static const char *const config_words[] = {
    "tick",	    "mode",	    "observe",	 "enforce",    "guard",	      "fast_threshold",
    "measure",	    "cooldown",	    "quiet",	 "lease",      "max_actions", "min_cap",
    "allow_freeze", "allow_cpuset", "allow_cap", "min_memory", "min_io",      "allow_memory",
    "allow_io",	    "ledger",	    "enabled",	 "budget",     "max_zones",   "limits",
    "fd_budget",    "off_limits",   "zones",	 "match",      "class",	      "lc",
    "be",	    "normal",	    "slo",	 "wait.p99",   "share",	      "latency.p99",
    "probes",	    "syscalls",	    "block",	 "true",       "false",	      "yes",
    "no",	    "null",	    NULL};

static const char *const suffixes[] = {".service", ".slice", ".scope", ".socket",
				       ".mount",   ".timer", NULL};

static bool is_secret_key(const char *word)
{
	static const char *const parts[] = {"token",   "secret",  "passw",   "credential", "apikey",
					    "api_key", "api-key", "private", "auth",	   NULL};

	for (const char *const *p = parts; *p; p++)
		if (strcasestr(word, *p))
			return true;
	return !strcasecmp(word, "bearer") || !strcasecmp(word, "basic") ||
	       !strcasecmp(word, "key") || strcasestr(word, "_key");
}

/* "12", "4.1", "500us", "97.1%", "0x1f", "6.18.44", "12:30:01": no letters but a unit's. */
static bool is_number(const char *word)
{
	static const char *const units[] = {"",	 "ns",	"us",  "ms",  "s",   "m", "h",
					    "k", "kib", "mib", "gib", "tib", "b", "g",
					    "t", "st",	"nd",  "th",  NULL};
	const char *p = word + strspn(word, "+-~");
	size_t n = strspn(p, "0123456789.:,-%/x");

	return isdigit((unsigned char)*p) && one_of(units, p + n);
}

/* --- the dictionary */

static struct redact_entry *find(const struct redact *r, const char *name)
{
	struct redact_entry *e = hash_get(&r->by_name, hash_string(name));

	return e && !strcmp(e->name, name) ? e : NULL;
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_.-@\\+~:/%", c)) || (c & 0x80);
}

static bool is_one_word(const char *name)
{
	while (is_word_char(*name))
		name++;
	return !*name;
}

static const char *suffix_of(const char *name)
{
	size_t len = strlen(name);

	for (const char *const *s = suffixes; *s; s++) {
		size_t n = strlen(*s);

		if (len > n && !strcmp(name + len - n, *s))
			return *s;
	}
	return "";
}

/* Longest first, so that no name is cut by one that it holds. */
static void add_spaced(struct redact *r, struct redact_entry *e)
{
	struct redact_entry **at = &r->spaced;

	while (*at && strlen((*at)->name) >= strlen(e->name))
		at = &(*at)->next_spaced;
	e->next_spaced = *at;
	*at = e;
}

static const char *pseudonym(struct redact *r, enum redact_kind kind, const char *name)
{
	struct redact_entry *e = find(r, name);

	if (r->keep_names)
		return name;
	if (e)
		return e->pseudonym;
	e = calloc(1, sizeof(*e));
	if (e)
		e->name = strdup(name);
	if (!e || !e->name || hash_get(&r->by_name, hash_string(name)) ||
	    hash_put(&r->by_name, hash_string(name), e) < 0) {
		if (e)
			free(e->name);
		free(e);
		r->failed = true;
		return REMOVED;
	}
	snprintf(e->pseudonym, sizeof(e->pseudonym), "%s%llu%s", prefixes[kind],
		 (unsigned long long)++r->nr[kind], kind == REDACT_ZONE ? suffix_of(name) : "");
	if (!is_one_word(name))
		add_spaced(r, e);
	return e->pseudonym;
}

/* Each part of a path, or a name without any '/'. out NULL: only learned. */
static void add_parts(struct redact *r, const char *path, struct strbuf *out)
{
	_cleanup_free_ char *copy = strdup(path);
	char *rest = copy, *part;

	if (!copy) {
		r->failed = true;
		return;
	}
	while ((part = strsep(&rest, "/")) != NULL) {
		bool known =
		    one_of(common_parts, part) || is_number(part) || !part[strspn(part, "*?")];
		const char *shown = known ? part : pseudonym(r, REDACT_ZONE, part);

		if (out)
			strbuf_printf(out, "%s%s", shown, rest ? "/" : "");
	}
}

void redact_learn(struct redact *r, enum redact_kind kind, const char *name)
{
	if (r->keep_names || !name[0])
		return;
	if (kind == REDACT_ZONE)
		add_parts(r, name, NULL);
	else
		pseudonym(r, kind, name);
}

void redact_zone(struct redact *r, const char *name, struct strbuf *out)
{
	if (r->keep_names)
		strbuf_puts(out, name);
	else
		add_parts(r, name, out);
}

void redact_command(struct redact *r, const char *name, struct strbuf *out)
{
	strbuf_puts(out, name[0] ? pseudonym(r, REDACT_COMMAND, name) : "");
}

/* --- text */

/* "10.1.2.3", "10.1.2.3:80", "fe80::1", "02:42:ac:11:00:02" */
static bool is_address(const char *word)
{
	unsigned char buf[16];
	char host[64];
	size_t n = strcspn(word, ":");

	if (inet_pton(AF_INET, word, buf) == 1 ||
	    (strchr(word, ':') && strlen(word) > 2 && inet_pton(AF_INET6, word, buf) == 1))
		return true;
	if (strlen(word) == 17 && strspn(word, "0123456789abcdefABCDEF:") == 17 && word[2] == ':' &&
	    word[5] == ':')
		return true;
	if (n >= sizeof(host) || !word[n])
		return false;
	memcpy(host, word, n);
	host[n] = '\0';
	return inet_pton(AF_INET, host, buf) == 1;
}

/* No plain word, and nothing that is known to be nobody's name. */
static bool looks_like_a_name(const char *word)
{
	bool letter = false, other = false;

	for (const char *p = word; *p; p++) {
		letter = letter || isalpha((unsigned char)*p) || (*p & 0x80);
		other = other || !isalpha((unsigned char)*p);
	}
	return letter && other && !is_number(word) && !one_of(common_words, word) &&
	       !one_of(common_parts, word);
}

static void add_word(struct redact *r, const char *word, bool strict, struct strbuf *out)
{
	const struct redact_entry *e = strlen(word) >= TEXT_MIN ? find(r, word) : NULL;

	if (r->keep_names || !word[strspn(word, "_.-@\\+~:/%")])
		strbuf_puts(out, word);
	else if (e)
		strbuf_puts(out, e->pseudonym);
	else if (strict && (one_of(config_words, word) || is_number(word)))
		strbuf_puts(out, word);
	else if (is_address(word))
		strbuf_puts(out, pseudonym(r, REDACT_ADDRESS, word));
	else if (strict || (strchr(word, '/') && !is_number(word)))
		add_parts(r, word, out);
	else
		strbuf_puts(out, looks_like_a_name(word) ? pseudonym(r, REDACT_ZONE, word) : word);
}

/* The next word of text, and what ended a sentence behind it: that is no part of it. */
static size_t take_word(const char *text, char *buf, size_t *ret_tail)
{
	size_t n = 0, tail = 0;

	while (is_word_char(text[n]) && n < WORD_MAX - 1)
		n++;
	while (n - tail > 1 && strchr(".:,", text[n - tail - 1]))
		tail++;
	memcpy(buf, text, n - tail);
	buf[n - tail] = '\0';
	*ret_tail = tail;
	return n;
}

/* Behind a secret's name: what joins it to its value, and the value, which is put aside. 0: prose.
 */
static size_t take_secret(struct redact *r, const char *key, const char *text, struct strbuf *out)
{
	bool scheme = !strcasecmp(key, "bearer") || !strcasecmp(key, "basic");
	size_t n = strspn(text, " \t\"'=:");
	const char *value = text + n, *end;

	if (!n || !*value || *value == '\n' || !strncasecmp(value, "bearer ", 7) ||
	    !strncasecmp(value, "basic ", 6) || (!scheme && strcspn(text, "=:") >= n))
		return 0;
	end = value[-1] == '"' || value[-1] == '\'' ? strchr(value, value[-1]) : NULL;
	end = end ? end : value + strcspn(value, " \t\n\"',;");
	strbuf_add(out, text, n);
	strbuf_puts(out, REMOVED);
	r->secrets++;
	return (size_t)(end - text);
}

static size_t take_spaced(const struct redact *r, const char *text, struct strbuf *out)
{
	for (const struct redact_entry *e = r->spaced; e; e = e->next_spaced) {
		size_t n = strlen(e->name);

		if (n >= TEXT_MIN && !strncmp(text, e->name, n)) {
			strbuf_puts(out, e->pseudonym);
			return n;
		}
	}
	return 0;
}

/* "token:abc" is a key and its value. */
static size_t cut_at_key(char *word, size_t n, size_t *tail)
{
	char *colon = strchr(word, ':');

	if (!colon)
		return n;
	*colon = '\0';
	if (is_secret_key(word)) {
		*tail = 0;
		return (size_t)(colon - word);
	}
	*colon = ':';
	return n;
}

static void redact(struct redact *r, const char *text, bool strict, struct strbuf *out)
{
	char word[WORD_MAX];
	size_t n, tail;

	while (*text) {
		n = r->keep_names ? 0 : take_spaced(r, text, out);
		if (!n && !is_word_char(*text)) {
			strbuf_add(out, text, 1);
			n = 1;
		}
		text += n;
		if (n)
			continue;
		n = cut_at_key(word, take_word(text, word, &tail), &tail);
		add_word(r, word, strict && !is_secret_key(word), out);
		text += n - tail;
		if (is_secret_key(word)) {
			text += take_secret(r, word, text, out);
		} else {
			strbuf_add(out, text, tail);
			text += tail;
		}
	}
	r->failed = r->failed || out->failed;
}

void redact_text(struct redact *r, const char *text, struct strbuf *out)
{
	redact(r, text, false, out);
}

/* Comments are prose by somebody who wrote for himself. */
void redact_config(struct redact *r, const char *text, struct strbuf *out)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *line, *comment;

	if (!copy) {
		r->failed = true;
		return;
	}
	while ((line = strsep(&rest, "\n")) != NULL) {
		for (comment = strchr(line, '#'); comment; comment = strchr(comment + 1, '#')) {
			if (comment == line || comment[-1] == ' ' || comment[-1] == '\t') {
				*comment = '\0';
				break;
			}
		}
		if (!line[strspn(line, " \t\r")])
			continue;
		redact(r, line, true, out);
		strbuf_puts(out, "\n");
	}
}
