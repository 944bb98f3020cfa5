/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <stdlib.h>

#define HASH_MIN_CAP 16

/* splitmix64's finaliser: kernfs ids are small and dense, low bits alone would cluster. */
uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

uint64_t random_next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ull;
	return hash_u64(*state);
}

/* FNV-1a, then mixed. */
uint64_t hash_string(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	return hash_u64(h);
}

void hash_done(struct hash *h)
{
	free(h->slots);
	*h = (struct hash){0};
}

/* The slot of key, or the free slot where it would go. cap > count always holds. */
static size_t find(const struct hash *h, uint64_t key)
{
	size_t i = hash_u64(key) & (h->cap - 1);

	while (h->slots[i].value && h->slots[i].key != key)
		i = (i + 1) & (h->cap - 1);
	return i;
}

void *hash_get(const struct hash *h, uint64_t key)
{
	return h->cap ? h->slots[find(h, key)].value : NULL;
}

static int grow(struct hash *h)
{
	struct hash bigger = {.cap = h->cap ? h->cap * 2 : HASH_MIN_CAP, .count = h->count};

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	hash_for_each(h, e)
		bigger.slots[find(&bigger, e->key)] = *e;
	free(h->slots);
	*h = bigger;
	return 0;
}

int hash_put(struct hash *h, uint64_t key, void *value)
{
	size_t i;
	int r;

	if (!value)
		return -EINVAL;
	if (h->cap) {
		i = find(h, key);
		if (h->slots[i].value) {
			h->slots[i].value = value;
			return 0;
		}
	}
	if (h->count + 1 > h->cap / 4 * 3) {
		r = grow(h);
		if (r < 0)
			return r;
	}
	h->slots[find(h, key)] = (struct hash_entry){.key = key, .value = value};
	h->count++;
	return 0;
}

/* Close the gap at `hole`: move back each following entry that may live there. */
static void shift_back(struct hash *h, size_t hole)
{
	size_t mask = h->cap - 1;

	for (size_t i = (hole + 1) & mask; h->slots[i].value; i = (i + 1) & mask) {
		size_t home = hash_u64(h->slots[i].key) & mask;

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		h->slots[hole] = h->slots[i];
		hole = i;
	}
	h->slots[hole] = (struct hash_entry){0};
}

void *hash_remove(struct hash *h, uint64_t key)
{
	void *value;
	size_t i;

	if (!h->cap)
		return NULL;
	i = find(h, key);
	value = h->slots[i].value;
	if (!value)
		return NULL;
	shift_back(h, i);
	h->count--;
	return value;
}
