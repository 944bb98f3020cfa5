/* SPDX-License-Identifier: MIT */
/* Layout shared by counters.bpf.c and its reader src/probes/counters.c: u64 only, no padding. */
#pragma once

/* In the order in which they are opened: of each group the first that the CPU has leads it. */
enum pmc {
	PMC_REF_CYCLES,
	PMC_INSTRUCTIONS,
	PMC_CYCLES,
	PMC_LLC_REFERENCES,
	PMC_LLC_MISSES,
	PMC_NR,
};
/* Counters of a group run at the same times, so that their ratios are right under multiplexing. */
enum pmc_group_nr { PMC_GROUP_CORE, PMC_GROUP_LLC, PMC_GROUPS };
#define PMC_FIRST_OF_LLC PMC_LLC_REFERENCES

#define PMC_CPUS_MAX 1024

/* Of a zone on one CPU: the counts, and how long each group was enabled and really counted. */
enum pmc_field {
	PMC_FIELD_ENABLED = PMC_NR,
	PMC_FIELD_RUNNING = PMC_FIELD_ENABLED + PMC_GROUPS,
	PMC_FIELDS = PMC_FIELD_RUNNING + PMC_GROUPS,
};

/* Two cache lines a CPU, which only that CPU writes. */
struct pmc_cpu {
	unsigned long long zone; /* that runs; 0: idle, or nothing was seen yet */
	unsigned long long known;
	unsigned long long last[PMC_FIELDS];
	unsigned long long pad[16 - 2 - PMC_FIELDS];
};
