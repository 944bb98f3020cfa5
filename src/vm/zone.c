/* SPDX-License-Identifier: MIT */
#include "vm/zone.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "spec/zone-spec-io.h"
#include "vm/json.h"
#include "vm/privs.h"
#include "vm/share.h"

#define TICK_USEC	 1000000
#define LOG_BUDGET_MAX	 50  /* one more each second */
#define GUEST_LINES_MAX	 100 /* a second */
#define GRACE_DEFAULT_MS 10000

static const char *const state_names[] = {"starting", "booting", "running", "stopping"};
static const struct json_limits guest_limits = {.depth = 6, .items = 64, .text_bytes = 512};

uint64_t zone_now_ns(const struct zone *z)
{
	uint64_t usec = 0;

	sd_event_now(z->loop, CLOCK_MONOTONIC, &usec);
	return usec * 1000;
}

/* --- what czd is told ---------------------------------------------------------------------- */

bool zone_is_adopted(const struct zone *z)
{
	return z->launch->spec.os.adopt;
}

static json_t *vcpus_json(struct zone *z)
{
	struct vm_vcpu vcpus[ZONE_VCPUS_MAX];
	size_t n = z->machine ? z->backend->vcpus(z->machine, vcpus) : 0;
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
				      json_pack("{s:i,s:i,s:b}", "cpu", (int)vcpus[i].cpu, "tid",
						(int)vcpus[i].tid, "online",
						zone_is_adopted(z) || vcpus[i].cpu < z->online));
	return list;
}

json_t *zone_state_json(struct zone *z)
{
	json_t *boot = z->boot_ms ? json_integer((json_int_t)z->boot_ms) : json_null();

	return json_pack("{s:s,s:s,s:s,s:s,s:i,s:o,s:o,s:O}", "event", "state", "state",
			 state_names[z->state], "accel",
			 zone_is_adopted(z) ? "-"
			 : z->kvm	    ? "kvm"
					    : "tcg",
			 "accel_why", z->accel_why, "qemu_pid",
			 z->machine ? (int)z->backend->pid(z->machine) : 0, "vcpus", vcpus_json(z),
			 "boot_ms", boot, "guest", z->guest);
}

json_t *zone_stats_json(struct zone *z)
{
	json_t *stats = json_copy(z->stats);

	json_object_set_new(stats, "event", json_string("stats"));
	/* Nobody is to be told of anything in an adopted domain. */
	json_object_set_new(stats, "told", json_boolean(z->told || zone_is_adopted(z)));
	json_object_set_new(stats, "at_ns", json_integer((json_int_t)zone_now_ns(z)));
	json_object_set_new(stats, "memory",
			    json_pack("{s:I,s:I,s:I}", "balloon_bytes",
				      (json_int_t)z->memory.balloon, "free_bytes",
				      (json_int_t)z->memory.free, "available_bytes",
				      (json_int_t)z->memory.available));
	if (z->machine && z->backend->vcpu_stats)
		json_object_set(stats, "vcpus", z->backend->vcpu_stats(z->machine));
	json_object_set_new(stats, "dropped_lines", json_integer((json_int_t)z->dropped_total));
	json_object_set_new(stats, "refused_logs", json_integer((json_int_t)z->refused_logs_total));
	return stats;
}

void zone_state_changed(struct zone *z)
{
	link_event(z->link, zone_state_json(z));
}

void zone_notice(struct zone *z, const char *kind, const char *text)
{
	char shown[512];

	str_escape(shown, sizeof(shown), text);
	/* The guest may send notices without end; the host's log is not for it to fill. */
	if (z->log_budget) {
		z->log_budget--;
		log_notice("%s: %s", kind, shown);
	}
	link_event(z->link,
		   json_pack("{s:s,s:s,s:s}", "event", "notice", "kind", kind, "text", shown));
}

/* --- the machine --------------------------------------------------------------------------- */

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	zone_power_down(arg, GRACE_DEFAULT_MS);
	return 0;
}

static void on_ready(void *arg)
{
	struct zone *z = arg;
	uint64_t bytes = zone_spec_memory(&z->launch->spec);

	if (z->state == VM_STARTING)
		z->state = zone_is_adopted(z) ? VM_RUNNING : VM_BOOTING;
	/* The guest's driver takes it up when it comes. */
	if (bytes < zone_spec_memory_max(&z->launch->spec) &&
	    z->backend->set_memory(z->machine, bytes) < 0)
		zone_notice(z, "channel", "the balloon could not be set");
	zone_state_changed(z);
}

static void on_memory(void *arg, const struct vm_memory *m)
{
	struct zone *z = arg;

	z->memory = *m;
	zone_check_memory(z);
	/* No guest of ours gives signs of life: libvirt's answer is one. */
	if (zone_is_adopted(z))
		link_event(z->link, zone_stats_json(z));
}

static void on_port(void *arg, enum channel_port port, bool open)
{
	struct zone *z = arg;

	if (open && z->ports)
		ports_restart(z->ports, port);
}

static void on_refused(void *arg, const char *what, const char *text)
{
	char line[400];

	snprintf(line, sizeof(line), "%s: %s", what, text);
	zone_notice(arg, "channel", line);
}

/* czd looks again at what it says of the groups. */
static void on_limited(void *arg)
{
	zone_state_changed(arg);
}

/* Without its root file system a guest hangs: better it ends, and whoever restarts zones can. */
static int on_share_end(sd_event_source *s, const siginfo_t *si, void *arg)
{
	struct zone *z = arg;

	zone_notice(z, "guest", "virtiofsd ended, and the shared root file system with it");
	z->backend->kill(z->machine);
	return 0;
}

static int watch_share(struct zone *z, pid_t pid)
{
	int r = pid ? sd_event_add_child(z->loop, &z->share, pid, WEXITED, on_share_end, z) : 0;

	/* It ends with QEMU too: QEMU's own end is to be seen first. */
	return pid && r >= 0 ? sd_event_source_set_priority(z->share, SD_EVENT_PRIORITY_IDLE) : r;
}

/* --- the guest ----------------------------------------------------------------------------- */

/* It would show as files that cannot be opened in the guest, of which nobody here hears. */
static void notice_few_files(struct zone *z)
{
	char text[200];

	if (!z->share_files || z->share_files >= SHARE_FILES_FEW)
		return;
	snprintf(text, sizeof(text),
		 "virtiofsd may have %" PRIu64 " files open, and a guest that looks at more fails: "
		 "czd needs a higher limit (LimitNOFILE, ulimit -Hn), best 1000000",
		 z->share_files);
	zone_notice(z, "guest", text);
}

static void on_guest_ready(struct zone *z, const json_t *message)
{
	json_int_t online = json_integer_value(json_object_get(message, "online"));
	json_t *guest = json_copy_within(message, &guest_limits);

	if (!guest)
		return;
	json_object_del(guest, "event");
	json_decref(z->guest);
	z->guest = guest;
	if (online > 0 && online <= ZONE_VCPUS_MAX)
		z->online = (uint32_t)online;
	if (!z->boot_ms) {
		z->boot_ms = (zone_now_ns(z) - z->start_ns) / 1000000;
		notice_few_files(z);
	}
	if (z->state < VM_STOPPING)
		z->state = VM_RUNNING;
	zone_state_changed(z);
	z->told = z->applied = false;
	if (zone_apply_again(z) < 0)
		zone_notice(z, "channel", "the guest could not be told what to run");
}

/* What the guest says of it is the reason of its end. */
static void on_guest_failed(struct zone *z, const json_t *message)
{
	const char *text = json_string_value(json_object_get(message, "text"));

	str_copy(z->failed, sizeof(z->failed), text && *text ? text : "it does not say why");
	z->backend->kill(z->machine);
}

static void on_guest_stats(struct zone *z, const json_t *message)
{
	json_t *stats = json_copy_within(message, &guest_limits);

	if (!stats)
		return;
	json_decref(z->stats);
	z->stats = stats;
	z->told = !zone_apply_waits(z);
	link_event(z->link, zone_stats_json(z));
}

static void on_guest_notice(struct zone *z, const json_t *message)
{
	static const char *const kinds[] = {"sched", "app", "guest", "channel"};
	const char *kind = json_string_value(json_object_get(message, "kind"));
	const char *text = json_string_value(json_object_get(message, "text"));

	/* In the long run one a second: czd keeps and shows what it is told. */
	if (!z->log_budget) {
		z->dropped_total++;
		return;
	}
	for (size_t i = 0; kind && text && i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kind, kinds[i]) == 0)
			zone_notice(z, kinds[i], text);
	}
}

static void on_control(struct zone *z, const struct channel_frame *f)
{
	static const struct {
		const char *event;
		void (*take)(struct zone *z, const json_t *message);
	} takers[] = {
	    {"ready", on_guest_ready},
	    {"failed", on_guest_failed},
	    {"stats", on_guest_stats},
	    {"notice", on_guest_notice},
	};
	const char *event;
	json_t *message;
	int r = 0;

	if (f->type != CHANNEL_MESSAGE)
		return;
	message = z->said++ < GUEST_LINES_MAX ? json_line_parse(f->data, f->len, &r) : NULL;
	if (!message) {
		z->dropped_total++;
		return;
	}
	event = json_string_value(json_object_get(message, "event"));
	if (!event)
		zone_answer(z, message);
	for (size_t i = 0; event && i < ARRAY_SIZE(takers); i++) {
		if (strcmp(event, takers[i].event) == 0)
			takers[i].take(z, message);
	}
	json_decref(message);
}

static void on_log(struct zone *z, const struct channel_frame *f)
{
	if (!logs_frame(z->logs, json_object_get(z->apply, "apps"), f) && !z->refused_logs_total++)
		zone_notice(z, "channel", "the guest wants a log for an app that the zone has not");
}

static void on_frame(void *arg, enum channel_port port, const struct channel_frame *f)
{
	struct zone *z = arg;

	if (port == CHANNEL_TERM) {
		terms_frame(z->terms, f);
		return;
	}
	if (port == CHANNEL_LOG)
		on_log(z, f);
	else
		on_control(z, f);
	ports_consumed(z->ports, port, f->stream, f->len);
}

static void on_session(void *arg, enum channel_port port)
{
	struct zone *z = arg;

	if (port == CHANNEL_TERM)
		terms_session(z->terms);
	else if (port == CHANNEL_LOG)
		logs_session(z->logs);
}

static void on_room(void *arg, enum channel_port port)
{
	if (port == CHANNEL_TERM)
		terms_room(((struct zone *)arg)->terms);
}

/* --- start and end ------------------------------------------------------------------------- */

static int on_tick(sd_event_source *s, uint64_t now_usec, void *arg)
{
	struct zone *z = arg;

	z->said = 0;
	z->log_budget += z->log_budget < LOG_BUDGET_MAX;
	if (z->ports)
		ports_tick(z->ports);
	z->backend->poll(z->machine);
	zone_expire(z);
	sd_event_source_set_time_relative(s, TICK_USEC);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int add_sources(struct zone *z)
{
	static const int signals[] = {SIGTERM, SIGINT};
	sigset_t child;
	int r;

	/* sd-event wants it so */
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
		return -errno;
	r = sd_event_add_time_relative(z->loop, &z->tick, CLOCK_MONOTONIC, TICK_USEC, 0, on_tick,
				       z);

	if (r >= 0)
		r = sd_event_add_time_relative(z->loop, &z->escalation, CLOCK_MONOTONIC, 0, 0,
					       zone_step_down, z);
	if (r >= 0)
		r = sd_event_source_set_enabled(z->escalation, SD_EVENT_OFF);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++)
		r = sd_event_add_signal(z->loop, NULL, signals[i] | SD_EVENT_SIGNAL_PROCMASK,
					on_signal, z);
	return r;
}

static int open_streams(struct zone *z, struct zone_start *start, const int ours[VM_STREAMS])
{
	const struct ports_events events = {z, on_session, on_frame, on_room};
	int r = ports_new(z->loop, z->launch->nonce, ours, &events, &z->ports);

	if (r == 0)
		r = logs_new(z->loop, start->log_dir, ours[CHANNEL_NR], &z->logs);
	if (r == 0)
		r = terms_new(z->loop, start->term_listener, z->ports, &z->terms);
	if (r == 0)
		start->term_listener = -1;
	return r;
}

static int open_link(struct zone *z, struct zone_start *start)
{
	int r = link_new(z->loop, start->link_listener, zone_request, z, &z->link);

	if (r == 0)
		start->link_listener = -1;
	return r;
}

static int zone_open(struct zone *z, struct zone_start *start, struct error *reterr)
{
	const struct vm_events events = {z,	     on_ready,	 on_memory, on_port,
					 on_refused, on_limited, zone_ended};
	int ours[VM_STREAMS], r = sd_event_new(&z->loop);

	if (r >= 0)
		r = add_sources(z);
	if (r >= 0)
		r = watch_share(z, start->share);
	if (r < 0)
		return error_errno(reterr, r, "set up the event loop");
	z->start_ns = zone_now_ns(z);
	r = z->backend->start(z->loop, start->plan, start->program, &events, ours, &z->machine,
			      reterr);
	if (r < 0)
		return r;
	r = zone_is_adopted(z) ? 0 : open_streams(z, start, ours);
	if (r == 0)
		r = open_link(z, start);
	if (r < 0)
		return error_errno(reterr, r, "set up the zone's sockets");
	/* Nothing is started after this, and what comes in from now on is hostile. */
	return privs_sandbox(reterr);
}

static void zone_close(struct zone *z)
{
	if (z->machine)
		z->backend->free(z->machine);
	if (z->link)
		link_flush(z->link);
	link_free(z->link);
	terms_free(z->terms);
	logs_free(z->logs);
	ports_free(z->ports);
	sd_event_source_disable_unref(z->tick);
	sd_event_source_disable_unref(z->escalation);
	sd_event_source_disable_unref(z->share);
	sd_event_unref(z->loop);
	json_decref(z->guest);
	json_decref(z->stats);
	json_decref(z->apply);
	for (size_t i = 0; i < FORWARD_MAX; i++)
		json_decref(z->forward[i].set);
}

int zone_run(const struct launch *l, struct zone_start *start, struct error *reterr)
{
	struct zone z = {.launch = l,
			 .backend = l->spec.os.backend == BACKEND_LIBVIRT ? &vm_backend_libvirt
									  : &vm_backend_qemu,
			 .kvm = start->kvm,
			 .share_files = start->share_files};
	int r;

	z.online = zone_spec_vcpus(&l->spec);
	z.log_budget = LOG_BUDGET_MAX;
	z.guest = json_null();
	z.stats = json_object();
	str_copy(z.accel_why, sizeof(z.accel_why), start->accel_why);
	r = zone_open(&z, start, reterr);
	if (r >= 0) {
		log_info("zone %s: QEMU %d %s with %s (%s)", l->name,
			 (int)z.backend->pid(z.machine), l->spec.os.adopt ? "adopted" : "started",
			 z.kvm ? "KVM" : "TCG", z.accel_why);
		r = sd_event_loop(z.loop);
		if (r < 0)
			error_errno(reterr, r, "the event loop");
	}
	zone_close(&z);
	return r;
}
