/* SPDX-License-Identifier: MIT */
#include "bench/sine.h"

#include <math.h>

#define POINTS_MIN   4
#define VARIANCE_MIN 1e-12 /* shares that differ by less than a millionth do not vary */

static double angle(const struct sine *s, double t_ns)
{
	return 2 * M_PI * fmod(t_ns, (double)s->period_ns) / (double)s->period_ns;
}

uint64_t sine_demand_ns(const struct sine *s, uint64_t at_ns, uint64_t slot_ns)
{
	double mid = (double)at_ns + (double)slot_ns / 2;
	double low = s->min_ppm / 1e6, high = s->max_ppm / 1e6;
	double share = low + (high - low) * (1 - cos(angle(s, mid))) / 2;

	return (uint64_t)llround(share * (double)slot_ns);
}

static double demanded(const struct sine_point *p)
{
	return (double)p->demanded_ns / (double)p->length_ns;
}

static double achieved(const struct sine_point *p)
{
	return (double)p->achieved_ns / (double)p->length_ns;
}

static double correlation(const struct sine_point *points, size_t nr)
{
	double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;

	for (size_t i = 0; i < nr; i++) {
		mean_x += demanded(&points[i]) / (double)nr;
		mean_y += achieved(&points[i]) / (double)nr;
	}
	for (size_t i = 0; i < nr; i++) {
		double x = demanded(&points[i]) - mean_x, y = achieved(&points[i]) - mean_y;

		xx += x * x;
		yy += y * y;
		xy += x * y;
	}
	return fmin(xx, yy) > VARIANCE_MIN * (double)nr ? xy / sqrt(xx * yy) : NAN;
}

/* Gauss elimination with pivoting of a 3 x 4 system; false when singular. */
static int solve3(double a[3][4], double x[3])
{
	for (int col = 0; col < 3; col++) {
		int pivot = col;

		for (int row = col + 1; row < 3; row++) {
			if (fabs(a[row][col]) > fabs(a[pivot][col]))
				pivot = row;
		}
		if (fabs(a[pivot][col]) < 1e-9)
			return 0;
		for (int k = 0; k < 4; k++) {
			double swap = a[col][k];

			a[col][k] = a[pivot][k];
			a[pivot][k] = swap;
		}
		for (int row = 0; row < 3; row++) {
			double f = row == col ? 0 : a[row][col] / a[col][col];

			for (int k = 0; k < 4; k++)
				a[row][k] -= f * a[col][k];
		}
	}
	for (int i = 0; i < 3; i++)
		x[i] = a[i][3] / a[i][i];
	return 1;
}

/* y = c + a cos + b sin of the known period, by least squares: sqrt(a^2 + b^2). */
static double amplitude(const struct sine *s, const struct sine_point *points, size_t nr,
			double (*value)(const struct sine_point *))
{
	double m[3][4] = {0}, x[3];

	for (size_t i = 0; i < nr; i++) {
		double w = angle(s, (double)points[i].start_ns + (double)points[i].length_ns / 2);
		double basis[4] = {1, cos(w), sin(w), value(&points[i])};

		for (int row = 0; row < 3; row++) {
			for (int col = 0; col < 4; col++)
				m[row][col] += basis[row] * basis[col] / (double)nr;
		}
	}
	return solve3(m, x) ? hypot(x[1], x[2]) : NAN;
}

void sine_fit(const struct sine *s, const struct sine_point *points, size_t nr,
	      struct sine_fit *ret)
{
	double want = 0, unmet = 0;

	*ret = (struct sine_fit){NAN, NAN, NAN, NAN, 0, NAN};
	for (size_t i = 0; i < nr; i++) {
		double missing = (double)points[i].demanded_ns - (double)points[i].achieved_ns;

		want += (double)points[i].demanded_ns;
		unmet += missing > 0 ? missing : 0;
		ret->max_share = fmax(ret->max_share, achieved(&points[i]));
	}
	if (want > 0)
		ret->unmet_ratio = unmet / want;
	if (nr < POINTS_MIN)
		return;
	ret->correlation = correlation(points, nr);
	ret->demanded_amplitude = amplitude(s, points, nr, demanded);
	ret->achieved_amplitude = amplitude(s, points, nr, achieved);
	if (ret->demanded_amplitude > 1e-6)
		ret->amplitude_ratio = ret->achieved_amplitude / ret->demanded_amplitude;
}
