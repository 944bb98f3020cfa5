/* SPDX-License-Identifier: MIT */
/* One list gives a policy's counters their numbers (BPF) and their names (user space). */
#pragma once
#define COUNTER_NUMBER(name) COUNT_##name,
#define COUNTER_NAME(name)   #name,
