/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "decide/gauss.h"

static double kernel(const struct gauss *g, const double *a, const double *b)
{
	double square = 0, r;

	for (size_t i = 0; i < g->dims; i++)
		square += (a[i] - b[i]) * (a[i] - b[i]) / (g->length[i] * g->length[i]);
	r = sqrt(5 * square);
	return g->variance * (1 + r + r * r / 3) * exp(-r);
}

static void moments(struct gauss *g)
{
	double sum = 0, square = 0;

	for (size_t i = 0; i < g->nr; i++) {
		sum += g->y[i];
		square += g->y[i] * g->y[i];
	}
	g->mean = sum / (double)g->nr;
	g->variance = fmax(1e-6, square / (double)g->nr - g->mean * g->mean);
}

/* x such that lower x = b, of the first n rows */
static void solve_lower(const struct gauss *g, const double *b, double *x)
{
	for (size_t i = 0; i < g->nr; i++) {
		double sum = b[i];

		for (size_t k = 0; k < i; k++)
			sum -= g->lower[i][k] * x[k];
		x[i] = sum / g->lower[i][i];
	}
}

int gauss_fit(struct gauss *g)
{
	double y[GAUSS_POINTS_MAX] = {0}, half[GAUSS_POINTS_MAX] = {0};

	moments(g);
	for (size_t i = 0; i < g->nr; i++)
		for (size_t j = 0; j <= i; j++) {
			double sum = kernel(g, g->x[i], g->x[j]) + (i == j ? g->noise : 0);

			for (size_t k = 0; k < j; k++)
				sum -= g->lower[i][k] * g->lower[j][k];
			if (i == j && !(sum > 0))
				return -EDOM;
			g->lower[i][j] = i == j ? sqrt(sum) : sum / g->lower[j][j];
		}
	for (size_t i = 0; i < g->nr; i++)
		y[i] = g->y[i] - g->mean;
	solve_lower(g, y, half);
	for (size_t i = g->nr; i-- > 0;) {
		double sum = half[i];

		for (size_t k = i + 1; k < g->nr; k++)
			sum -= g->lower[k][i] * g->weights[k];
		g->weights[i] = sum / g->lower[i][i];
	}
	return 0;
}

double gauss_likelihood(const struct gauss *g)
{
	double sum = 0;

	for (size_t i = 0; i < g->nr; i++)
		sum -= 0.5 * (g->y[i] - g->mean) * g->weights[i] + log(g->lower[i][i]);
	return sum;
}

#define NR_LENGTHS 4
static int set_lengths(struct gauss *g, size_t kinds, size_t which)
{
	static const double lengths[NR_LENGTHS] = {0.08, 0.2, 0.6, 3};

	for (size_t k = 0; k < kinds; k++, which /= NR_LENGTHS)
		for (size_t d = k; d < g->dims; d += kinds)
			g->length[d] = lengths[which % NR_LENGTHS];
	return gauss_fit(g);
}

int gauss_fit_lengths(struct gauss *g, size_t kinds)
{
	size_t all = 1, chosen = 0;
	double most = -INFINITY;

	for (size_t k = 0; k < kinds; k++)
		all *= NR_LENGTHS;
	for (size_t i = 0; i < all; i++) {
		double likely;

		if (set_lengths(g, kinds, i) < 0)
			continue;
		likely = gauss_likelihood(g);
		if (likely > most) {
			most = likely;
			chosen = i;
		}
	}
	return isfinite(most) ? set_lengths(g, kinds, chosen) : -EDOM;
}

void gauss_at(const struct gauss *g, const double *x, double *ret_mean, double *ret_deviation)
{
	double k[GAUSS_POINTS_MAX] = {0}, v[GAUSS_POINTS_MAX] = {0};
	double mean = g->mean, variance = g->variance;

	for (size_t i = 0; i < g->nr; i++) {
		k[i] = kernel(g, g->x[i], x);
		mean += k[i] * g->weights[i];
	}
	solve_lower(g, k, v);
	for (size_t i = 0; i < g->nr; i++)
		variance -= v[i] * v[i];
	*ret_mean = mean;
	*ret_deviation = sqrt(fmax(0, variance));
}

double gauss_expected(double mean, double deviation, double best, double zeta)
{
	double z;

	if (deviation < 1e-9)
		return fmax(0, mean - best - zeta);
	z = (mean - best - zeta) / deviation;
	return (mean - best - zeta) * 0.5 * erfc(-z / M_SQRT2) +
	       deviation * exp(-z * z / 2) / sqrt(2 * M_PI);
}

double gauss_improvement(const struct gauss *g, const double *x, double best, double zeta)
{
	double mean, deviation;

	gauss_at(g, x, &mean, &deviation);
	return gauss_expected(mean, deviation, best, zeta);
}
