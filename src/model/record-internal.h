/* SPDX-License-Identifier: MIT */
/* Shared by the files that read recordings. Getters leave *ret alone when the field is absent. */
#pragma once
#include <jansson.h>
#include "base/hash.h"
#include "model/record.h"

#define RECORD_ZONES_MAX   65536
#define RECORD_LEDGERS_MAX 256
#define RECORD_COLUMNS_MAX 256
#define RECORD_DID_MAX	   256 /* findings, actions, steps on a line */
#define COLUMN_UNKNOWN	   UINT8_MAX

struct record_reader {
	/* the tree: names live in the rows of the lines that told them */
	struct zone_view *zones;
	json_t **rows;
	size_t nr_zones, cap_zones;
	struct hash index; /* id -> index + 1 */
	uint64_t *gone;	   /* ids that leave with the next change of the tree */
	size_t nr_gone, cap_gone;
	char gone_name[ZONE_NAME_MAX]; /* of the last */
	uint32_t *core_of;
	struct cpu_topology cpus;
	struct ledger_view *ledgers;
	struct ledger_part **parts; /* [nr_ledgers] */
	size_t nr_ledgers;
	struct disk_view disks[DISKS_MAX];
	struct disk_use *disk_uses;
	size_t nr_disks, nr_disk_uses;
	struct learned *learned;
	metric_set host_valid;
	uint64_t host_value[HM_NR], host_delta[HM_NR];
	/* of a column in the recording: the metric, or COLUMN_UNKNOWN of one that is not ours */
	uint8_t column[RECORD_COLUMNS_MAX], host_column[RECORD_COLUMNS_MAX];
	struct snapshot snapshot;
	struct {
		uint64_t foreign[RECORD_DID_MAX];
		struct record_step steps[RECORD_DID_MAX];
		struct finding findings[RECORD_DID_MAX];
		struct action actions[RECORD_DID_MAX];
	} did;
};

must_check int record_get_u64(const json_t *o, const char *key, uint64_t *ret,
			      struct error *reterr);
must_check int record_get_i32(const json_t *o, const char *key, int32_t *ret, struct error *reterr);
/* The text belongs to o. */
must_check int record_get_text(const json_t *o, const char *key, size_t max, const char **ret,
			       struct error *reterr);
/* Copied into a buffer of that size. */
must_check int record_copy_text(const json_t *o, const char *key, char *buf, size_t size,
				struct error *reterr);
/* Item i of an array, required, at most max. */
must_check int record_item_u64(const json_t *array, size_t i, uint64_t max, uint64_t *ret,
			       struct error *reterr);
/* NAME is one of NR texts that name() gives; *ret is which. */
must_check int record_one_of(const char *name, const char *(*text)(int), int nr, int *ret);
must_check int record_errno_parse(const char *name, int *ret);

/* record-snapshot.c */
must_check int record_read_snapshot(struct record_reader *r, const json_t *o, struct record *ret,
				    struct error *reterr);
/* Of the tree as it is now. */
void record_publish(struct record_reader *r, struct record *ret);

/* record-zone.c: one row of a tree. `by_id`: it names its parent by "under". */
must_check int record_read_zone(const struct record_reader *r, const json_t *o, bool by_id,
				const struct zone_view *zones, uint32_t nr, struct zone_view *ret,
				struct error *reterr);
void record_read_columns(struct record_reader *r, const json_t *o);
void record_own_columns(struct record_reader *r);

/* record-change.c: how a tree changed */
uint32_t record_zone_index(const struct record_reader *r, uint64_t id); /* NO_ZONE */
must_check int record_reindex(struct record_reader *r);
must_check int record_note_gone(struct record_reader *r, uint64_t id);
/* Zones that went and those of "tree"; ledgers follow. */
must_check int record_read_tree(struct record_reader *r, const json_t *o, struct error *reterr);
/* "moved" and "host". */
must_check int record_read_moved(struct record_reader *r, const json_t *o, struct error *reterr);
must_check int record_apply_moved(const struct record_reader *r, const char *text,
				  struct zone_view *z, struct error *reterr);

/* record-disks.c: "disks" and "at_disks", forgotten by a line without them */
must_check int record_read_disks(struct record_reader *r, const json_t *o, struct error *reterr);
void record_publish_disks(struct record_reader *r);

/* record-did.c */
must_check int record_read_did(struct record_reader *r, const json_t *o, struct record_did *ret,
			       struct error *reterr);

/* record-head.c */
must_check int record_read_head(struct record_reader *r, const json_t *o, struct record *ret,
				struct error *reterr);
