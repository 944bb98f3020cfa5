/* SPDX-License-Identifier: MIT */
/* The way down of a machine: asked by its guest, by its button, by its emulator; then killed. */
#include "vm/zone.h"

#define GRACE_MAX_MS 600000
#define QUIT_NS	     2000000000ull

static int ask_guest(struct zone *z)
{
	return ports_say(z->ports, json_pack("{s:I,s:s,s:I}", "id", (json_int_t)++z->next_guest_id,
					     "do", "power-down", "grace_ms",
					     (json_int_t)(z->grace_ns / 1000000 / 2)));
}

/* Each step has its share of the grace; one that can't be taken costs no time. */
int zone_step_down(sd_event_source *source, uint64_t now_usec, void *arg)
{
	struct zone *z = arg;
	uint64_t wait_ns = z->grace_ns;
	int r = -ENOTCONN;

	while (r < 0) {
		switch (z->step++) {
		case 0:
			r = ask_guest(z);
			wait_ns = z->grace_ns / 4 * 3;
			break;
		case 1:
			r = z->backend->power_button(z->machine);
			wait_ns = z->grace_ns / 4;
			break;
		case 2:
			r = z->backend->quit(z->machine);
			wait_ns =
			    zone_is_adopted(z) && z->grace_ns > QUIT_NS ? z->grace_ns : QUIT_NS;
			break;
		default:
			z->backend->kill(z->machine);
			return 0;
		}
	}
	sd_event_source_set_time_relative(source, wait_ns / 1000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Asked again with less grace, the shorter one holds. */
void zone_power_down(struct zone *z, uint64_t grace_ms)
{
	z->grace_ns = (grace_ms < GRACE_MAX_MS ? grace_ms : GRACE_MAX_MS) * 1000000;
	if (z->state == VM_STOPPING && z->step > 1)
		return;
	z->state = VM_STOPPING;
	z->step = grace_ms && !zone_is_adopted(z) ? 0 : 2;
	zone_state_changed(z);
	sd_event_source_set_time_relative(z->escalation, 0);
	sd_event_source_set_enabled(z->escalation, SD_EVENT_ONESHOT);
}
