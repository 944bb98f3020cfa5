/* SPDX-License-Identifier: MIT */
/* The way down of a machine: asked by its guest, by its button, by its emulator; then killed. And
 * what is said of its end. */
#include <stdio.h>
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

static void last_words(const struct zone *z, enum vm_end how, const char *text, char *line,
		       size_t size)
{
	static const char *const words[] = {
	    [VM_END_OFF] = "the guest switched itself off",
	    [VM_END_QUIT] = "QEMU was told to quit",
	    [VM_END_RESET] = "the guest reset itself",
	    [VM_END_PANIC] = "the guest's kernel panicked",
	    [VM_END_DIED] = "QEMU died",
	    [VM_END_RELEASED] = "the domain was given back",
	};
	const char *asked = z->state == VM_STOPPING ? ", as asked" : "";
	const char *panic = z->logs ? logs_panic(z->logs) : NULL;

	/* A kernel that panics resets its machine; where it has told the device of it, QEMU says
	 * so. */
	if (how == VM_END_PANIC || (how == VM_END_RESET && panic))
		snprintf(line, size, "%s: %s (%s)%s", words[VM_END_PANIC],
			 panic ? panic : "the console does not say why", text, asked);
	else if (z->failed[0])
		snprintf(line, size, "the guest cannot run: %s%s", z->failed, asked);
	else
		snprintf(line, size, "%s (%s)%s", words[how], text, asked);
}

void zone_ended(void *arg, enum vm_end how, const char *text)
{
	struct zone *z = arg;
	char line[480];

	last_words(z, how, text, line, sizeof(line));
	z->exit_code = z->state == VM_STOPPING || (how == VM_END_OFF && !z->failed[0]) ? 0 : 1;
	z->state = VM_STOPPING;
	if (z->exit_code == 0) /* in good order */
		zone_state_changed(z);
	z->log_budget++; /* the last word is always heard */
	zone_notice(z, "guest", line);
	sd_event_exit(z->loop, z->exit_code);
}
