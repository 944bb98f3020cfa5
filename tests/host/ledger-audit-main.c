/* SPDX-License-Identifier: MIT */
/* ledger-audit [-s SECONDS] [MIX..]: each mix under ledger and audit; one JSON object a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ledger-mix.h"

static void print_result(const char *name, const struct mix_result *r)
{
	const struct ledger_health *h = &r->health;

	printf("{\"mix\": \"%s\", \"waits\": %llu, \"run_delay_ns\": %llu, \"uncounted_ns\": %llu, "
	       "\"ledger_ns\": %llu, "
	       "\"sum_error_ppm\": %u",
	       name, (unsigned long long)r->waits, (unsigned long long)r->run_delay_ns,
	       (unsigned long long)r->uncounted_ns, (unsigned long long)r->ledger_ns,
	       r->sum_error_ppm);
	if (r->has_shares)
		printf(", \"share_error_ppm\": %u, \"replay_ns\": %llu, \"replay_waits\": %llu",
		       r->share_error_ppm, (unsigned long long)r->replay_ns,
		       (unsigned long long)r->replay_waits);
	if (r->has_throttled)
		printf(", \"throttled_error_ppm\": %u", r->throttled_error_ppm);
	for (int c = 0; c < CAUSE_NR; c++)
		printf(", \"%s_ns\": %llu", cause_name(c), (unsigned long long)r->cause_ns[c]);
	printf(", \"hog_share_ppm\": [%u, %u], \"leaked\": %u, \"missed\": %llu, \"stale\": %llu, "
	       "\"storage_failed\": %llu, \"overflow\": %llu, \"slots_overflow\": %llu, "
	       "\"backwards\": %llu, \"late\": %llu, \"timers_failed\": %llu}\n",
	       r->hog_share_ppm[0], r->hog_share_ppm[1], r->leaked_waiters,
	       (unsigned long long)h->missed_switches_total,
	       (unsigned long long)h->stale_waiters_total,
	       (unsigned long long)h->storage_failed_total,
	       (unsigned long long)h->waiters_overflow_total,
	       (unsigned long long)h->slots_overflow_total,
	       (unsigned long long)h->clock_backwards_total,
	       (unsigned long long)h->late_waits_total, (unsigned long long)h->timers_failed_total);
	fflush(stdout);
}

static int run_one(const struct mix *m, int seconds)
{
	struct mix_result result;
	struct error err = {0};
	int r = mix_run(m, seconds, &result, &err);

	if (!r)
		print_result(m->name, &result);
	else
		fprintf(stderr, "%s: %s\n", m->name, err.msg);
	return r;
}

int main(int argc, char **argv)
{
	struct error err = {0};
	int opt, seconds = 0, failed = 0;

	while ((opt = getopt(argc, argv, "s:")) != -1)
		if (opt == 's')
			seconds = atoi(optarg);
		else
			return 2;
	if (mix_open(&err)) {
		printf("SKIP: %s\n", err.msg);
		return 77;
	}
	for (size_t i = 0; i < nr_mixes && optind == argc; i++)
		if (strcmp(mixes[i].name,
			   "hotplug")) /* only when asked for: it disturbs the machine */
			failed += run_one(&mixes[i], seconds) != 0;
	for (int i = optind; i < argc; i++) {
		const struct mix *m = mix_find(argv[i]);

		if (!m) {
			fprintf(stderr, "no mix %s\n", argv[i]);
			failed++;
			continue;
		}
		failed += run_one(m, seconds) != 0;
	}
	mix_close();
	return failed ? 1 : 0;
}
