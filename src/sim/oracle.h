/* SPDX-License-Identifier: MIT */
/* What the best controller could reach on the model: by search over all divisions. */
#pragma once
#include "sim/machine.h"

/*
 * An allocation of cores and ways with which all targets are met, at full frequency, memory and
 * disk by need, and most work done by the best-effort app, if there is one (one at most). Sets
 * alloc and ways of places. Returns 1 found, 0 there is none.
 */
int oracle_find(const struct sim_machine *m, struct sim_place *places, size_t nr);
