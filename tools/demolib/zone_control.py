# SPDX-License-Identifier: MIT
"""czd with VM zones, and what the zones demo asks of it: through czctl, as a user would."""
import json
import os
import shutil
import subprocess
import tempfile

from .control import Control, Failed

CACHE = os.environ.get("CZ_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "control-zone")
DEPS = os.path.join(CACHE, "deps")
MACHINE = {"CZ_KERNEL": f"{DEPS}/kernel/vmlinux",
           "CZ_QEMU": f"{DEPS}/qemu/usr/bin/qemu-system-x86_64",
           "CZ_QEMU_DATA": f"{DEPS}/qemu/usr/share/qemu",
           "CZ_VIRTIOFSD": f"{DEPS}/virtiofsd/virtiofsd"}
WAIT_S = 180


class ZoneControl(Control):
    def __init__(self, programs, run_dir, processes):
        super().__init__(programs, run_dir, processes)
        missing = [path for path in MACHINE.values() if not os.path.exists(path)]
        if missing:
            raise Failed(f"{missing[0]} is missing: ./dev setup fetches it")
        os.environ.update(MACHINE)  # for czd, which we start
        # What the guests get of us: the load generator, in a place that may be shared.
        self.shared = tempfile.mkdtemp(prefix="cz-demo.", dir="/var/tmp")
        os.chmod(self.shared, 0o755)
        for name in ("cz-load", "scx-exclusive", "scx-vtime"):
            shutil.copy2(self.program(name), self.shared)

    def czd_arguments(self):
        return ["--libexec", os.path.abspath(self.programs)]

    def ask(self, *words, timeout_s=WAIT_S):
        done = subprocess.run(self.argv("-o", "json", *words), capture_output=True, text=True,
                              timeout=timeout_s, check=False)
        if done.returncode != 0:
            raise Failed(f"czctl {' '.join(words)}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def apply(self, text):
        path = os.path.join(self.run_dir, "zone.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return self.ask("apply", "-f", path, "--wait")

    def inside(self, zone, *words, timeout_s=WAIT_S, text=None):
        """A command in the guest; what it printed."""
        done = subprocess.run(self.argv("exec", zone, "--", *words), capture_output=True, text=True,
                              timeout=timeout_s, check=False, input=text)
        if done.returncode != 0:
            raise Failed(f"{' '.join(words)} in {zone}: exit {done.returncode}: "
                         + (done.stderr or done.stdout).strip()[-300:])
        return done.stdout

    def start_inside(self, name, zone, *words):
        return self.processes.start(name, self.argv("exec", zone, "--", *words), keep_output=True)

    def uptime_ms(self, zone):
        return 1000 * float(self.inside(zone, "cat", "/proc/uptime").split()[0])

    def clean_up(self):
        shutil.rmtree(self.shared, ignore_errors=True)
