#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Creates, starts, stops and removes zones in random order while czd, cz-run, cz-vm and QEMU are killed
with SIGKILL at random moments, also in the middle of a start or a stop. After each round all zones are
removed, and nothing may be left: no process, no cgroup, no file, no network device, no fd of czd's. At
the end czd's memory must not have grown over zones that came and went."""
import argparse
import glob
import json
import os
import random
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
import vmzone  # noqa: E402

CONFIG = "tick: 200ms\n"
GONE_S = 20
BOOT_S = 60
VM_EVERY = 4            # one round in so many has a virtual machine
KEEPER_S = 25           # the keeper starts a worker three times a minute; this seldom it is asked to
CYCLES, WARM = 40, 15   # of one zone within one life of czd
RSS_GROWTH_KIB = 512
APPS = ({"name": "sleeper", "command": ["sleep", "3600"]},
        {"name": "family", "command": ["sh", "-c", "sleep 3600 & sleep 3600 & wait"]},
        {"name": "stubborn", "command": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]},
        {"name": "faulty", "command": ["sh", "-c", "sleep 0.2; exit 3"], "restart": "on-failure"})
MACHINE = {"CZ_KERNEL": vmzone.KERNEL, "CZ_QEMU": vmzone.QEMU, "CZ_QEMU_DATA": os.path.join(vmzone.DEPS, "qemu/usr/share/qemu"),
           "CZ_VIRTIOFSD": vmzone.VIRTIOFSD}


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Soak:
    def __init__(self, czd, picker):
        self.czd, self.picker, self.prefix = czd, picker, f"soak{os.getpid()}-"
        self.counts, self.worker_killed = {}, 0.0
        self.devices = set(os.listdir("/sys/class/net"))
        self.files = self.all_files()
        self.fds = live.wait_for(self.settled_fds, 10, "czd's fds settle")
        self.started = []  # connections whose answers nobody reads

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    # --- what is there

    def all_files(self):
        return {os.path.relpath(os.path.join(where, name), self.czd.folder)
                for where, folders, names in os.walk(self.czd.folder) for name in folders + names}

    def nr_fds(self):
        """Of czd, without those of cgroups that others come and go with on this host."""
        folder, found = f"/proc/{self.czd.worker_pid()}/fd", 0
        for fd in os.listdir(folder):
            try:
                where = os.readlink(f"{folder}/{fd}")
            except OSError:
                continue
            found += not where.startswith(live.CGROUP) or self.prefix in where
        return found

    def settled_fds(self):
        first = self.nr_fds()
        time.sleep(0.3)
        return first if first == self.nr_fds() else None

    def rss_kib(self):
        status = live.read(f"/proc/{self.czd.worker_pid()}/status")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def processes(self):
        """Those of our zones: by cgroup, or by what they were started with."""
        found = []
        for folder in glob.glob("/proc/[0-9]*"):
            try:
                if f"/cz-zones/{self.prefix}" in live.read(f"{folder}/cgroup") or f"zones/{self.prefix}" in live.read(f"{folder}/cmdline"):
                    if live.alive(os.path.basename(folder)):
                        found.append(f"process {os.path.basename(folder)} {live.read(f'{folder}/comm')}")
            except OSError:
                pass
        return found

    def leftovers(self):
        found = self.processes()
        found += [f"cgroup {path}" for root in live.hierarchies() for path in glob.glob(os.path.join(root, "cz-zones", f"{self.prefix}*"))]
        found += [f"file {name}" for name in sorted(self.all_files() - self.files) if name != "run/journal"]
        found += [f"device {name}" for name in sorted(set(os.listdir("/sys/class/net")) - self.devices)]
        return found

    # --- czd

    def ensure_czd(self):
        if self.czd.keeper.poll() is not None:
            self.czd.start()

        def answers():
            try:
                return self.czd.request("version")
            except (OSError, live.RequestError):
                return None
        live.wait_for(answers, 20, "czd answers")

    def kill_czd(self):
        """The worker alone, for the keeper to start another, or both at once."""
        try:
            worker = self.czd.worker_pid()
        except (OSError, live.RequestError):
            return
        if time.monotonic() - self.worker_killed > KEEPER_S and self.picker.random() < 0.3:
            self.worker_killed = time.monotonic()
            self.count("kills of czd's worker")
            kill(worker)
            live.wait_for(lambda: not live.alive(worker), 10, "the worker is gone")
        else:
            self.count("kills of czd")
            for pid in (self.czd.keeper.pid, worker):
                kill(pid)
            self.czd.keeper.wait()
            live.wait_for(lambda: not live.alive(worker), 10, "the worker is gone")
        time.sleep(self.picker.random() / 4)
        self.ensure_czd()

    def ask(self, verb, **arguments):
        """What is refused is refused: any order is tried."""
        try:
            return self.czd.request(verb, **arguments)
        except live.RequestError as refusal:
            self.count("refusals")
            return {"refused": str(refusal)}
        except OSError:
            return {}

    def fire(self, verb, **arguments):
        """Asks, and does not wait for the answer."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self.czd.socket_path)
            connection.sendall(json.dumps({"id": 1, "verb": verb, "args": arguments}).encode() + b"\n")
        except OSError:
            pass
        self.started.append(connection)

    # --- one round

    def spec(self, name, machine):
        spec = {"apiVersion": "cz/v1", "kind": "Zone", "metadata": {"name": name}, "runtime": "vm" if machine else "cgroup",
                "restart": self.picker.choice(["never", "on-failure", "always"])}
        if machine:
            return spec | {"resource": {"vcpus": 1, "vcpusMax": 2, "memory": "192Mi", "memoryMax": "256Mi", "net": {"mode": "user"}},
                           "os": {"accel": "tcg", "rootfs": "host"}, "apps": [{"name": "sleeper", "command": ["sleep", "3600"]}]}
        apps = self.picker.sample(APPS, self.picker.randint(1, len(APPS)))
        return spec | {"apps": apps, "resource": self.picker.choice([{}, {"cpuset": "0", "memory": "128Mi"}, {"cpu": {"max": "50%"}}])}

    def supervisor(self, name):
        return self.ask("zone-show", name=name).get("pid") or 0

    def victim(self, name):
        """A process of the zone: its supervisor, or QEMU, virtiofsd or an app below it."""
        supervisor = self.supervisor(name)
        below = live.children(supervisor) if supervisor > 1 else []
        if below and self.picker.random() < 0.5:
            self.count("kills of what a supervisor holds")
            return self.picker.choice(below)
        if supervisor > 1:
            self.count("kills of supervisors")
        return supervisor

    def step(self, name, machine):
        verb = self.picker.choice(["zone-create", "zone-apply", "zone-start", "zone-start", "zone-stop", "zone-remove", "zone-update"])
        arguments = {"name": name}
        if verb in ("zone-create", "zone-apply", "zone-update"):
            arguments = {"spec": self.spec(name, machine)}
            if verb == "zone-update":
                arguments["reboot"] = True
        elif verb == "zone-stop":
            arguments["grace_ns"] = self.picker.choice([0, 10**8, 2 * 10**9])
        elif verb == "zone-remove":
            arguments["force"] = self.picker.random() < 0.5
        self.count(verb)
        what = self.picker.random()
        if what < 0.5:
            self.ask(verb, **arguments)
            return
        self.fire(verb, **arguments)
        time.sleep(self.picker.random() ** 3 * (4 if machine else 0.3))
        if what < 0.7:
            self.kill_czd()
        else:
            pid = self.victim(name)
            if pid > 1:
                kill(pid)

    def round(self, machine, steps):
        names = [f"{self.prefix}{i}" for i in range(1 if machine else 3)]
        self.ask("zone-apply", spec=self.spec(names[0], machine))
        if machine and self.picker.random() < 0.6:
            live.wait_for(lambda: self.ask("zone-show", name=names[0]).get("phase") in ("running", "-"), BOOT_S, "the machine boots")
            self.count("machines booted")
        for _ in range(steps):
            self.step(self.picker.choice(names), machine)
            time.sleep(self.picker.random() ** 2 * (2 if machine else 0.3))
        self.clean_up()

    def clean_up(self):
        for connection in self.started:
            connection.close()
        self.started = []
        self.ensure_czd()
        for zone in self.czd.request("zone-list")["applied"]:
            self.czd.request("zone-remove", name=zone["name"], force=True)
        try:
            live.wait_for(lambda: not self.czd.request("zone-list")["applied"] and not self.leftovers(), GONE_S, "all is gone")
            live.wait_for(lambda: self.settled_fds() == self.fds, 10, "czd's fds are as before")
        except TimeoutError as late:
            raise RuntimeError(f"{late}\n  left: {self.leftovers()}\n  listed: {self.czd.request('zone-list')['applied']}\n"
                               f"  fds: {self.nr_fds()}, before {self.fds}\nczd's log:\n{self.czd.log_tail(60)}") from None

    def memory_stays(self):
        """Zones come and go within one life of czd: what it holds afterwards is what it held before."""
        name, first = f"{self.prefix}cycle", 0
        for i in range(CYCLES):
            self.czd.request("zone-apply", spec=self.spec(name, False))
            live.wait_for(lambda: self.czd.request("zone-show", name=name)["phase"] == "running", 10, "it runs")
            self.czd.request("zone-remove", name=name, force=True)
            live.wait_for(lambda: not self.czd.request("zone-list")["applied"], 10, "it is gone")
            if i == WARM:
                first = self.rss_kib()
        self.clean_up()
        grown = self.rss_kib() - first
        print(f"czd after {CYCLES} zones in one life: {self.rss_kib()} KiB, {grown:+d} KiB since the {WARM}th; {self.fds} fds", flush=True)
        if grown > RSS_GROWTH_KIB:
            raise RuntimeError(f"czd's memory grew by {grown} KiB, more than {RSS_GROWTH_KIB}")



def main():
    parser = argparse.ArgumentParser(prog="./dev soak zones", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=12, help="verbs a round; a round with a machine has a third")
    parser.add_argument("--seed", type=int, default=None, help="of all that is random (printed)")
    args = parser.parse_args()
    if args.bin:
        live.BIN = args.bin
    args.seed = random.randrange(1 << 32) if args.seed is None else args.seed
    live.need_root()
    live.raise_on_signals()
    os.environ.update(MACHINE)
    lacks = vmzone.missing()
    print(f"seed {args.seed}" + (f"; no machines: {lacks}" if lacks else ""), flush=True)
    with live.Czd(CONFIG, ["--libexec", live.BIN, "--no-bpf"]) as czd:
        soak = Soak(czd, random.Random(args.seed))
        try:
            for number in range(1, args.rounds + 1):
                machine = not lacks and number % VM_EVERY == 2
                start = time.monotonic()
                soak.round(machine, args.steps // 3 if machine else args.steps)
                print(f"round {number} of {args.rounds}{' (vm)' if machine else ''}: {time.monotonic() - start:.1f} s", flush=True)
            soak.memory_stays()
        finally:
            try:
                soak.clean_up()
            except (RuntimeError, OSError, TimeoutError, live.RequestError):
                pass  # the failure before it says more; the groups below
            for root in live.hierarchies():
                for path in glob.glob(os.path.join(root, "cz-zones", f"{soak.prefix}*")):
                    live.remove_tree(path)
    print(", ".join(f"{what} {number}" for what, number in sorted(soak.counts.items())))
    print("nothing was left behind")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, TimeoutError, OSError, live.RequestError) as failure:
        sys.exit(f"zones: {failure}")
    except KeyboardInterrupt:
        sys.exit("zones: interrupted; the zones are removed")
