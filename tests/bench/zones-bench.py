#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an idle zone costs czd: its CPU time (keeper and worker) with ten idle zones of runtime cgroup, and
with one idle machine, each less what it takes without zones before and after. Not on a host full of others' cgroups."""
import argparse
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
import vmzone  # noqa: E402

ZONES = 10
SETTLE_S, BOOT_S = 4, 90
PIECES = 5
FOREIGN_MAX = 300  # cgroups of others: with 10,000 of them czd takes 45,000 ppm, and one zone some 250
MACHINE = {"CZ_KERNEL": vmzone.KERNEL, "CZ_QEMU": vmzone.QEMU, "CZ_QEMU_DATA": os.path.join(vmzone.DEPS, "qemu/usr/share/qemu"),
           "CZ_VIRTIOFSD": vmzone.VIRTIOFSD}


def say(text):
    print(f"   {text}", file=sys.stderr, flush=True)


def cpu_ns(pids):
    return sum(int(live.read(f"/proc/{pid}/schedstat").split()[0]) for pid in pids)


def czd_ppm(czd, seconds):
    """Of one CPU, in the middle one of PIECES over that time: what others do to the host's cgroups comes in bursts."""
    time.sleep(SETTLE_S)
    pids, pieces = [czd.keeper.pid, czd.worker_pid()], []
    for _ in range(PIECES):
        before, start = cpu_ns(pids), time.monotonic_ns()
        time.sleep(seconds / PIECES)
        pieces.append(1e6 * (cpu_ns(pids) - before) / (time.monotonic_ns() - start))
    return statistics.median(pieces)


def spec(name, **more):
    return {"apiVersion": "cz/v1", "kind": "Zone", "metadata": {"name": name},
            "apps": [{"name": "sleeper", "command": ["sleep", "3600"]}]} | more


def alone(czd, seconds):
    """What czd takes without zones of ours, and how many cgroups it follows then."""
    return czd_ppm(czd, seconds), czd.request("doctor")["self"]["zones"]


class With:
    """These zones run within, and are gone after."""

    def __init__(self, czd, specs):
        self.czd, self.specs = czd, specs

    def __enter__(self):
        for one in self.specs:
            self.czd.request("zone-apply", spec=one)
        live.wait_for(lambda: all(zone["phase"] == "running" for zone in self.czd.request("zone-list")["applied"]), BOOT_S, "the zones run")

    def __exit__(self, *_):
        for zone in self.czd.request("zone-list")["applied"]:
            self.czd.request("zone-remove", name=zone["name"], force=True)
        live.wait_for(lambda: not self.czd.request("zone-list")["applied"], 20, "the zones are gone")


def measure(czd, seconds):
    name = f"bench{os.getpid()}"
    groups = [spec(f"{name}-{i}", runtime="cgroup") for i in range(ZONES)]
    machine = [spec(name, runtime="vm", os={"accel": "tcg", "rootfs": "host"}, resource={"vcpus": 1, "memory": "256Mi"})]
    without = [alone(czd, seconds)]
    with With(czd, groups):
        of_groups = czd_ppm(czd, seconds)
    without.append(alone(czd, seconds))
    with With(czd, machine):
        of_machine = czd_ppm(czd, seconds)
    without.append(alone(czd, seconds))
    base = min(ppm for ppm, _ in without)  # what others do only adds: the greater ones would flatter
    say(f"czd: {', '.join(f'{ppm:.0f} ppm ({nr} cgroups)' for ppm, nr in without)} without zones; {of_groups:.0f} with {ZONES} of runtime cgroup, "
        f"{of_machine:.0f} with a machine")
    if max(nr for _, nr in without) > FOREIGN_MAX:
        raise RuntimeError(f"this host has more than {FOREIGN_MAX} cgroups of others: what czd does for these hides what an idle zone costs")
    return max(0, (of_groups - base) / ZONES), max(0, of_machine - base)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    live.need_root()
    live.raise_on_signals()
    if vmzone.missing():
        live.skip(vmzone.missing())
    os.environ.update(MACHINE)
    with live.Czd("", ["--libexec", live.BIN]) as czd:
        group, machine = measure(czd, args.seconds)
    print(json.dumps({"idle_zone_czd_cpu_ppm": round(max(group, machine)), "idle_cgroup_zone_czd_cpu_ppm": round(group),
                      "idle_vm_zone_czd_cpu_ppm": round(machine)}))


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, TimeoutError, OSError, live.RequestError) as failure:
        sys.exit(f"zones: {failure}")
