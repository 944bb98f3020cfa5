/* SPDX-License-Identifier: MIT */
/*
 * Text -> numbers and back. All parsers take the whole string, refuse trailing text, and return 0,
 * -EINVAL (not such a value) or -ERANGE (too large); *ret is set only on success. No locale.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

must_check int parse_u64(const char *s, uint64_t *ret);
must_check int parse_i64(const char *s, int64_t *ret);
must_check int parse_u32(const char *s, uint32_t *ret);
/* "500us", "1.5ms", "10m", "2h", "4s", "250ns": a unit is required (0 alone is allowed). */
must_check int parse_duration_ns(const char *s, uint64_t *ret_ns);
/* "4096", "64K", "1.5M", "2G", "1T" (binary multiples, optional "i", "iB" or "B"). */
must_check int parse_size_bytes(const char *s, uint64_t *ret_bytes);
/* "12.5%" -> 125000; "0.125" -> 125000. Range 0..100 %. */
must_check int parse_ratio_ppm(const char *s, uint32_t *ret_ppm);
/* CPU time: "1.5" CPUs, "150%" of one, "1500m" thousandths of one: 1500000 ppm. */
must_check int parse_cpus_ppm(const char *s, uint64_t *ret_ppm);

/* "KEY=VALUE,KEY=VALUE": each is given to set(), until it refuses one. form: how one looks, for the
 * error's sentence. */
must_check int parse_pairs(const char *text, const char *form,
			   int (*set)(void *arg, const char *key, char *value,
				      struct error *reterr),
			   void *arg, struct error *reterr);

/* For people: 3 significant digits, "4.13 ms", "328 us", "12 s", "10 m"; buf >= 16. Returns buf. */
char *format_duration(uint64_t ns, char *buf, size_t size);
/* "23.5 GiB", "512 B". */
char *format_bytes(uint64_t bytes, char *buf, size_t size);
/* ppm -> "97.1 %". */
char *format_ppm(uint64_t ppm, char *buf, size_t size);
/* Waiting per wall time: "24.8 % of the time"; above 100 % it says why that can be. buf >= 64. */
char *format_share(uint64_t ppm, char *buf, size_t size);

/* Non-destructive field walk over kernel text: next u64 in [*p, end), skipping blanks. */
must_check int scan_u64(const char **p, const char *end, uint64_t *ret);
