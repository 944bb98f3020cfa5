#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 60
# cases: by name
"""tests/run itself, on small tests in a folder of their own: what has a second run, what has none, what is
said of it, and what runs beside another."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check  # noqa: E402

# fails in its first run
ONCE = 'if mkdir "$0.ran" 2>/dev/null; then {}; fi\n'


def run(unit=None, **scripts):
    """Exit code and lines of a run of these e2e scripts and the unit test."""
    with tempfile.TemporaryDirectory(prefix="cz-runner-") as top:
        os.makedirs(f"{top}/tests/e2e")
        os.makedirs(f"{top}/build/main/meson-info")
        shutil.copy(os.path.join(live.TOP, "tests/run"), f"{top}/tests/run")
        for path, text in [(f"{top}/tests/e2e/test-{name}", text) for name, text in scripts.items()] + [(f"{top}/unit", unit or "")]:
            with open(path, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n" + text)
            os.chmod(path, 0o755)
        known = [{"name": "u", "suite": ["unit"], "cmd": [f"{top}/unit"], "timeout": 10, "env": {}, "workdir": top}]
        with open(f"{top}/build/main/meson-info/intro-tests.json", "w", encoding="utf-8") as file:
            json.dump(known if unit else [], file)
        done = subprocess.run([f"{top}/tests/run", "--suite", "e2e", "--suite", "unit"], capture_output=True, text=True, timeout=50, check=False)
        return done.returncode, done.stdout.splitlines()


def expect(got, code, *lines):
    check(got[0] == code, f"exit {got[0]}: {got[1]}")
    for line in lines:
        check(line in got[1], f"no '{line}' in {got[1]}")


def a_case_that_was_late():
    got = run(a="echo case ok steady 1\n" + ONCE.format("echo case FAIL slow 2 - not within 5 s; exit 1") + "echo case ok slow 1\n")
    expect(got, 0, "ok   e2e/steady (1.0 s)", "late e2e/slow (2.0 s) - not within 5 s", "ok   e2e/slow (second run; the first: not within 5 s)",
           "1 needed a second run: e2e/slow", "2 passed, 0 failed, 0 skipped")
    check(len([line for line in got[1] if "e2e/steady" in line]) == 1, f"{got}")


def only_what_failed_runs_again():
    got = run(a="# cases: by name\ncase $* in '') echo case ok steady 1; echo case FAIL slow 2 - not within 5 s; exit 1;; slow) echo case ok slow 1;; *) exit 9;; esac\n")
    expect(got, 0, "ok   e2e/steady (1.0 s)", "ok   e2e/slow (second run; the first: not within 5 s)", "2 passed, 0 failed, 0 skipped")


def a_test_that_died():
    got = run(a=ONCE.format("exit 3") + "echo case ok one 1\n", b="exit 0\n")
    expect(got, 0, "ok   e2e/a (second run; the first: exit 3)", "1 needed a second run: e2e/a", "3 passed, 0 failed, 0 skipped")


def two_failures():
    got = run(a="echo case FAIL slow 2 - not within 5 s; exit 1\n")
    expect(got, 1, "FAIL e2e/slow (2.0 s) - not within 5 s", "0 passed, 1 failed, 0 skipped")
    # another case fails in the second run
    got = run(a=ONCE.format("echo case FAIL x 1; echo case ok y 1; exit 1") + "echo case ok x 1; echo case FAIL y 1; exit 1\n")
    expect(got, 1, "FAIL e2e/y (1.0 s)", "1 passed, 1 failed, 0 skipped")


def faults_have_no_second_run():
    expect(run(unit=ONCE.format("exit 1")), 1, "0 passed, 1 failed, 0 skipped")
    expect(run(a=ONCE.format("echo ==1==ERROR: AddressSanitizer: heap-use-after-free; exit 99")), 1, "0 passed, 1 failed, 0 skipped")


def two_beside_each_other():
    """Each waits for the other; what one of them leaves behind is found in the end."""
    meet = '# beside: yes\ntouch "$0.here"; n=0; until [ -e "$(dirname "$0")/test-{}.here" ]; do sleep 0.05; n=$((n + 1)); [ $n -lt 400 ] || exit 1; done\n'
    got = run(a=meet.format("b"), b=meet.format("a"), c="exit 0\n")
    expect(got, 0, "3 passed, 0 failed, 0 skipped")
    got = run(a=meet.format("b") + "setsid sleep 321 &\n", b=meet.format("a"))
    expect(got, 1, "2 passed, 1 failed, 0 skipped")
    check(any(line.startswith("FAIL e2e/a+e2e/b:leftovers") and "sleep 321" in line for line in got[1]), f"{got}")


if __name__ == "__main__":
    sys.exit(live.run_cases([a_case_that_was_late, only_what_failed_runs_again, a_test_that_died, two_failures, faults_have_no_second_run, two_beside_each_other],
                            (AssertionError, OSError, subprocess.SubprocessError)))
