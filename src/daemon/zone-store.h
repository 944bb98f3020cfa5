/* SPDX-License-Identifier: MIT */
/*
 * Applied zones on disk: STATE_DIR/zones/NAME/spec.yaml and state ("v1 STATE SLOT PID STARTTIME
 * SPECHASH WISH UNTIL"; an earlier czd's has no wish). Whoever reads after a crash or a power cut
 * finds each file whole, old or new.
 */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "model/lifecycle.h"

/* What is to become of a zone that runs; the strongest last. */
enum zone_wish { WISH_NONE, WISH_REBOOT, WISH_STOP, WISH_REMOVE, WISH_NR };

struct zone_record {
	enum zone_state state;
	uint32_t slot;
	pid_t pid;	      /* of the supervisor; 0: none */
	uint64_t start_ticks; /* /proc/PID/stat, field 22: with the pid, a process for good */
	uint64_t spec_hash;   /* of spec.yaml as czd wrote it */
	enum zone_wish wish;
	uint64_t until_ns; /* of a wish: killed after; the monotonic clock of one boot */
};

must_check int zone_record_format(const struct zone_record *rec, char *buf, size_t size);
must_check int zone_record_parse(const char *text, struct zone_record *ret);

/* The folder of all; what an interrupted create left is removed. */
must_check int zone_store_open(const char *state_dir, int *ret_dirfd, struct error *reterr);
/* All or nothing. -EEXIST; -ENOSPC, -EROFS ...: nothing is left behind. */
must_check int zone_store_create(int dirfd, const char *name, const char *yaml,
				 struct zone_record *rec, struct error *reterr);
/* spec.yaml anew, and the record with its hash. */
must_check int zone_store_spec(int dirfd, const char *name, const char *yaml,
			       struct zone_record *rec, struct error *reterr);
must_check int zone_store_state(int dirfd, const char *name, const struct zone_record *rec);
/* -ENOENT: no zone; -EBADMSG: nonsense. */
must_check int zone_store_record(int dirfd, const char *name, struct zone_record *ret);
/* The text is the caller's; *ret_hash: of what is there now. */
must_check int zone_store_load(int dirfd, const char *name, char **ret_yaml, uint64_t *ret_hash,
			       struct zone_record *ret);
must_check int zone_store_hash(int dirfd, const char *name, uint64_t *ret);
must_check int zone_store_remove(int dirfd, const char *name);
/* Removes what lies at dirfd/name, folders too; never follows a link. */
must_check int remove_all_at(int dirfd, const char *name);
