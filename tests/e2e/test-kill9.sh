#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 300
# guest: yes
# The short form of ./dev soak.
exec "$(dirname "$0")/../soak/kill9.py" --worker 10 --both 3
