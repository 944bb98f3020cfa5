/* SPDX-License-Identifier: MIT */
/*
 * Hash map u64 -> pointer; open addressing, power-of-two, tombstone-free (backward shift).
 * Values are borrowed; key 0 is a valid key. Pointers to values stay valid across growth only as
 * far as the caller's own objects do (the map stores the pointer, not the object).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct hash_entry {
	uint64_t key;
	void *value; /* NULL: free slot */
};
struct hash {
	struct hash_entry *slots;
	size_t cap, count;
};
void hash_done(struct hash *h);
void *hash_get(const struct hash *h, uint64_t key); /* NULL: absent */
must_check int hash_put(struct hash *h, uint64_t key,
			void *value);		 /* replaces; -ENOMEM; value != NULL */
void *hash_remove(struct hash *h, uint64_t key); /* returns the old value or NULL */
uint64_t hash_string(const char *s);
uint64_t hash_u64(uint64_t x);
/* The next of a seeded sequence of random numbers (splitmix64). */
uint64_t random_next(uint64_t *state);
/* Do not add or remove while iterating. */
#define hash_for_each(h, e)                                                                        \
	for (struct hash_entry *e = (h)->slots; e && e < (h)->slots + (h)->cap; e++)               \
		if (e->value)
