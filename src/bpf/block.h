/* SPDX-License-Identifier: MIT */
/* Requests to block devices per zone: shared by block.bpf.c and its probe. Zones are cgroups of the
 * io controller (on v1: blkio's hierarchy) by kernfs id; 0: somebody for whom there was no room. */
#pragma once

#define BLOCK_ZONES_MAX	  16384
#define BLOCK_FLIGHTS_MAX 16384
#define BLOCK_DISKS_MAX	  64
#define BLOCK_CELLS_MAX	  4096
#define BLOCK_SLOTS	  16  /* zones at one disk at a time; the last is for all others */
#define BLOCK_BUCKETS	  100 /* 25 powers of two from 2^9 ns on, four steps each */

/* A bucket's upper end: 2^(9 + b / 4) * (5 + b % 4) / 4 ns. */
#define BLOCK_SHIFT 9

struct block_zone {
	unsigned long long count, ns;
	unsigned int hist[BLOCK_BUCKETS];
};

/* While requests of owner (a protected zone: its id in the cpu controller's hierarchy) waited for a
 * disk or were served, this zone had the disk for so long. */
struct block_cell_key {
	unsigned long long owner, holder;
};
