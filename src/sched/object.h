/* SPDX-License-Identifier: MIT */
/* A policy's BPF object, by the names that its parts have in every policy. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct bpf_map;
struct bpf_object;
struct policy_settings;

struct bpf_map *object_map(struct bpf_object *obj, const char *name); /* NULL: none */
/* The options as compiled in, to be changed before loading. NULL: none. */
void *object_rodata(struct bpf_object *obj, size_t *ret_size);
/* Before loading: flags and watchdog of the scheduler, and where the bus is. */
void object_prepare(struct bpf_object *obj, const struct policy_settings *settings);
/* Instructions the verifier went through, over all programs. */
uint64_t object_insns(struct bpf_object *obj);
/* The sum over CPUs of counter `index`. */
uint64_t object_counter(struct bpf_object *obj, uint32_t index);
