/* SPDX-License-Identifier: MIT */
/* A Gaussian process over a few points: Matern 5/2, for Bayesian optimisation. Pure. */
#pragma once
#include <stddef.h>
#include "base/error.h"

#define GAUSS_POINTS_MAX 40
#define GAUSS_DIMS_MAX	 48

struct gauss {
	size_t dims, nr;
	double x[GAUSS_POINTS_MAX][GAUSS_DIMS_MAX]; /* 0..1 each */
	double y[GAUSS_POINTS_MAX];
	double length[GAUSS_DIMS_MAX]; /* of the kernel */
	double noise;		       /* variance of y */
	/* of gauss_fit() */
	double mean, variance;
	double lower[GAUSS_POINTS_MAX][GAUSS_POINTS_MAX], weights[GAUSS_POINTS_MAX];
};
/* After points or lengths changed. -EDOM: the kernel's matrix is singular. */
must_check int gauss_fit(struct gauss *g);
/* Log of the probability of y, without constants: how well the lengths fit. */
double gauss_likelihood(const struct gauss *g);
/* The same with the lengths that explain the points best, of a few; every kinds-th dimension has
 * the same. */
must_check int gauss_fit_lengths(struct gauss *g, size_t kinds);
/* What y is expected at x, and its standard deviation. */
void gauss_at(const struct gauss *g, const double *x, double *ret_mean, double *ret_deviation);
/* Expected improvement of what is so distributed over `best` by more than zeta. */
double gauss_expected(double mean, double deviation, double best, double zeta);
/* The same at x: over `best` by more than zeta. */
double gauss_improvement(const struct gauss *g, const double *x, double best, double zeta);
