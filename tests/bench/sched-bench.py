#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a scheduler costs before it runs: the verifier's work (instructions, and loading as a whole), attaching and
detaching, the median of ten, each policy on its own in one guest. An emulated guest is several times slower than a
machine: compare policies and versions, not machines."""
import json
import os
import subprocess
import sys

TOP = os.environ.get("CZ_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    child = subprocess.run([os.path.join(TOP, "tests", "guest", "test-sched"), "--bench"], stdout=subprocess.PIPE,
                           text=True, check=False)
    print(child.stdout, file=sys.stderr, end="")
    lines = child.stdout.splitlines()
    if child.returncode == 77:
        print(f"SKIP: {lines[-1] if lines else 'no guest can run'}")
    if child.returncode:
        return child.returncode
    result = {}
    with open(os.path.join(TOP, "build", "test", "sched.json"), encoding="ascii") as file:
        measured = json.load(file)
    for policy, values in measured.items():
        result[f"sched_{policy}_insns"] = values["insns"]
        result[f"sched_{policy}_verify_ns"] = round(values["verify_ms"] * 1e6)
        result[f"sched_{policy}_switch_ns"] = round((values["attach_ms"] + values["detach_ms"]) * 1e6)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
