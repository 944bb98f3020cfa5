#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 60
"""cz-work: every workload runs, ends on time or on a signal, and prints numbers that fit together."""
import json
import os
import signal
import subprocess
import time
import unittest

WORK = os.path.join(os.environ.get("CZ_BIN", "build/bin"), "cz-work")


def result(*args):
    done = subprocess.run([WORK, *args, "-o", "json", "-q"], capture_output=True, text=True,
                          timeout=30, check=True)
    return json.loads(done.stdout)


class Work(unittest.TestCase):
    def test_sine(self):
        got = result("sine", "--period", "2", "--report", "200ms", "--seconds", "4")
        self.assertEqual(len(got["intervals"]), 20)
        for key in ("demanded_ns", "achieved_ns", "units"):
            self.assertEqual(got[key], sum(i[key] for i in got["intervals"]))
        self.assertAlmostEqual(got["demanded_ns"] / 4e9, 0.5, delta=0.01)
        # A busy machine may take some; it never gets more than it asked for, but for one unit a slot.
        self.assertLess(got["achieved_ns"], got["demanded_ns"] * 1.02)
        self.assertGreater(got["units"], 1000)

    def test_sine_without_demand(self):
        got = result("sine", "--period", "1", "--report", "100ms", "--seconds", "1", "--min", "0",
                     "--max", "0")
        self.assertEqual(got["achieved_ns"], 0)
        self.assertIsNone(got["correlation"])
        self.assertIsNone(got["unmet_ratio"])

    def test_hog(self):
        got = result("hog", "--threads", "3", "--cpu", "0", "--seconds", "1", "--report", "250ms")
        self.assertLessEqual(got["share"], 1.05)  # three threads, one CPU
        self.assertLess(abs(got["wall_ns"] - 1e9), 0.5e9)
        self.assertGreaterEqual(got["first_work_mono_ns"], got["start_mono_ns"])
        self.assertGreaterEqual(len(got["intervals"]), 3)

    def test_chase(self):
        small = result("chase", "--size", "16K", "--seconds", "0.5")
        large = result("chase", "--size", "256M", "--seconds", "1")
        self.assertGreater(large["cpu_ns_per_access"], 3 * small["cpu_ns_per_access"])

    def test_stream(self):
        got = result("stream", "--size", "24M", "--seconds", "0.5")
        self.assertEqual(set(got["kernels"]), {"copy", "scale", "add", "triad"})
        for rate in got["kernels"].values():
            self.assertGreater(rate["best_mb_per_sec"], 100)
            self.assertGreaterEqual(rate["best_mb_per_sec"], rate["mean_mb_per_sec"])

    def test_signal_gives_the_result(self):
        for workload in ("sine", "hog", "chase", "stream"):
            process = subprocess.Popen([WORK, workload, "-o", "json", "-q"], text=True,
                                       stdout=subprocess.PIPE)
            time.sleep(0.4)
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            got = json.loads(process.communicate(timeout=10)[0])
            self.assertEqual(process.returncode, 0)
            self.assertEqual(got["workload"], workload)
            self.assertLess(time.monotonic() - start, 5)

    def test_usage(self):
        for args, text in ((["dance"], "no workload 'dance'"),
                           (["sine", "--min", "50%", "--max", "40%"], "--min is larger than --max"),
                           (["sine", "--period", "1"], "--report is longer than a quarter"),
                           (["hog", "--threads", "0"], "--threads: 0 is too small"),
                           (["hog", "--seed", "1"], "no option '--seed'"),
                           (["hog", "--cpu", "4000", "--seconds", "1"], "pin to CPU 4000")):
            done = subprocess.run([WORK, *args], capture_output=True, text=True, timeout=10)
            self.assertIn(text, done.stderr)
            self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
