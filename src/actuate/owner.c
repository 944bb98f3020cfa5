/* SPDX-License-Identifier: MIT */
/*
 * What systemd is told, and given back. A note of each open knob goes
 *   ASKING -> TOLD -> RETURNING -> gone      or ASKING -> SILENT (it is not to be told) -> gone
 * Before systemd is told anything it is asked what it thinks: on the way there to see that it
 * agrees with what the files held, on the way back to see that it still thinks what it was told.
 */
#include "actuate/owner.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include "actuate/knobs.h"
#include "actuate/original.h"
#include "actuate/owner-unit.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"

#define SYSTEMD	    "org.freedesktop.systemd1"
#define SYSTEMD_DIR "/org/freedesktop/systemd1"
#define MANAGER	    "org.freedesktop.systemd1.Manager"
#define NOTES	    "owners"
#define NOTES_MAX   (1u << 20)
#define CALL_USEC   (5 * 1000000ull)
#define RETRY_NS    (5 * 1000000000ull)

enum note_state { ASKING, SILENT, TOLD, RETURNING };

struct note {
	struct owner *o;
	uint64_t seq, zone_id;
	char *path; /* of the group; NULL: noted by a czd that is dead */
	char unit[256];
	enum unit_property p;
	char to[KNOB_TEXT_MAX], from[KNOB_TEXT_MAX];
	bool had_drop_in;
	enum note_state state;
	bool held; /* the journal has it */
	uint64_t retry_ns;
	sd_bus_slot *call;
};

struct owner {
	sd_event *loop;
	const struct cgroup_fs *fs;
	const struct actuator *act; /* of the latest sync */
	int run_dirfd;
	sd_bus *bus;
	uint64_t connect_ns; /* not before */
	struct note **notes; /* oldest first */
	size_t nr;
};

static void note_free(struct note *n)
{
	sd_bus_slot_unref(n->call);
	free(n->path);
	free(n);
}

static void note_remove(struct note *n)
{
	struct owner *o = n->o;
	size_t i = 0;

	while (o->notes[i] != n)
		i++;
	memmove(&o->notes[i], &o->notes[i + 1], (--o->nr - i) * sizeof(struct note *));
	note_free(n);
}

static struct note *note_add(struct owner *o)
{
	struct note **more = reallocarray(o->notes, o->nr + 1, sizeof(struct note *)), *n = NULL;

	if (more) {
		o->notes = more;
		n = calloc(1, sizeof(*n));
	}
	if (n) {
		n->o = o;
		o->notes[o->nr++] = n;
	}
	return n;
}

static bool same_property(const struct note *a, const struct note *b)
{
	return a != b && a->p == b->p && !strcmp(a->unit, b->unit);
}

/* Another action in force that has told the same property, the youngest; NULL. */
static struct note *told_too(const struct note *n)
{
	for (size_t i = n->o->nr; i-- > 0;)
		if (same_property(n->o->notes[i], n) && n->o->notes[i]->state == TOLD)
			return n->o->notes[i];
	return NULL;
}

/* Is the same property still to be given back? */
static bool is_returning(const struct note *n)
{
	for (size_t i = 0; i < n->o->nr; i++)
		if (same_property(n->o->notes[i], n) && !n->o->notes[i]->held)
			return true;
	return false;
}

/* The file of those that are told, or are about to be. */
static int store(const struct owner *o)
{
	_cleanup_free_ char *text = NULL;
	json_t *all = json_array();
	int r = 0;

	for (size_t i = 0; i < o->nr; i++) {
		const struct note *n = o->notes[i];

		if (n->state == TOLD || n->state == RETURNING)
			json_array_append_new(
			    all, json_pack("{s:I,s:s,s:i,s:s,s:s,s:b}", "seq", (json_int_t)n->seq,
					   "unit", n->unit, "property", (int)n->p, "to", n->to,
					   "from", n->from, "had_drop_in", n->had_drop_in));
	}
	text = json_array_size(all) ? json_dumps(all, JSON_COMPACT) : NULL;
	if (text)
		r = write_file_atomic(o->run_dirfd, NOTES, text, strlen(text), 0600);
	else if (unlinkat(o->run_dirfd, NOTES, 0) < 0 && errno != ENOENT)
		r = -errno;
	json_decref(all);
	if (r < 0)
		log_debug("what systemd was told is not noted: %s", strerror(-r));
	return r;
}

static void load(struct owner *o)
{
	_cleanup_free_ char *text = malloc(NOTES_MAX);
	json_t *all, *item;
	size_t i;

	if (!text || read_file_at(o->run_dirfd, NOTES, text, NOTES_MAX) < 0)
		return;
	all = json_loads(text, 0, NULL);
	json_array_foreach(all, i, item)
	{
		const char *unit, *to, *from;
		int p, had_drop_in;
		json_int_t seq;
		struct note *n;

		if (json_unpack(item, "{s:I,s:s,s:i,s:s,s:s,s:b}", "seq", &seq, "unit", &unit,
				"property", &p, "to", &to, "from", &from, "had_drop_in",
				&had_drop_in) < 0 ||
		    p < 0 || p >= UNIT_PROPERTIES || !unit_interface(unit) || strchr(unit, '/') ||
		    !(n = note_add(o)))
			continue;
		n->seq = (uint64_t)seq;
		n->p = (enum unit_property)p;
		n->state = TOLD;
		n->had_drop_in = had_drop_in;
		str_copy(n->unit, sizeof(n->unit), unit);
		str_copy(n->to, sizeof(n->to), to);
		str_copy(n->from, sizeof(n->from), from);
	}
	json_decref(all);
}

static sd_bus *connection(struct owner *o)
{
	uint64_t now_ns = clock_mono_ns();
	int r;

	if (o->bus && sd_bus_is_open(o->bus) > 0)
		return o->bus;
	if (now_ns < o->connect_ns)
		return NULL;
	o->connect_ns = now_ns + RETRY_NS;
	for (size_t i = 0; i < o->nr; i++) /* the answers that it owes never come */
		o->notes[i]->call = sd_bus_slot_unref(o->notes[i]->call);
	o->bus = sd_bus_close_unref(o->bus);
	r = sd_bus_open_system(&o->bus);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(o->bus, CALL_USEC);
	if (r >= 0 && o->loop)
		r = sd_bus_attach_event(o->bus, o->loop, SD_EVENT_PRIORITY_IDLE);
	if (r < 0) {
		log_debug("no D-Bus: %s", strerror(-r));
		o->bus = sd_bus_close_unref(o->bus);
	}
	return o->bus;
}

static void later(struct note *n, const char *what, int r)
{
	log_debug("systemd and %s: %s: %s", n->unit, what, strerror(-r));
	n->retry_ns = clock_mono_ns() + RETRY_NS;
}

static int call_set(struct note *n, const char *text, sd_bus_message_handler_t done)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(n->o->bus, &m, SYSTEMD, SYSTEMD_DIR, MANAGER,
					       "SetUnitProperties");

	if (r >= 0)
		r = sd_bus_message_append(m, "sb", n->unit, 1); /* until the next boot at most */
	if (r >= 0)
		r = unit_append(m, n->p, text);
	n->call = sd_bus_slot_unref(n->call);
	if (r >= 0)
		r = sd_bus_call_async(n->o->bus, &n->call, m, done, n, CALL_USEC);
	sd_bus_message_unref(m);
	return r;
}

static int call_get(struct note *n, sd_bus_message_handler_t done)
{
	_cleanup_free_ char *object = NULL;
	int r = connection(n->o) ? sd_bus_path_encode(SYSTEMD_DIR "/unit", n->unit, &object)
				 : -ENOTCONN;

	n->call = sd_bus_slot_unref(n->call);
	if (r >= 0)
		r = sd_bus_call_method_async(n->o->bus, &n->call, SYSTEMD, object,
					     "org.freedesktop.DBus.Properties", "GetAll", done, n,
					     "s", unit_interface(n->unit));
	return r;
}

static void stay_silent(struct note *n, const char *why)
{
	n->state = SILENT;
	log_debug("systemd is not told of %s: %s", n->unit, why);
}

static int on_told(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	struct note *n = arg;

	n->call = sd_bus_slot_unref(n->call);
	/* It may have heard of it although its answer did not come in time: then it stays noted. */
	if (!sd_bus_message_is_method_error(m, NULL) ||
	    sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) ||
	    sd_bus_message_is_method_error(m, SD_BUS_ERROR_TIMEOUT))
		return 0;
	stay_silent(n, sd_bus_message_get_error(m)->message);
	store(n->o);
	return 0;
}

/* Is it what the file of the knob behind it held before all our actions? */
static bool agrees(const struct note *n, const struct unit_state *s, enum unit_property p)
{
	enum knob_file f = unit_file(p);
	const char *original = actuator_original(n->o->act, f, n->zone_id);
	_cleanup_close_ int fd = -1;
	char text[KNOB_TEXT_MAX];

	if (original)
		return unit_agrees(p, s->text[p], original);
	fd = cgroup_open(n->o->fs, knob_file_controller(f), n->path, n->zone_id);
	return fd >= 0 && knob_file_read(fd, f, true, text, sizeof(text)) >= 0 &&
	       unit_agrees(p, s->text[p], text);
}

/* systemd writes all of a controller's files again: each has to be as it thinks. */
static bool may_tell(const struct note *n, const struct unit_state *s)
{
	if (strcmp(s->group, n->path))
		return false;
	if (told_too(n))
		return true;
	if (n->p > UNIT_CAP)
		return agrees(n, s, n->p);
	for (enum unit_property p = UNIT_WEIGHT; p <= UNIT_CAP; p++) {
		struct note other = {.o = n->o, .p = p};

		str_copy(other.unit, sizeof(other.unit), n->unit);
		if (!told_too(&other) && !agrees(n, s, p))
			return false;
	}
	return true;
}

static void tell(struct note *n, const struct unit_state *s)
{
	const struct note *other = told_too(n);
	int r;

	if (!may_tell(n, s)) {
		stay_silent(n, "its idea of the group is another");
		return;
	}
	str_copy(n->from, sizeof(n->from), other ? other->from : s->text[n->p]);
	n->had_drop_in = other ? other->had_drop_in : unit_has_drop_in(n->unit, n->p);
	n->state = TOLD;
	r = store(n->o);
	if (r >= 0)
		r = call_set(n, n->to, on_told);
	if (r < 0)
		stay_silent(n, strerror(-r));
}

static int on_returned(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	struct note *n = arg;
	struct owner *o = n->o;

	n->call = sd_bus_slot_unref(n->call);
	if (sd_bus_message_is_method_error(m, NULL)) {
		n->state = TOLD;
		later(n, sd_bus_message_get_error(m)->message, -sd_bus_message_get_errno(m));
		return 0;
	}
	if (!told_too(n) && !n->had_drop_in)
		unit_remove_drop_in(n->unit, n->p);
	note_remove(n);
	store(o);
	return 0;
}

static void give_back(struct note *n, const struct unit_state *s)
{
	const struct note *other = told_too(n);
	struct owner *o = n->o;
	int r;

	if (strcmp(s->text[n->p], n->to) || (other && other->seq > n->seq)) {
		note_remove(n); /* not ours any more, or a younger action's */
		store(o);
		return;
	}
	r = call_set(n, other ? other->to : n->from, on_returned);
	if (r < 0) {
		n->state = TOLD;
		later(n, "give back", r);
	}
}

static int on_state(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	struct note *n = arg;
	struct unit_state s;
	int r = sd_bus_message_is_method_error(m, NULL) ? -sd_bus_message_get_errno(m)
							: unit_state_read(m, &s);

	n->call = sd_bus_slot_unref(n->call);
	if (r >= 0 && n->state == ASKING)
		tell(n, &s);
	else if (r >= 0)
		give_back(n, &s);
	else
		later(n, "ask", r);
	return 0;
}

static void start_call(struct note *n, enum note_state state)
{
	int r = call_get(n, on_state);

	if (r < 0)
		later(n, "ask", r);
	else
		n->state = state;
}

static struct note *find(const struct owner *o, uint64_t seq)
{
	for (size_t i = 0; i < o->nr; i++)
		if (o->notes[i]->seq == seq && o->notes[i]->path)
			return o->notes[i];
	return NULL;
}

static struct note *note_for(struct owner *o, const struct journal_entry *e)
{
	char unit[sizeof(((struct note *)0)->unit)], to[KNOB_TEXT_MAX], *path;
	enum unit_property p;
	struct note *n;

	if (unit_of_path(e->path, unit, sizeof(unit)) < 0 ||
	    unit_text_of_entry(o->fs, e, &p, to) < 0)
		return NULL;
	path = strdup(e->path);
	n = path ? note_add(o) : NULL;
	if (!n) {
		free(path);
		return NULL;
	}
	n->seq = e->seq;
	n->zone_id = e->zone_id;
	n->path = path;
	n->p = p;
	memcpy(n->unit, unit, sizeof(unit));
	memcpy(n->to, to, sizeof(to));
	return n;
}

static int take_in(const struct journal_entry *e, void *arg)
{
	struct note *n = find(arg, e->seq);

	if (!n)
		n = note_for(arg, e);
	if (n)
		n->held = true;
	return 0;
}

static void step(struct note *n, uint64_t now_ns)
{
	if (n->call || now_ns < n->retry_ns)
		return;
	if (n->held && n->state == ASKING && !is_returning(n))
		start_call(n, ASKING);
	else if (!n->held && n->state != ASKING)
		start_call(n, RETURNING);
}

void owner_sync(struct owner *o, const struct actuator *act)
{
	uint64_t now_ns;

	if (!o || !act || (!o->nr && !actuator_open_count(act)))
		return;
	o->act = act;
	for (size_t i = 0; i < o->nr; i++)
		o->notes[i]->held = false;
	actuator_each(act, take_in, o);
	now_ns = clock_mono_ns();
	for (size_t i = o->nr; i-- > 0;) {
		struct note *n = o->notes[i];

		if (!n->held && (n->state == ASKING || n->state == SILENT))
			note_remove(n); /* it never heard of it */
		else
			step(n, now_ns);
	}
}

size_t owner_settle(struct owner *o, const struct actuator *act, uint64_t timeout_ns)
{
	uint64_t end_ns = clock_mono_ns() + timeout_ns, now_ns;

	if (!o)
		return 0;
	if (o->bus && o->loop)
		sd_bus_detach_event(o->bus);
	o->loop = NULL;
	for (size_t i = 0; i < o->nr; i++)
		o->notes[i]->retry_ns = 0;
	owner_sync(o, act);
	while (o->nr && o->bus && (now_ns = clock_mono_ns()) < end_ns) {
		int r = sd_bus_process(o->bus, NULL);

		if (r == 0)
			r = sd_bus_wait(o->bus, (end_ns - now_ns) / 1000);
		if (r < 0)
			break;
		owner_sync(o, act); /* the next step of what was under way */
	}
	return o->nr;
}

int owner_new(sd_event *loop, const struct cgroup_fs *fs, int run_dirfd, struct owner **ret)
{
	struct owner *o;

	if (sd_booted() <= 0 || !cgroup_has(fs, CG_CPU) || !cgroup_is_v2(fs, CG_CPU))
		return -EOPNOTSUPP;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	*o = (struct owner){.loop = loop, .fs = fs, .run_dirfd = run_dirfd};
	load(o);
	*ret = o;
	return 0;
}

void owner_free(struct owner *o)
{
	if (!o)
		return;
	while (o->nr)
		note_free(o->notes[--o->nr]);
	free(o->notes);
	sd_bus_close_unref(o->bus);
	free(o);
}
