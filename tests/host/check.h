/* SPDX-License-Identifier: MIT */
/* For tests that leave cgroups behind: what does not hold ends the test after its own clean_up().
 */
#pragma once
#include <stdio.h>
#include <stdlib.h>

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #x);            \
			clean_up();                                                                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)
