/* SPDX-License-Identifier: MIT */
/*
 * A zone as its user wants it (apiVersion cz/v1, kind Zone; man cz-zone.5), as plain data. Filled
 * by src/spec/, kept on disk by czd, turned into processes and cgroups by src/vm/ and src/actuate/.
 *
 * Pointers own their text and are NULL when the user said nothing; numbers say what "not set" is.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cpuset.h"
#include "model/zone.h"

#define ZONE_SPEC_NAME_MAX 40 /* letters, digits and . _ - ; begins with a letter or digit */
#define ZONE_APPS_MAX	   32
#define ZONE_LABELS_MAX	   32
#define ZONE_PORTS_MAX	   16
#define ZONE_VCPUS_MAX	   64
#define ZONE_RULES_MAX	   8
#define ZONE_THREADS_MAX   16

enum zone_runtime { RUNTIME_CGROUP, RUNTIME_VM };
enum zone_accel { ACCEL_AUTO, ACCEL_KVM, ACCEL_TCG }; /* auto: KVM where a boot probe works */
enum zone_preempt { PREEMPT_KERNELS, PREEMPT_NONE, PREEMPT_VOLUNTARY, PREEMPT_LAZY, PREEMPT_FULL };
enum zone_machine { MACHINE_AUTO, MACHINE_Q35, MACHINE_MICROVM };
enum zone_backend { BACKEND_QEMU, BACKEND_LIBVIRT };
enum rootfs_kind {
	ROOTFS_NONE,  /* the initramfs is all there is */
	ROOTFS_HOST,  /* an allow-list of the host's own tree, read only, over virtiofs */
	ROOTFS_IMAGE, /* a disk image, raw or qcow2; the zone writes to a layer of its own */
	ROOTFS_DIR,   /* a directory of the host, read only, over virtiofs */
	ROOTFS_OCI,   /* an OCI image layout: its rootfs, read only, over virtiofs */
};
enum net_mode { NET_NONE, NET_USER, NET_TAP, NET_BRIDGE };
enum restart_policy { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct key_value {
	char *key, *value;
};

struct zone_io_limit { /* 0: no limit */
	uint64_t bytes_per_s, bytes_burst;
	uint64_t ops_per_s, ops_burst;
};

struct zone_net {
	enum net_mode mode;
	char *address; /* "192.0.2.10/24": static; NULL: DHCP (user mode has one) */
	char *gateway, *dns;
	char *bridge; /* NET_BRIDGE */
	struct {      /* NET_USER: host loopback port -> guest port, TCP */
		uint16_t host, guest;
	} forward[ZONE_PORTS_MAX];
	size_t nr_forward;
};

struct zone_resource {
	struct cpuset cpus;	   /* host CPUs; empty: not set (cgroup) or not pinned (vm) */
	bool exclusive_cpus;	   /* no other zone with this flag may have any of them */
	uint32_t vcpus, vcpus_max; /* vm; 0: as many as cpus has, else 1; max 0: = vcpus */
	uint64_t cpu_max_ppm;	   /* of one CPU; vm: of each vCPU; 0: no limit */
	uint64_t cpu_burst_us;	   /* 0: none */
	uint32_t cpu_weight;	   /* 1..10000, 0: not set (100) */
	uint64_t memory_bytes;	   /* 0: cgroup: no limit; vm: 512 MiB */
	uint64_t
	    memory_max_bytes;	/* vm: what memory may be raised to without a reboot; 0: = memory */
	uint64_t llc_mask;	/* 0: not set; needs resctrl */
	uint32_t membw_percent; /* 0: not set; needs resctrl */
	struct zone_io_limit io;
	struct zone_net net;
};

struct zone_os {	 /* vm only */
	char *kernel;	 /* a path, or the name of one of `czctl kernel list`; NULL: the default */
	char *initramfs; /* a path; NULL: made by czd, with cz-guest as init */
	enum rootfs_kind rootfs_kind;
	char *rootfs;  /* path; NULL for host and none */
	char **share;  /* more directories of the host, at the same paths, read only; rootfs host */
	char *cmdline; /* appended to ours */
	enum zone_preempt preempt;
	uint64_t boot_limit_ns; /* 0: by how it is accelerated */
	enum zone_machine machine;
	enum zone_accel accel;
	enum zone_backend backend;
	char *adopt; /* a domain of libvirt's that runs already; NULL: the machine is made */
};

struct sched_rule { /* load-dependent policy: the first rule that holds wins, see docs/zones.md */
	uint32_t
	    below_ppm; /* load of the zone's lc apps (epoll_wait rate or CPU) below this; 0: any */
	char *policy;  /* "none": the kernel's own */
	char *options;
};
struct zone_sched {
	char *policy;  /* NAME of scx-NAME; "none" or NULL: the kernel's own */
	char *options; /* for the policy, as on its command line */
	bool full;     /* every task; false (partial): only tasks of apps and those set to ext */
	bool on_harm;  /* harm inside the zone is answered by switching to `policy` */
	struct sched_rule rules[ZONE_RULES_MAX];
	size_t nr_rules;
};

struct thread_rule { /* the first one that fits a thread's name wins */
	char *name;  /* a shell pattern; the kernel keeps 15 characters of a name */
	enum zone_class class;
};
struct zone_app {
	char *name; /* as a zone's; unique in the zone */
	enum zone_class class;
	struct thread_rule threads[ZONE_THREADS_MAX]; /* of another class than the app */
	size_t nr_threads;
	char **command; /* NULL-terminated; NULL with a bundle */
	char *bundle;	/* OCI bundle directory inside the zone */
	char *user;	/* NULL: root of the zone */
	char *workdir;
	struct key_value *env;
	size_t nr_env;
	uint64_t cpu_max_ppm;  /* 0: no limit */
	uint32_t cpu_weight;   /* 0: 100 */
	uint64_t memory_bytes; /* 0: no limit */
	struct cpuset cpus;    /* guest CPUs; empty: all */
	enum restart_policy restart;
	char **health;		   /* command; exit 0: healthy; NULL: none */
	uint64_t health_period_ns; /* default 10 s */
};

struct zone_spec {
	char *name;
	struct key_value *labels;
	size_t nr_labels;
	enum zone_class class;
	struct slo slo;
	enum zone_runtime runtime;
	enum restart_policy restart; /* of the zone itself; default on-failure */
	struct zone_resource resource;
	struct zone_os os;
	struct zone_sched sched;
	struct zone_app *apps;
	size_t nr_apps;
};

void zone_spec_defaults(struct zone_spec *s);
void zone_app_defaults(struct zone_app *a);
void zone_spec_done(struct zone_spec *s); /* frees what it owns and zeroes it */

/* What a zone has where its user left it to us (see struct zone_resource). A maximum is never less
 * than what it is of, and a machine's memory is whole MiB. */
uint32_t zone_spec_vcpus(const struct zone_spec *s);
uint32_t zone_spec_vcpus_max(const struct zone_spec *s);
uint64_t zone_spec_memory(const struct zone_spec *s);
uint64_t zone_spec_memory_max(const struct zone_spec *s);
