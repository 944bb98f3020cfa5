/* SPDX-License-Identifier: MIT */
/*
 * The main program of every policy: options, loading, attaching and detaching on request, counters,
 * the end. What it reads and prints is in docs/zone-protocol.md ("Schedulers"). A policy is a const
 * descriptor and its BPF program; one that needs more of user space brings hooks.
 *
 * The scheduler lives as long as this process (a struct_ops link): killed in any way, the kernel's
 * own is back.
 */
#pragma once
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/options.h"
#include "base/str.h"

struct bpf_object;

/* the names that generated skeletons use */
typedef __u32 u32;
typedef __u64 u64;

enum { /* exit codes */
       POLICY_EXIT_OK = 0,
       POLICY_EXIT_FAILED = 1, /* could not load or attach */
       POLICY_EXIT_USAGE = 2,
       POLICY_EXIT_EJECTED = 4, /* the kernel or the policy itself ended it */
};

#define POLICY_OPTIONS_BYTES 1024
struct policy_settings {
	bool partial, hold, list, help;
	uint64_t stats_ms;
	uint64_t watchdog_ns;
	_Alignas(16) unsigned char rodata[POLICY_OPTIONS_BYTES]; /* the policy's own */
};

/*
 * An option of a policy is a `const volatile` variable of its BPF program: bool for FLAG, u64 for
 * DURATION and NUMBER, u32 for RATIO. Its initial value there is the default.
 *	POLICY_OPTION(scx_rr_bpf, "slice", DURATION, slice_ns, "TIME", "help", .min = 1000)
 */
#define POLICY_OPTION(skeleton, option, k, variable, what, text, ...)                              \
	{                                                                                          \
		.name = option, .kind = OPTION_##k,                                                \
		.offset = offsetof(struct policy_settings, rodata) +                               \
			  offsetof(struct skeleton##__rodata, variable),                           \
		.value = what, .help = text, ##__VA_ARGS__                                         \
	}

/* A running policy, as its hooks see it. */
struct policy_run {
	const struct policy *policy;
	struct bpf_object *obj;
	const struct policy_settings *settings;
	void *data; /* the hooks' own */
};

struct policy_hooks {
	/* opened, options known, not loaded: sizes of maps, autoload */
	int (*open)(struct policy_run *run, struct error *reterr);
	/* loaded: attach other programs, fill maps. */
	int (*loaded)(struct policy_run *run, struct error *reterr);
	/* just before the scheduler is attached, just after it was detached */
	int (*attach)(struct policy_run *run, struct error *reterr);
	void (*detach)(struct policy_run *run);
	/* A descriptor to poll for input, or -1; asked once, after loaded. ready() is called when
	 * there is some. */
	int (*fd)(struct policy_run *run);
	void (*ready)(struct policy_run *run);
	/* Appends `, "name": number` to a stats line. */
	void (*stats)(struct policy_run *run, struct strbuf *line);
	void (*done)(struct policy_run *run);
};

struct policy {
	const char *name; /* "fifo" of scx-fifo; its line is in policies.h */
	const void *(*elf)(size_t *size);
	const struct option_desc *options; /* OPTIONS_END; NULL: none */
	const char *const *counters;	   /* names, NULL-terminated, of the map "counters" */
	/* With --partial it is for be tasks only: the others go first because they are in the
	 * kernel's fair class, at no cost. Told by `ready`. */
	bool partial_is_be;
	struct policy_hooks hooks;
};

int policy_main(const struct policy *policy, int argc, char **argv);
