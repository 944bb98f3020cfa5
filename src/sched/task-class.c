/* SPDX-License-Identifier: MIT */
#include "sched/task-class.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"
#include "sched/bus-user.h"

static const char *const class_names[] = {
    [BUS_NORMAL] = "normal", [BUS_LC] = "lc", [BUS_BE] = "be"};

/* The word between begin and end without the blanks around it; at least one character. */
static int copy_word(char *dst, size_t size, const char *begin, const char *end)
{
	while (begin < end && isblank((unsigned char)*begin))
		begin++;
	while (end > begin && isblank((unsigned char)end[-1]))
		end--;
	if (end == begin || (size_t)(end - begin) >= size)
		return -EINVAL;
	memcpy(dst, begin, (size_t)(end - begin));
	dst[end - begin] = '\0';
	return 0;
}

int task_class_parse(const char *text, struct task_class_rule *ret, struct error *reterr)
{
	const char *equals = strrchr(text, '='), *slash = strchr(text, '/');
	struct task_class_rule rule = {.thread = "*"};
	const char *end = slash && slash < equals ? slash : equals;
	char class[16];
	size_t i = 0;

	if (!equals || copy_word(rule.program, sizeof(rule.program), text, end) < 0 ||
	    (end == slash && copy_word(rule.thread, sizeof(rule.thread), slash + 1, equals) < 0) ||
	    copy_word(class, sizeof(class), equals + 1, text + strlen(text)) < 0)
		return error_set(reterr, -EINVAL,
				 "a thread rule is PROGRAM[/THREAD] = CLASS, names of at most %d "
				 "characters",
				 TASK_CLASS_NAME - 1);
	while (i < ARRAY_SIZE(class_names) && strcmp(class_names[i], class))
		i++;
	if (i == ARRAY_SIZE(class_names))
		return error_set(reterr, -EINVAL, "'%s' is not a class: lc, normal or be", class);
	rule.class = (enum bus_class_id)i;
	*ret = rule;
	return 0;
}

const struct task_class_rule *task_class_match(const struct task_class_rule *rules, size_t nr,
					       const char *program, const char *thread)
{
	for (size_t i = 0; i < nr; i++)
		if (fnmatch(rules[i].program, program, 0) == 0 &&
		    fnmatch(rules[i].thread, thread, 0) == 0)
			return &rules[i];
	return NULL;
}

static int read_name(int dirfd, const char *path, char *buf, size_t size)
{
	ssize_t n = read_file_at(dirfd, path, buf, size);

	if (n < 0)
		return (int)n;
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

struct pass {
	const struct task_class_rule *rules;
	size_t nr;
	struct {
		uint32_t tid;
		enum bus_class_id class;
	} found[BUS_TASK_CLASS_MAX];
	size_t nr_found;
	uint32_t dropped;
};

static void see_thread(struct pass *pass, int task_fd, const char *tid, const char *program)
{
	char path[32], name[TASK_CLASS_NAME];
	const struct task_class_rule *rule;
	uint32_t id;

	if (parse_u32(tid, &id) < 0 || str_printf(path, sizeof(path), "%s/comm", tid) < 0 ||
	    read_name(task_fd, path, name, sizeof(name)) < 0)
		return;
	rule = task_class_match(pass->rules, pass->nr, program, name);
	if (!rule)
		return;
	if (pass->nr_found == ARRAY_SIZE(pass->found)) {
		pass->dropped++;
		return;
	}
	pass->found[pass->nr_found].tid = id;
	pass->found[pass->nr_found++].class = rule->class;
}

static DIR *open_dir(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir)
		close_fd(&fd);
	return dir;
}

/* A process that ends meanwhile is skipped. */
static void see_process(struct pass *pass, int proc_fd, const char *pid)
{
	char path[32], program[TASK_CLASS_NAME];
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	if (str_printf(path, sizeof(path), "%s/comm", pid) < 0 ||
	    read_name(proc_fd, path, program, sizeof(program)) < 0 ||
	    str_printf(path, sizeof(path), "%s/task", pid) < 0)
		return;
	dir = open_dir(proc_fd, path);
	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			see_thread(pass, dirfd(dir), entry->d_name, program);
}

static bool was_found(const struct pass *pass, uint32_t tid)
{
	for (size_t i = 0; i < pass->nr_found; i++)
		if (pass->found[i].tid == tid)
			return true;
	return false;
}

/* Deleting while walking would begin the walk anew: so first the keys, then the deeds. */
static void forget_others(struct bus *bus, const struct pass *pass)
{
	static uint32_t keys[BUS_TASK_CLASS_MAX];
	size_t nr = 0;

	while (nr < ARRAY_SIZE(keys) &&
	       bpf_map_get_next_key(bus->fd[BUS_MAP_TASK_CLASS], nr ? &keys[nr - 1] : NULL,
				    &keys[nr]) == 0)
		nr++;
	for (size_t i = 0; i < nr; i++)
		if (!was_found(pass, keys[i]))
			bus_drop_task_class(bus, keys[i]);
}

int task_class_apply(struct bus *bus, int proc_fd, const struct task_class_rule *rules, size_t nr,
		     uint32_t *ret_dropped)
{
	_cleanup_free_ struct pass *pass = calloc(1, sizeof(*pass));
	_cleanup_closedir_ DIR *dir = open_dir(proc_fd, ".");
	struct dirent *entry;

	if (!pass || !dir)
		return pass ? -errno : -ENOMEM;
	pass->rules = rules;
	pass->nr = nr;
	for (int i = 0; i < TASK_CLASS_PIDS && (entry = readdir(dir)); i++)
		if (isdigit((unsigned char)entry->d_name[0]))
			see_process(pass, proc_fd, entry->d_name);
	forget_others(bus, pass);
	for (size_t i = 0; i < pass->nr_found; i++)
		if (bus_set_task_class(bus, pass->found[i].tid, pass->found[i].class) < 0)
			pass->dropped++;
	*ret_dropped = pass->dropped;
	return (int)pass->nr_found;
}
