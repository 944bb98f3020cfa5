/* SPDX-License-Identifier: MIT */
/*
 * Friendly names from cgroup paths alone: no engine is asked. The innermost component that an
 * engine or a VM manager has named wins; then the systemd unit; else the path. What lies below the
 * named component is appended: "web.service/worker".
 *
 * Whoever a cgroup is delegated to chooses the names below it, and rules go by names. So a name
 * that can be chosen at will counts only where the host's own managers put it: below slices, which
 * are not delegated. "user@1000.service/app.slice/redis.service" is not redis.service.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "zones/zones.h"

#define SHORT_ID  12 /* as the engines print them */
#define SHORT_POD 8

enum form {
	FORM_ID,       /* hex id, cut short, behind the label */
	FORM_NAME,     /* as it is */
	FORM_NUM_NAME, /* "12-NAME": a running number first */
};

/* How engines name the cgroup of a container or VM: PREFIX what SUFFIX, under PARENT (if given). */
static const struct naming {
	const char *parent, *prefix, *suffix;
	enum form form;
	enum zone_kind kind;
	const char *label;
} namings[] = {
    {NULL, "docker-", ".scope", FORM_ID, ZONE_CONTAINER, "docker"},
    {NULL, "nerdctl-", ".scope", FORM_ID, ZONE_CONTAINER, "nerdctl"},
    {NULL, "libpod-conmon-", ".scope", FORM_ID, ZONE_CGROUP, "podman-conmon"},
    {NULL, "libpod-", ".scope", FORM_ID, ZONE_CONTAINER, "podman"},
    {NULL, "libpod-", "", FORM_ID, ZONE_CONTAINER, "podman"},
    {NULL, "crio-conmon-", ".scope", FORM_ID, ZONE_CGROUP, "crio-conmon"},
    {NULL, "crio-", ".scope", FORM_ID, ZONE_CONTAINER, "crio"},
    {NULL, "crio-", "", FORM_ID, ZONE_CONTAINER, "crio"},
    {NULL, "cri-containerd-", ".scope", FORM_ID, ZONE_CONTAINER, "containerd"},
    {"docker", "", "", FORM_ID, ZONE_CONTAINER, "docker"},
    {"default", "", "", FORM_ID, ZONE_CONTAINER, "containerd"},
    {"k8s.io", "", "", FORM_ID, ZONE_CONTAINER, "containerd"},
    {"moby", "", "", FORM_ID, ZONE_CONTAINER, "docker"},
    {NULL, "lxc.payload.", "", FORM_NAME, ZONE_CONTAINER, ""},
    {"lxc", "", "", FORM_NAME, ZONE_CONTAINER, ""},
    {NULL, "machine-qemu-", ".scope", FORM_NUM_NAME, ZONE_VM, ""},
    {NULL, "machine-lxc-", ".scope", FORM_NUM_NAME, ZONE_CONTAINER, ""},
    {NULL, "machine-", ".scope", FORM_NAME, ZONE_CONTAINER, ""},
    {NULL, "systemd-nspawn@", ".service", FORM_NAME, ZONE_CONTAINER, ""},
    {NULL, "qemu-", ".libvirt-qemu", FORM_NUM_NAME, ZONE_VM, ""},
    {NULL, "lxc-", ".libvirt-lxc", FORM_NUM_NAME, ZONE_CONTAINER, ""},
};

static const char *const unit_suffixes[] = {".service", ".scope", ".slice",
					    ".socket",	".mount", ".swap"};

struct component {
	char text[NAME_MAX + 1]; /* unit escapes (\x2d) undone */
	const char *rest;	 /* in the path, from the next "/" on, or "" */
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* systemd writes a '-' within a name as "\x2d", and so on */
static void unescape_unit(const char *src, size_t len, char *dst, size_t size)
{
	size_t o = 0;

	for (size_t i = 0; i < len && o + 1 < size; i++) {
		if (src[i] == '\\' && i + 3 < len && src[i + 1] == 'x' &&
		    hex_digit(src[i + 2]) >= 0 && hex_digit(src[i + 3]) >= 0 &&
		    (src[i + 2] != '0' || src[i + 3] != '0')) {
			dst[o++] = (char)(hex_digit(src[i + 2]) << 4 | hex_digit(src[i + 3]));
			i += 3;
		} else {
			dst[o++] = src[i];
		}
	}
	dst[o] = '\0';
}

/* The component that ends at `end`. Returns where it starts. */
static const char *component_before(const char *path, const char *end, struct component *ret)
{
	const char *start = end;

	while (start > path && start[-1] != '/')
		start--;
	unescape_unit(start, (size_t)(end - start), ret->text, sizeof(ret->text));
	ret->rest = end;
	return start;
}

static bool is_hex(const char *s, size_t n)
{
	if (n < SHORT_ID)
		return false;
	for (size_t i = 0; i < n; i++)
		if (hex_digit(s[i]) < 0)
			return false;
	return true;
}

static bool ends_with(const char *s, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && !strcmp(s + len - n, suffix);
}

bool path_only_slices_above(const char *path, const char *component)
{
	const char *next;

	for (path++; path < component; path = next + 1) {
		next = strchrnul(path, '/');
		if (next - path < 6 || strncmp(next - 6, ".slice", 6) != 0)
			return false;
	}
	return true;
}

/* Did the host's own managers choose the name of this component? */
static bool is_hosts_own(const char *path, const char *component)
{
	static const char *const tops[] = {"/lxc/", "/machine/"};

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++)
		if (component == path + strlen(tops[i]) && !strncmp(path, tops[i], strlen(tops[i])))
			return true;
	return path_only_slices_above(path, component);
}

static bool naming_match(const struct naming *n, const char *parent, const char *text, bool own,
			 char *buf, size_t size)
{
	size_t len = strlen(text), prefix = strlen(n->prefix), suffix = strlen(n->suffix);
	const char *body = text + prefix;

	if (n->parent && strcmp(n->parent, parent) != 0)
		return false;
	if (strncmp(text, n->prefix, prefix) != 0 || !ends_with(text, len, n->suffix) ||
	    len <= prefix + suffix)
		return false;
	len -= prefix + suffix;
	if (n->form != FORM_ID && !own)
		return false;
	if (n->form == FORM_ID) {
		if (!is_hex(body, len))
			return false;
		snprintf(buf, size, "%s-%.*s", n->label, SHORT_ID, body);
		return true;
	}
	if (n->form == FORM_NUM_NAME) {
		size_t digits = strspn(body, "0123456789");

		if (!digits || body[digits] != '-' || digits + 1 >= len)
			return false;
		body += digits + 1;
		len -= digits + 1;
	}
	snprintf(buf, size, "%.*s", (int)len, body);
	return true;
}

/* "podUID" (cgroupfs) or "kubepods[-QOS]-podUID.slice" (systemd): the start of the UID, or NULL */
static const char *pod_uid(const char *text)
{
	const char *p = text;

	if (!strncmp(p, "kubepods-", 9)) {
		p = strstr(p, "-pod");
		if (!p)
			return NULL;
		p++;
	}
	if (strncmp(p, "pod", 3) != 0)
		return NULL;
	p += 3;
	for (size_t i = 0; i < SHORT_POD; i++)
		if (hex_digit(p[i]) < 0)
			return NULL;
	return p;
}

/* A container id in a pod's directory: "CID", "crio-CID", "cri-containerd-CID.scope",
 * "x:cri-containerd:CID" */
static const char *pod_container(const char *text)
{
	const char *p = text + strlen(text);

	if (ends_with(text, strlen(text), ".scope"))
		p -= strlen(".scope");
	size_t n = 0;

	while (p > text && hex_digit(p[-1]) >= 0) {
		p--;
		n++;
	}
	return n >= 2 * SHORT_ID && (p == text || p[-1] == '-' || p[-1] == ':') ? p : NULL;
}

static bool pod_match(const char *parent, const char *text, char *buf, size_t size,
		      enum zone_kind *kind)
{
	const char *id = pod_container(text), *uid = pod_uid(parent);

	if (!uid)
		uid = pod_uid(text);
	if (!uid || strstr(text, "conmon"))
		return false;
	*kind = id ? ZONE_CONTAINER : ZONE_CGROUP;
	if (id)
		snprintf(buf, size, "pod-%.*s-%.*s", SHORT_POD, uid, SHORT_ID, id);
	else if (pod_uid(text))
		snprintf(buf, size, "pod-%.*s", SHORT_POD, uid);
	return id || pod_uid(text);
}

static bool engine_match(const char *parent, const char *text, bool own, char *buf, size_t size,
			 enum zone_kind *kind)
{
	if (pod_match(parent, text, buf, size, kind))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(namings); i++)
		if (naming_match(&namings[i], parent, text, own, buf, size)) {
			*kind = namings[i].kind;
			return true;
		}
	return false;
}

static bool unit_match(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(unit_suffixes); i++)
		if (ends_with(text, strlen(text), unit_suffixes[i]))
			return true;
	return false;
}

/* name + what lies below, made safe to print */
static char *finish(char *buf, size_t size, const char *name, const char *rest)
{
	char raw[PATH_MAX];
	int n = snprintf(raw, sizeof(raw), "%s", name);

	unescape_unit(rest, strlen(rest), raw + n, sizeof(raw) - (size_t)n);
	return str_escape(buf, size, raw);
}

char *zone_friendly_name(const char *path, char *buf, size_t size, enum zone_kind *ret_kind)
{
	const char *end = path + strlen(path), *unit_rest = NULL;
	char name[NAME_MAX + 64], unit[NAME_MAX + 1];
	struct component c, parent;

	*ret_kind = ZONE_CGROUP;
	for (const char *start; end > path; end = start > path ? start - 1 : path) {
		bool own;

		start = component_before(path, end, &c);
		own = is_hosts_own(path, start);
		component_before(path, start > path ? start - 1 : path, &parent);
		if (engine_match(parent.text, c.text, own, name, sizeof(name), ret_kind))
			return finish(buf, size, name, c.rest);
		if (own && !unit_rest && unit_match(c.text)) {
			unit_rest = c.rest;
			memcpy(unit, c.text, sizeof(unit));
		}
	}
	if (unit_rest)
		return finish(buf, size, unit, unit_rest);
	if (!path[0] || !path[1])
		return str_escape(buf, size, "/");
	path++;
	/* czd's own zones: those that were created are /cz-zones/NAME, the others /cz-NAME */
	if (!strncmp(path, "cz-zones/", 9) && path[9])
		return str_escape(buf, size, path + 9);
	return str_escape(buf, size, !strncmp(path, "cz-", 3) && path[3] ? path + 3 : path);
}
