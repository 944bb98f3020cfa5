# SPDX-License-Identifier: MIT
"""What the machine did meanwhile: CPU time per cgroup and CPU, steal, and the knobs of all cgroups.

On cgroup v1, cpuacct counts exactly per CPU. On a pure v2 host there is no such file: a zone's time
is charged to the CPU it is pinned to, and all use comes from /proc/stat."""
import os
import threading
import time

TICK_NS = 10 ** 9 // os.sysconf("SC_CLK_TCK")
KNOBS = ("cpu.idle", "cpu.shares", "cpu.weight", "cpu.cfs_quota_us", "cpu.cfs_period_us",
         "cpu.cfs_burst_us", "cpu.max", "cpu.max.burst", "cpuset.cpus", "freezer.state",
         "cgroup.freeze")


def read(path):
    """The file's text, or None: cgroups and processes go away at any time."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def mounts():
    """Controller name ("" for v2) -> mount point."""
    found = {}
    for line in (read("/proc/mounts") or "").splitlines():
        _, where, kind, options = line.split()[:4]
        if kind == "cgroup2":
            found.setdefault("", where)
        elif kind == "cgroup":
            for option in options.split(","):
                found.setdefault(option, where)
    return found


class Machine:
    def __init__(self):
        self.mounts = mounts()
        self.cpuacct = self.mounts.get("cpuacct")
        self.cpus = os.cpu_count()

    def dir_of(self, pid):
        """The accounting cgroup of a process, as a directory."""
        for line in (read(f"/proc/{pid}/cgroup") or "").splitlines():
            _, controllers, path = line.split(":", 2)
            if self.cpuacct and "cpuacct" in controllers.split(","):
                return self.cpuacct + path
            if not self.cpuacct and not controllers:
                return self.mounts[""] + path
        return None

    def group_usage(self, directory, cpu):
        """CPU time per CPU in ns, or None when the group is gone."""
        if self.cpuacct:
            text = read(directory + "/cpuacct.usage_percpu")
            return [int(word) for word in text.split()] if text else None
        text = read(directory + "/cpu.stat")
        if not text:
            return None
        usage = [0] * self.cpus
        usage[cpu] = int(dict(line.split() for line in text.splitlines())["usage_usec"]) * 1000
        return usage

    def all_usage(self):
        """(CPU time of everything, steal), per CPU in ns."""
        busy, steal = [0] * self.cpus, [0] * self.cpus
        for line in read("/proc/stat").splitlines():
            words = line.split()
            if words[0] == "cpu" or not words[0].startswith("cpu"):
                continue
            ticks = [int(word) for word in words[1:]]
            cpu = int(words[0][3:])
            busy[cpu] = (sum(ticks[:8]) - ticks[3] - ticks[4] - ticks[7]) * TICK_NS
            steal[cpu] = ticks[7] * TICK_NS
        if self.cpuacct:
            busy = [int(word) for word in read(self.cpuacct + "/cpuacct.usage_percpu").split()]
        return busy, steal

    def knobs(self):
        """Every knob of every cgroup: {(directory, file): text}."""
        found = {}
        for where in set(self.mounts.values()):
            for directory, _, files in os.walk(where):
                for name in KNOBS:
                    if name in files:
                        text = read(f"{directory}/{name}")
                        if text is not None:
                            found[directory, name] = text
        return found

    def leftovers(self):
        """Groups named cz-demo-* that still exist."""
        return sorted({os.path.join(where, name) for where in set(self.mounts.values())
                       for name in os.listdir(where) if name.startswith("cz-demo-")})


def knob_changes(before, after):
    """Knobs of groups that are in both and are not zones of anybody's tests, with other text."""
    return [{"path": path, "knob": name, "was": before[path, name].strip(),
             "is": after[path, name].strip()}
            for path, name in sorted(before)
            if (path, name) in after and "/cz-" not in path
            and after[path, name] != before[path, name]]


def process_cpu_ns(pid):
    """CPU time of a process and its children: czd's keeper and worker."""
    total = 0
    for task in [pid] + [int(p) for p in (read(f"/proc/{pid}/task/{pid}/children") or "").split()]:
        text = read(f"/proc/{task}/schedstat")
        total += int(text.split()[0]) if text else 0
    return total


class Sampler(threading.Thread):
    """Reads everything each 250 ms, so that any window can be looked up afterwards. A sample takes a
    millisecond of the load generator's CPU: ten a second would be the p99 of its own lag."""
    PERIOD_S = 0.25

    def __init__(self, machine, czd_pid):
        super().__init__(daemon=True)
        self.machine, self.czd_pid = machine, czd_pid
        self.zones = {}     # name -> (directory, cpu)
        self.base = {}      # name -> usage of earlier groups of that name
        self.last = {}
        self.samples = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()

    def add(self, name, directory, cpu):
        """Follow a group. The time of an earlier one of the same name is kept in the sum."""
        with self.lock:
            self.base[name] = self.last.get(name, [0] * self.machine.cpus)
            self.zones[name] = (directory, cpu)

    def sample(self):
        with self.lock:
            at = time.monotonic_ns()
            busy, steal = self.machine.all_usage()
            for name, (directory, cpu) in self.zones.items():
                usage = self.machine.group_usage(directory, cpu)
                if usage:
                    self.last[name] = [b + u for b, u in zip(self.base[name], usage)]
            self.samples.append({
                "t": at, "busy": busy, "steal": steal, "zones": dict(self.last),
                "czd": process_cpu_ns(self.czd_pid), "demo": time.process_time_ns()})

    def run(self):
        while not self.stopping.wait(self.PERIOD_S):
            self.sample()

    def stop(self):
        self.stopping.set()
        self.join()

    def window(self, start_ns, end_ns):
        """What happened between two instants: shares of one CPU, per CPU."""
        with self.lock:
            inside = [s for s in self.samples if start_ns <= s["t"] <= end_ns]
        if len(inside) < 2:
            raise RuntimeError("the window is too short for the samples")
        first, last = inside[0], inside[-1]
        wall = last["t"] - first["t"]
        cpus = range(self.machine.cpus)
        zones = {name: [(usage[c] - first["zones"].get(name, [0] * len(usage))[c]) / wall
                        for c in cpus]
                 for name, usage in last["zones"].items()}
        steal = [(last["steal"][c] - first["steal"][c]) / wall for c in cpus]
        czd = (last["czd"] - first["czd"]) / wall
        other = []
        for c in cpus:
            busy = (last["busy"][c] - first["busy"][c]) / wall
            # czd is not pinned: its time may be on either CPU. This process is on CPU 0.
            ours = sum(shares[c] for shares in zones.values()) + czd
            ours += (last["demo"] - first["demo"]) / wall if c == 0 else 0
            other.append(max(0.0, busy - ours))
        return {"zones": zones, "steal": steal, "other": other, "czd": czd}

    def series(self, start_ns, end_ns, cpu):
        """Shares of one CPU by zone, sample by sample, for the chart."""
        with self.lock:
            inside = [s for s in self.samples if start_ns <= s["t"] <= end_ns]
        points = []
        for before, now in zip(inside, inside[1:]):
            wall = now["t"] - before["t"]
            shares = {name: max(0, usage[cpu] - before["zones"].get(name, usage)[cpu]) / wall
                      for name, usage in now["zones"].items()}
            busy = (now["busy"][cpu] - before["busy"][cpu]) / wall
            shares["other"] = max(0.0, busy - sum(shares.values()))
            points.append({"t_s": (now["t"] - start_ns) / 1e9, **shares})
        return points
