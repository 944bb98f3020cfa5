#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 300
# The short form of ./dev soak zones.
exec "$(dirname "$0")/../soak/zones.py" --rounds 10
