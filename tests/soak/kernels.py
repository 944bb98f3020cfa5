#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds kernels for zones with czctl kernel build, boots a zone with each, and sees in it: tick and preemption, what
os.preempt changes, a scheduler loaded, and what a zone needs of its kernel. A kernel that is there is not built again; --again does."""
import argparse
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "accept"), os.path.join(HERE, "..", "lib")]
import live  # noqa: E402
from zonelab import main, say  # noqa: E402

NAME = "cz-soak-kernel"
FLAVOURS = {"responsive": (1000, "full"), "throughput": (100, "none lazy"), "stock": (250, "voluntary lazy")}
SPEC = """apiVersion: cz/v1
kind: Zone
metadata: {{name: {name}}}
runtime: vm
resource: {{vcpus: 2, memory: 512Mi}}
os: {{kernel: {kernel}, preempt: {preempt}, rootfs: host}}
"""
# The clock and the ticks that the kernel counts; it makes up for those it could not take.
TICKS = "sed -n 's/^now at \\([0-9]*\\) .*/\\1/p; s/^jiffies: \\([0-9]*\\)/\\1/p' /proc/timer_list | head -n 2"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--kernels", required=True, help="where kernels go")
    parser.add_argument("--work", required=True, help="for source and objects")
    parser.add_argument("--again", action="store_true", help="build also what is there")
    parser.add_argument("flavour", nargs="*", help=f"of {', '.join(FLAVOURS)}; default: all")
    args = parser.parse_args()
    if not set(args.flavour) <= set(FLAVOURS):
        parser.error("no such flavour")
    return args


def build(args, flavour):
    if args.again or not os.path.exists(os.path.join(args.kernels, flavour)):
        subprocess.run([os.path.join(args.bin, "czctl"), "kernel", "build", flavour, "--dir", args.kernels, "--work", args.work],
                       env=dict(os.environ, CZ_LIBEXEC=args.bin), check=True)


def boot(lab, zone, flavour, preempt):
    lab.control.ask("apply", "-f", lab.file(SPEC.format(name=NAME, kernel=flavour, preempt=preempt)), "--reboot", "--wait")
    said = zone.inside("cat", "/sys/kernel/debug/sched/preempt").strip()
    return said, re.search(r"\((\w+)\)", said)[1]


def ticks_per_s(zone):
    from_ns, before, to_ns, after = map(int, zone.inside("sh", "-c", f"{TICKS}; sleep 3; {TICKS}").split())
    return (after - before) / (to_ns - from_ns) * 1e9


def look(lab, zone, flavour):
    hz, preempts = FLAVOURS[flavour]
    said, in_force = boot(lab, zone, flavour, "kernel")
    shown = zone.shown()
    lab.check(shown["guest_kernel"].endswith(f"-zone-{flavour}"), f"{flavour}: boots {shown['guest_kernel']} in {shown['boot_ms']} ms")
    lab.check(in_force in preempts.split(), f"{flavour}: preemption {said}")
    lab.check(f"CONFIG_HZ={hz}\n" in zone.inside("zcat", "/proc/config.gz"), f"{flavour}: HZ {hz}")
    ticks = ticks_per_s(zone)
    lab.check(0.95 * hz <= ticks <= 1.05 * hz, f"{flavour}: {ticks:.0f} ticks/s counted")
    for policy in ("rr", "exclusive"):
        zone.policy(policy)
        lab.check(zone.ext_state() == "enabled", f"{flavour}: scx-{policy} is loaded")
    zone.policy("none")
    lab.check(zone.ext_state() == "disabled", f"{flavour}: and unloaded")
    for mode in said.replace("(", "").replace(")", "").split():
        lab.check(boot(lab, zone, flavour, mode)[1] == mode, f"{flavour}: preempt={mode} is in force")
    return f"{flavour}: boot {shown['boot_ms']} ms, {ticks:.0f} ticks/s, {said}"


def scenario(lab):
    zone, facts = lab.zone(NAME, "0-1", 2), []
    for flavour in ARGS.flavour or FLAVOURS:
        build(ARGS, flavour)
        facts.append(look(lab, zone, flavour))
        say(facts[-1])
    return "; ".join(facts)


if __name__ == "__main__":
    ARGS = arguments()
    live.BIN, os.environ["CZ_KERNELS"] = ARGS.bin, ARGS.kernels
    main(scenario)
