/* SPDX-License-Identifier: MIT */
#include "daemon/desired.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "zones/zones.h"

#define FILE_NAME     "zones.json"
#define FILE_SIZE_MAX (4u << 20)

static int put(struct desired *ds, const char *path, enum zone_class class, const struct slo *slo,
	       bool made)
{
	struct desired_zone *z = desired_get(ds, path);

	if (!z) {
		struct desired_zone *grown;

		if (ds->nr == DESIRED_MAX)
			return -ENOSPC;
		grown = realloc(ds->items, (ds->nr + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		ds->items = grown;
		z = &grown[ds->nr];
		*z = (struct desired_zone){.path = strdup(path)};
		if (!z->path)
			return -ENOMEM;
		ds->nr++;
	}
	z->class = class;
	z->slo = slo ? *slo : (struct slo){0};
	z->made |= made; /* protecting what czd made leaves it czd's to remove */
	return 0;
}

/* JSON is UTF-8; a path need not be. One that is not is kept as the hex digits of its bytes. */
static json_t *hex_of(const char *path)
{
	char hex[2 * ZONE_PATH_MAX] = "";

	for (size_t i = 0; path[i] && i < ZONE_PATH_MAX - 1; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)path[i]);
	return json_string(hex);
}

static const char *path_of(const json_t *item, char buf[static ZONE_PATH_MAX])
{
	const char *hex = json_string_value(json_object_get(item, "path_hex"));
	size_t n = 0;

	if (!hex)
		return json_string_value(json_object_get(item, "path"));
	for (; hex[2 * n] && n < ZONE_PATH_MAX - 1; n++) {
		unsigned int byte;

		if (sscanf(hex + 2 * n, "%2x", &byte) != 1 || !byte || !hex[2 * n + 1])
			return NULL;
		buf[n] = (char)byte;
	}
	buf[n] = '\0';
	return buf;
}

static int load_one(struct desired *ds, const json_t *item)
{
	char buf[ZONE_PATH_MAX];
	const char *path = path_of(item, buf);
	const char *class_text = json_string_value(json_object_get(item, "class"));
	const char *slo_text = json_string_value(json_object_get(item, "slo"));
	enum zone_class class;
	struct slo slo = {0};

	if (!path || path[0] != '/' || !class_text || zone_class_parse(class_text, &class) < 0)
		return -EBADMSG;
	if (slo_text && slo_text[0] && slo_parse_kept(slo_text, &slo, NULL) < 0)
		return -EBADMSG;
	return put(ds, path, class, &slo, json_is_true(json_object_get(item, "made")));
}

int desired_load(struct desired *ds, int dirfd, struct error *reterr)
{
	_cleanup_free_ char *text = malloc(FILE_SIZE_MAX);
	json_t *root, *item;
	ssize_t n;
	size_t i;
	int r = 0;

	*ds = (struct desired){.dirfd = dirfd};
	if (!text)
		return error_errno(reterr, -ENOMEM, "read %s", FILE_NAME);
	n = read_file_at(dirfd, FILE_NAME, text, FILE_SIZE_MAX);
	if (n == -ENOENT)
		return 0;
	root = n < 0 ? NULL : json_loadb(text, n, 0, NULL);
	if (!json_is_array(root))
		r = -EBADMSG;
	json_array_foreach(root, i, item)
	{
		if (load_one(ds, item) < 0)
			r = -EBADMSG;
	}
	json_decref(root);
	if (r < 0) {
		/* Keep what could be read; the broken file stays for a person to look at. */
		if (renameat(dirfd, FILE_NAME, dirfd, FILE_NAME ".broken") < 0)
			return error_errno(reterr, -errno, "%s is broken and cannot be moved aside",
					   FILE_NAME);
		error_set(reterr, r, "%s is broken; moved to %s.broken, %zu zones could be read",
			  FILE_NAME, FILE_NAME, ds->nr);
	}
	return r;
}

void desired_done(struct desired *ds)
{
	for (size_t i = 0; i < ds->nr; i++)
		free(ds->items[i].path);
	free(ds->items);
	*ds = (struct desired){.dirfd = -1};
}

struct desired_zone *desired_get(const struct desired *ds, const char *path)
{
	for (size_t i = 0; i < ds->nr; i++) {
		if (strcmp(ds->items[i].path, path) == 0)
			return &ds->items[i];
	}
	return NULL;
}

static bool is_called(const char *path, const char *name)
{
	char friendly[ZONE_NAME_MAX];
	enum zone_kind kind;

	return path_has_end(path, name) ||
	       !strcmp(zone_friendly_name(path, friendly, sizeof(friendly), &kind), name);
}

int desired_find(const struct desired *ds, const char *name, struct desired_zone **ret)
{
	*ret = desired_get(ds, name);
	for (size_t i = 0; i < ds->nr && !(*ret && !strcmp((*ret)->path, name)); i++) {
		if (!is_called(ds->items[i].path, name))
			continue;
		if (*ret)
			return -ENOTUNIQ;
		*ret = &ds->items[i];
	}
	return *ret ? 0 : -ENOENT;
}

static int store(const struct desired *ds)
{
	json_t *root = json_array();
	_cleanup_free_ char *text = NULL;
	int failed = 0;

	for (size_t i = 0; i < ds->nr; i++) {
		const struct desired_zone *z = &ds->items[i];
		json_t *path = json_string(z->path);
		const char *key = path ? "path" : "path_hex";
		char slo[128];

		slo_format(&z->slo, slo, sizeof(slo));
		failed |= json_array_append_new(root, json_pack("{s:o,s:s,s:s,s:b}", key,
								path ? path : hex_of(z->path),
								"class", zone_class_name(z->class),
								"slo", slo, "made", z->made));
	}
	text = failed ? NULL : json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	if (!text)
		return -ENOMEM;
	return ds->dirfd < 0 ? 0
			     : write_file_atomic(ds->dirfd, FILE_NAME, text, strlen(text), 0600);
}

int desired_put(struct desired *ds, const char *path, enum zone_class class, const struct slo *slo,
		bool made, struct error *reterr)
{
	int r = put(ds, path, class, slo, made);

	if (r == 0)
		r = store(ds);
	return r < 0 ? error_errno(reterr, r, "keep the class of %s on disk", path) : 0;
}

int desired_remove(struct desired *ds, const char *path)
{
	struct desired_zone *z = desired_get(ds, path);

	if (!z)
		return -ENOENT;
	free(z->path);
	*z = ds->items[--ds->nr];
	return store(ds);
}
