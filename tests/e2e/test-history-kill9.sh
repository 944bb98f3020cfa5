#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 300
# The short form of ./dev soak gate.
exec "$(dirname "$0")/../soak/gate.py" --kills 6
