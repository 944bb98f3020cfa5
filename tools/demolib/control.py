# SPDX-License-Identifier: MIT
"""Starts and stops processes, and talks to czd the way a user does: through czctl."""
import ctypes
import json
import os
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
PRCTL = ctypes.CDLL(None).prctl  # looked up here: between fork and exec is no place for it


class Failed(Exception):
    """Something the demo cannot go on without; the text is for the user."""


class Processes:
    """All that was started here, and nothing else, ends with us: also when we are killed."""

    def __init__(self, log_dir):
        self.log_dir, self.running = log_dir, []

    def start(self, name, argv, cpus=None, keep_output=False):
        def before_exec():
            PRCTL(PR_SET_PDEATHSIG, signal.SIGTERM)
            if cpus:
                os.sched_setaffinity(0, cpus)
        with open(os.path.join(self.log_dir, name + ".log"), "ab") as log:
            # A session of its own: Ctrl-C is for the demo, which then stops things in order.
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log, text=True,
                                       stdout=subprocess.PIPE if keep_output else log,
                                       start_new_session=True, preexec_fn=before_exec)
        process.demo_name = name
        self.running.append(process)
        return process

    def finish(self, process, timeout_s):
        """Wait for it to end by itself; its output."""
        try:
            out, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.stop(process)
            raise Failed(f"{process.demo_name} did not end; {self.log_hint(process)}") from None
        self.running.remove(process)
        if process.returncode != 0:
            raise Failed(f"{process.demo_name} failed (exit {process.returncode}); "
                         + self.log_hint(process))
        return out

    def stop(self, process, timeout_s=10):
        """SIGTERM, then SIGKILL; returns what it printed."""
        if process in self.running:
            self.running.remove(process)
        out = None
        if process.poll() is None:
            process.terminate()
        try:
            out, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return out

    def stop_all(self):
        """Latest first, so that czd, which was first, sees the others go."""
        for process in reversed(list(self.running)):
            self.stop(process)

    def log_hint(self, process):
        path = os.path.join(self.log_dir, process.demo_name + ".log")
        with open(path, encoding="utf-8", errors="replace") as log:
            last = log.read().strip().splitlines()[-1:] or ["it said nothing"]
        return f"{path}: {last[0]}"


class Control:
    """czd, in a run directory of its own, and czctl."""

    def __init__(self, programs, run_dir, processes):
        self.programs, self.run_dir, self.processes = programs, run_dir, processes
        self.socket = os.path.join(run_dir, "czd.sock")
        self.czd = None

    def program(self, name):
        return os.path.join(self.programs, name)

    def start(self):
        config = os.path.join(self.run_dir, "czd.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write("mode: observe\n")
        self.czd = self.processes.start("czd", [self.program("czd"), "--run-dir", self.run_dir,
                                                "--config", config, *self.czd_arguments()])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.czd.poll() is not None:
                break
            if os.path.exists(self.socket) and self.try_call("version"):
                return
            time.sleep(0.1)
        raise Failed("czd did not come up; " + self.processes.log_hint(self.czd))

    def czd_arguments(self):
        return []

    def alive(self):
        return self.czd is not None and self.czd.poll() is None

    def argv(self, *words):
        return [self.program("czctl"), "--socket", self.socket, *words]

    def try_call(self, *words):
        done = subprocess.run(self.argv(*words, "-o", "json"), capture_output=True, text=True,
                              timeout=20, check=False)
        try:
            return json.loads(done.stdout) if done.stdout else None
        except ValueError:
            return None

    def call(self, *words):
        done = subprocess.run(self.argv(*words, "-o", "json"), capture_output=True, text=True,
                              timeout=20, check=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Failed(f"czctl {' '.join(words)}: exit {done.returncode}: "
                         + done.stderr.strip()) from None

    def text(self, *words):
        """What a user would see."""
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=20,
                              check=False, env={**os.environ, "COLUMNS": "80"})
        return done.stdout.strip()

    def run(self, name, zone_class, command, slo=None, keep_output=False):
        words = ["run", "--name", name, "--class", zone_class]
        words += ["--slo", slo] if slo else []
        return self.processes.start(name, self.argv(*words, "--", *command),
                                    keep_output=keep_output)
