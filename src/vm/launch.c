/* SPDX-License-Identifier: MIT */
#include "vm/launch.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <jansson.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "channel/channel.h"
#include "spec/zone-spec-io.h"
#include "vm/json.h"

#define LAUNCH_SIZE_MAX 131072

static const struct {
	const char *key;
	size_t offset;
	bool optional, path;
} texts[] = {
    {"name", offsetof(struct launch, name), false, false},
    {"nonce", offsetof(struct launch, nonce), false, false},
    {"dir", offsetof(struct launch, dir), false, true},
    {"run", offsetof(struct launch, run), false, true},
    {"qemu", offsetof(struct launch, qemu), true, true},
    {"qemu_data", offsetof(struct launch, qemu_data), true, true},
    {"virtiofsd", offsetof(struct launch, virtiofsd), true, true},
    {"kernel", offsetof(struct launch, kernel), true, true},
    {"guest", offsetof(struct launch, guest), true, true},
    {"libvirt_uri", offsetof(struct launch, libvirt_uri), true, false},
    {"sched_dir", offsetof(struct launch, sched_dir), true, true},
};

void launch_done(struct launch *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(*(char **)((char *)l + texts[i].offset));
	zone_spec_done(&l->spec);
	*l = (struct launch){0};
}

static int read_texts(const json_t *json, struct launch *l, struct error *reterr)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const json_t *value = json_object_get(json, texts[i].key);
		const char *text = json_string_value(value);

		if (!text && texts[i].optional && (!value || json_is_null(value)))
			continue;
		if (!text || (texts[i].path && text[0] != '/'))
			return error_set(reterr, -EINVAL, "launch.json: '%s' must be %s",
					 texts[i].key,
					 texts[i].path ? "an absolute path" : "a text");
		*(char **)((char *)l + texts[i].offset) = strdup(text);
		if (!*(char **)((char *)l + texts[i].offset))
			return -ENOMEM;
	}
	return 0;
}

static int read_id(const json_t *json, const char *key, uint32_t *ret, struct error *reterr)
{
	json_int_t id = json_integer_value(json_object_get(json, key));

	/* Not root, and none of the ids that mean "no change". */
	if (id < 1 || id >= UINT32_MAX - 1)
		return error_set(reterr, -EINVAL,
				 "launch.json: '%s' must be an id other than root's", key);
	*ret = (uint32_t)id;
	return 0;
}

static int read_spec(const json_t *json, struct launch *l, struct error *reterr)
{
	_cleanup_free_ struct error_list *errs = calloc(1, sizeof(*errs));
	int r;

	if (!errs)
		return -ENOMEM;
	r = zone_spec_from_json("launch.json", json_object_get(json, "spec"), &l->spec, errs);
	if (r < 0)
		return error_set(reterr, r, "launch.json: spec: %s",
				 errs->nr ? errs->items[0].text : error_name(r));
	if (strcmp(l->spec.name, l->name) != 0 || l->spec.runtime != RUNTIME_VM)
		return error_set(reterr, -EINVAL, "launch.json: not the spec of VM zone %s",
				 l->name);
	if (!l->spec.os.adopt && (!l->qemu || !l->kernel || !l->guest))
		return error_set(
		    reterr, -EINVAL,
		    "launch.json: 'qemu', 'kernel' and 'guest' must be absolute paths");
	return 0;
}

static int launch_read(const json_t *json, struct launch *l, struct error *reterr)
{
	uint8_t nonce[CHANNEL_NONCE];
	int r = read_texts(json, l, reterr);

	if (r == 0)
		r = read_id(json, "uid", &l->uid, reterr);
	if (r == 0)
		r = read_id(json, "gid", &l->gid, reterr);
	if (r == 0 && channel_nonce_parse(l->nonce, nonce) < 0)
		r = error_set(reterr, -EINVAL, "launch.json: 'nonce' must be 32 hex digits");
	return r < 0 ? r : read_spec(json, l, reterr);
}

int launch_load(const char *path, struct launch *ret, struct error *reterr)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *text = malloc(LAUNCH_SIZE_MAX);
	struct launch l = {0};
	struct stat st;
	json_t *json;
	ssize_t n;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(reterr, -errno, "open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022))
		return error_set(reterr, -EPERM, "%s must be a file that only root can write",
				 path);
	if (!text)
		return -ENOMEM;
	n = pread_text(fd, text, LAUNCH_SIZE_MAX);
	if (n < 0)
		return error_errno(reterr, (int)n, "read %s", path);
	json = json_line_parse(text, (size_t)n, &r);
	if (!json)
		return error_set(reterr, r, "%s is not JSON that can be read", path);
	r = launch_read(json, &l, reterr);
	json_decref(json);
	if (r < 0)
		launch_done(&l);
	else
		*ret = l;
	return r;
}
