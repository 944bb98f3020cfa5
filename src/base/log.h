/* SPDX-License-Identifier: MIT */
/*
 * Logging to stderr with syslog priorities ("<4>text" when not on a terminal, as systemd reads it).
 * Library code logs nothing above debug; the place where an error is handled logs it, once.
 */
#pragma once
#include "base/error.h"

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

void log_set_level(enum log_level level);
int log_level_from_name(const char *name, enum log_level *ret);
void log_msg(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_error(...)	log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)	log_msg(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_msg(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)
