/* SPDX-License-Identifier: MIT */
/* The clocks. Only daemon/, cli/, bench/ and tests read them; stages take now_ns as an argument. */
#pragma once
#include <stdint.h>
uint64_t clock_mono_ns(void); /* CLOCK_MONOTONIC: the clock of BPF ktime and of all *_ns stamps */
uint64_t clock_real_ns(void); /* CLOCK_REALTIME: only for showing time of day */
uint64_t clock_thread_cpu_ns(void); /* CPU time of this thread: own cost */
