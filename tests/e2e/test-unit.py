#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# cases: by name
"""czd.service: what systemd says to it, and whether zones can live with what it takes from czd and them."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check  # noqa: E402

UNIT = os.path.join(live.TOP, "packaging/czd.service.in")
# An app that runs as root, as a web server begins: a port below 1024.
APP = "import socket, time; s = socket.socket(); s.bind(('127.81.0.1', 81)); s.listen(); print('up', flush=True); time.sleep(600)"


def settings():
    """{name: values of all its lines}, as the unit has them."""
    found = {}
    for line in live.read(UNIT).splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name] = f"{found.get(name, '')} {value}".strip()
    return found


def systemd_reads_it():
    with tempfile.TemporaryDirectory() as root:
        for folder in ("usr/sbin", "bin", "etc/systemd/system"):
            os.makedirs(f"{root}/{folder}")
        live.write(f"{root}/etc/systemd/system/czd.service", live.read(UNIT).replace("@sbindir@", "/usr/sbin") + "\n")
        for name in ("sysinit", "basic", "multi-user", "shutdown"):
            live.write(f"{root}/etc/systemd/system/{name}.target", "[Unit]\nDescription=stand-in\n")
        for program in ("usr/sbin/czd", "bin/kill"):
            live.write(f"{root}/{program}", "")
            os.chmod(f"{root}/{program}", 0o755)
        done = subprocess.run(["systemd-analyze", f"--root={root}", "--man=no", "verify", "czd.service"],
                              capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "czd" in line]
    check(done.returncode == 0 and not said, f"exit {done.returncode}: {done.stdout}{done.stderr}")


def zones_live_with_it():
    """czd with the capabilities that the unit leaves, and first in line for the OOM killer instead of last (which would
    take CAP_SYS_RESOURCE): its zone is neither."""
    caps = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in settings()["CapabilityBoundingSet"].split())
    czd = live.Czd("tick: 200ms\n", ["--no-bpf"])
    czd.arguments[:0] = ["setpriv", f"--bounding-set=-all,{caps}", "choom", "-n", "500", "--"]
    with czd:
        name = f"t{os.getpid()}-unit"
        live.write(spec := os.path.join(czd.folder, "zone.json"), json.dumps(
            {"apiVersion": "cz/v1", "kind": "Zone", "metadata": {"name": name}, "runtime": "cgroup",
             "apps": [{"name": "web", "command": ["/usr/bin/python3", "-c", APP]}]}))
        try:
            done = czd.czctl("apply", "--wait", "-f", spec)
            check(done.returncode == 0, done.stdout + done.stderr)
            web = live.wait_for(lambda: czd.request("zone-show", name=name)["apps"][0]["pid"], 5, "the app's pid")
            live.wait_for(lambda: "up" in czd.czctl("log", name, "--app", "web").stdout, 5, "the app listens")
            check(live.read(f"/proc/{czd.worker_pid()}/oom_score_adj") == "500", "czd's own was not set")
            check(live.read(f"/proc/{web}/oom_score_adj") == "0", "a zone has czd's oom_score_adj")
        finally:
            czd.request("zone-remove", name=name, force=True)
            live.wait_for(lambda: not czd.request("zone-list")["applied"], 10, "the zone is gone")


if __name__ == "__main__":
    live.need_root()
    live.raise_on_signals()
    sys.exit(live.run_cases([systemd_reads_it, zones_live_with_it],
                            (AssertionError, live.RequestError, OSError, TimeoutError, subprocess.SubprocessError)))
