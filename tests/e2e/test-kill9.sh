#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 300
# guest: yes
# The short form of ./dev soak; in an emulated guest each start of czd takes seconds.
set -- --worker 20 --both 5
[ -z "${CZ_GUEST:-}" ] || set -- --worker 6 --both 2
exec "$(dirname "$0")/../soak/kill9.py" "$@"
