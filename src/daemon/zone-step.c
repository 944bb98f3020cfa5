/* SPDX-License-Identifier: MIT */
/* From state to state: what supervisors say, how they end, and what is done about it. */
#include <stdio.h>
#include <string.h>
#include "actuate/zone-limits.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "daemon/zone-mgr.h"

#define STEP_NS	      50000000ull   /* while something is under way */
#define KILL_AFTER_NS 2000000000ull /* beyond the grace, which its supervisor keeps */
#define ASK_NS	      5000000000ull
#define SET_UP_NS     (600ull * 1000000000)
#define BOOT_TCG_NS   (120ull * 1000000000)
#define BOOT_KVM_NS   (30ull * 1000000000)
#define SILENT_NS     10000000000ull /* heartbeats come once a second */
#define SECONDS(ns)   ((unsigned long long)((ns) / 1000000000))
#define TURN_NS	      200000000ull /* for all zones: each writes to a disk that may be slow */

void zone_drop_link(struct applied *z)
{
	zone_link_free(z->link);
	z->link = NULL;
}

void zone_set_phase(struct applied *z, enum zone_phase phase)
{
	if (z->phase != phase)
		z->phase_ns = clock_mono_ns();
	z->phase = phase;
}

/* What its supervisor says */

static bool same_threads(const struct zone_vcpu *a, const struct zone_vcpu *b)
{
	for (size_t i = 0; i < ZONE_VCPUS_MAX; i++)
		if (a[i].tid != b[i].tid || a[i].online != b[i].online)
			return false;
	return true;
}

static void take_state(struct applied *z, const struct zone_hello *h)
{
	bool news = h->phase != z->phase;
	bool moved = !same_threads(h->vcpus, z->hello.vcpus);

	z->hello = *h;
	zone_set_phase(z, h->phase);
	if (h->phase == PHASE_STOPPING)
		z->clean = true;
	if (news && h->phase == PHASE_RUNNING) {
		if (!z->broken)
			z->why[0] = 0;
		zone_say(z, h->boot_ms >= 0 ? "running, booted in %lld ms" : "running",
			 (long long)h->boot_ms);
	}
	zone_find_domain(z);
	if (moved)
		z->vcpus_moved = false;
	if (zone_place_vcpus(z))
		zone_note_groups(z);
}

static void on_event(const struct zone_msg *m, void *arg)
{
	struct applied *z = arg;

	switch (m->kind) {
	case ZONE_MSG_STATE:
		take_state(z, &m->hello);
		break;
	case ZONE_MSG_STATS:
		zone_stats_recent(&z->stats, &m->stats, &z->recent);
		z->stats = m->stats;
		z->stats.told &= !z->untold && !z->telling;
		z->stats_ns = clock_mono_ns();
		break;
	case ZONE_MSG_NOTICE:
		zone_say(z, "%s", m->text);
		break;
	default:
		break;
	}
}

static void on_close(const char *why, void *arg)
{
	struct applied *z = arg;

	log_debug("zone %s: link: %s", z->name, why);
	zone_drop_link(z);
	zone_soon(z->m);
}

static void on_hello(const struct zone_msg *m, int code, void *arg)
{
	struct applied *z = arg;

	if (m && m->ok)
		take_state(z, &m->hello);
	else
		log_warn("zone %s: no hello: %s", z->name, m ? m->error_message : strerror(-code));
}

static void send_power_down(struct applied *z)
{
	uint64_t now_ns = clock_mono_ns();
	uint64_t left_ns = z->rec.until_ns > now_ns ? z->rec.until_ns - now_ns : 0;

	if (z->link && zone_link_ask(z->link,
				     json_pack("{s:s,s:I}", "do", "power-down", "grace_ms",
					       (json_int_t)(left_ns / 1000000)),
				     ASK_NS, NULL, NULL) < 0)
		zone_drop_link(z);
}

static void connect_link(struct applied *z)
{
	struct zone_link_handler h = {.on_event = on_event, .on_close = on_close, .arg = z};
	char path[4096];

	if (str_printf(path, sizeof(path), "%s/zones/%s/link.sock", z->m->d->opt->run_dir,
		       z->name) < 0 ||
	    zone_link_open(z->m->d->loop, path, &h, &z->link) < 0)
		return;
	if (zone_link_ask(z->link, json_pack("{s:s}", "do", "hello"), ASK_NS, on_hello, z) < 0)
		zone_drop_link(z);
	else if (zone_is_stopping(z))
		send_power_down(z);
}

/* From state to state */

static void remove_zone(struct applied *z)
{
	struct zones_mgr *m = z->m;
	int r;

	zone_set_state(z, ZS_ZOMBIED);
	r = zone_store_remove(m->dirfd, z->name);
	if (r < 0)
		log_warn("zone %s: its folder cannot be removed: %s", z->name, strerror(-r));
	if (m->run_dirfd >= 0 && remove_all_at(m->run_dirfd, z->name) < 0)
		log_debug("zone %s: its run directory stays", z->name);
	zone_say(z, "removed");
	for (size_t i = 0; i < m->nr; i++)
		if (m->items[i] == z)
			m->items[i] = m->items[--m->nr];
	zone_spec_done(&z->spec);
	free(z);
}

static bool may_restart(const struct applied *z)
{
	return z->spec.restart != RESTART_NEVER && z->rec.wish == WISH_NONE && !z->broken;
}

static void say_why(struct applied *z)
{
	char last[200];

	if (z->verdict[0]) {
		str_copy(z->why, sizeof(z->why), z->verdict);
		return;
	}
	zone_last_words(z, "supervisor.log", last, sizeof(last));
	if (z->is_child)
		str_copy(z->why, sizeof(z->why), last);
	else /* whether it was killed, only czd that started it would have been told */
		snprintf(z->why, sizeof(z->why), "its supervisor is gone; its log ends with: %s",
			 last);
}

/* Its process and its groups are gone. */
static void settle(struct applied *z)
{
	uint64_t now_ns = clock_mono_ns();
	bool asked = zone_is_stopping(z), crashed = !asked && !z->clean;

	zone_clear_run_dir(z);
	zone_lose_domain(z);
	zone_set_phase(z, PHASE_NONE);
	z->stats_ns = 0;
	z->untold = 0;
	memset(&z->stats, 0, sizeof(z->stats));
	z->rec.pid = 0;
	z->rec.start_ticks = 0;
	if (!crashed) {
		z->crashes = 0;
		z->backoff_ns = 0;
		z->retry_ns =
		    !asked && z->spec.restart == RESTART_ALWAYS ? now_ns + ZONE_BACKOFF_NS : 0;
		if (z->rec.wish == WISH_STOP)
			z->rec.wish = WISH_NONE;
		zone_set_state(z, ZS_STOPPED);
		zone_say(z, "stopped");
	} else {
		if (now_ns - z->started_ns > ZONE_WELL_NS || !z->backoff_ns)
			z->backoff_ns = ZONE_BACKOFF_NS;
		else
			z->backoff_ns = z->backoff_ns * 2 > ZONE_BACKOFF_MAX_NS
					    ? ZONE_BACKOFF_MAX_NS
					    : z->backoff_ns * 2;
		z->retry_ns = may_restart(z) ? now_ns + z->backoff_ns : 0;
		z->crashes++;
		say_why(z);
		zone_set_state(z, ZS_ERROR);
		zone_say(z, "ended unasked: %.100s", z->why);
	}
	z->clean = false;
	z->verdict[0] = 0;
}

static uint64_t boot_limit_ns(const struct applied *z)
{
	if (z->phase == PHASE_STARTING) /* images may have to be unpacked */
		return SET_UP_NS;
	if (z->spec.os.boot_limit_ns)
		return z->spec.os.boot_limit_ns;
	return strcmp(z->hello.accel, "kvm") ? BOOT_TCG_NS : BOOT_KVM_NS;
}

void zone_check_boot(struct applied *z, uint64_t now_ns)
{
	bool boots = z->phase == PHASE_STARTING || z->phase == PHASE_BOOTING;
	char last[200], limit[32];

	if (!boots || !z->rec.pid || z->spec.runtime != RUNTIME_VM || zone_is_stopping(z) ||
	    z->verdict[0] || now_ns - z->phase_ns < boot_limit_ns(z))
		return;
	zone_last_words(z, z->phase == PHASE_BOOTING ? "console.log" : "supervisor.log", last,
			sizeof(last));
	snprintf(
	    z->verdict, sizeof(z->verdict),
	    "its guest has not said within %s that it runs (os.bootLimit); the %s ends with: %s",
	    format_duration(boot_limit_ns(z), limit, sizeof(limit)),
	    z->phase == PHASE_BOOTING ? "console" : "supervisor's log", last);
	zone_kill(&z->m->d->fs, z->path);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void zone_check_voice(struct applied *z, uint64_t now_ns)
{
	bool runs = z->rec.pid && !zone_is_stopping(z) && !z->verdict[0] &&
		    z->phase != PHASE_STARTING && z->phase != PHASE_BOOTING;
	uint64_t heard_ns = later(z->stats_ns, later(z->phase_ns, z->started_ns));
	bool silent = runs && now_ns - heard_ns > SILENT_NS;

	/* Twice: after a pause of czd's own what was said meanwhile may lie unread. */
	z->silent_ticks = silent ? z->silent_ticks + 1 : 0;
	if (z->silent_ticks == 2)
		zone_say(z, "no heartbeat for %llu s: its %s", SECONDS(now_ns - heard_ns),
			 z->spec.runtime == RUNTIME_VM ? "guest or cz-vm hangs" : "cz-run hangs");
	if (!silent && z->silent_ns && runs)
		zone_say(z, "its heart beats again, after %llu s", SECONDS(z->silent_ns));
	z->silent_ns = z->silent_ticks >= 2 ? now_ns - heard_ns : 0;
}

static int on_gone(struct applied *z)
{
	z->gone = sd_event_source_disable_unref(z->gone);
	close_fd(&z->pidfd);
	zone_drop_link(z);
	z->rec.pid = 0;
	zone_soon(z->m);
	return 0;
}

static void start_again(struct applied *z)
{
	struct error e = {0};

	z->retry_ns = 0;
	z->rec.wish = WISH_NONE;
	if (zone_start(z, &e) == 0)
		return;
	str_copy(z->why, sizeof(z->why), e.msg);
	zone_set_state(z, ZS_ERROR);
	z->backoff_ns = z->backoff_ns ? z->backoff_ns * 2 : ZONE_BACKOFF_NS;
	if (z->backoff_ns > ZONE_BACKOFF_MAX_NS)
		z->backoff_ns = ZONE_BACKOFF_MAX_NS;
	z->retry_ns = may_restart(z) ? clock_mono_ns() + z->backoff_ns : 0;
	zone_say(z, "not started: %.120s", e.msg);
}

/* One look at one zone. Returns whether to look again soon; z may be gone afterwards. */
static bool step(struct applied *z)
{
	uint64_t now_ns = clock_mono_ns();

	if (z->rec.pid) {
		if (!z->link)
			connect_link(z);
		if ((zone_is_stopping(z) || z->gave_back) &&
		    now_ns > z->rec.until_ns + KILL_AFTER_NS)
			zone_kill(&z->m->d->fs, z->path);
		return !z->link || zone_is_stopping(z);
	}
	if (z->groups) {
		zone_kill(&z->m->d->fs, z->path);
		if (zone_give_back(z))
			return true;
		if (zone_remove_groups(z) < 0)
			return true;
	}
	if (z->rec.state == ZS_RUNNING)
		settle(z);
	if (z->rec.wish == WISH_REMOVE) {
		remove_zone(z);
		return false;
	}
	if (z->rec.wish == WISH_REBOOT || (z->retry_ns && now_ns >= z->retry_ns))
		start_again(z);
	return z->retry_ns != 0;
}

int zones_step(sd_event_source *src, uint64_t usec, void *arg)
{
	struct zones_mgr *m = arg;
	uint64_t end_ns = clock_mono_ns() + TURN_NS;
	size_t nr = m->nr, n = 0;
	bool more = false;

	/* In turns, so that no slow disk keeps czd from its signs of life. */
	for (; n < nr && m->nr && clock_mono_ns() < end_ns; n++) {
		if (m->next_step >= m->nr)
			m->next_step = 0;
		more |= step(m->items[m->next_step++]);
	}
	more |= n < nr || m->nr < nr; /* one that took a removed one's place was passed over */
	if (more) {
		sd_event_source_set_time(src, (clock_mono_ns() + STEP_NS) / 1000);
		sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	}
	return 0;
}

bool zone_is_stopping(const struct applied *z)
{
	return z->rec.state == ZS_RUNNING && z->rec.wish != WISH_NONE;
}

int zone_stop(struct applied *z, enum zone_wish wish, uint64_t grace_ns, struct error *reterr)
{
	enum zone_state to = wish == WISH_REMOVE ? ZS_ZOMBIED : ZS_STOPPED;
	int r = zone_may(z, to, reterr);

	if (r < 0)
		return r;
	z->retry_ns = 0;
	/* Nothing takes a removal back; a stop takes back what was to come after an earlier one. */
	if (z->rec.wish != WISH_REMOVE)
		z->rec.wish = z->rec.state == ZS_RUNNING || wish == WISH_REMOVE ? wish : WISH_NONE;
	z->rec.until_ns = clock_mono_ns() + grace_ns;
	zone_set_state(z, z->rec.state == ZS_ERROR ? ZS_STOPPED : z->rec.state);
	if (z->rec.state == ZS_RUNNING) {
		if (!grace_ns)
			zone_kill(&z->m->d->fs, z->path);
		send_power_down(z);
	}
	zone_soon(z->m);
	return 0;
}

static int on_child(sd_event_source *src, const siginfo_t *si, void *arg)
{
	struct applied *z = arg;

	/* Who is killed says no last words: the end of its log tells nothing. */
	if (si->si_code != CLD_EXITED && !z->verdict[0])
		snprintf(z->verdict, sizeof(z->verdict), "its supervisor was killed (signal %d)",
			 si->si_status);
	return on_gone(z);
}

static int on_pidfd(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	return on_gone(arg);
}

int zone_watch(struct applied *z)
{
	return z->is_child
		   ? sd_event_add_child(z->m->d->loop, &z->gone, z->rec.pid, WEXITED, on_child, z)
		   : sd_event_add_io(z->m->d->loop, &z->gone, z->pidfd, EPOLLIN, on_pidfd, z);
}
