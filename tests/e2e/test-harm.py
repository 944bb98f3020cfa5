#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 420
# cases: by name
"""Harm by memory and io, with real programs: fio is the protected zone, stress-ng --vm or another fio hurts
it. czd must name the one that does it, not the decoys beside it, put it back with knobs of the host's cgroup
version, and leave the host as it found it.

Usage: test-harm.py [CASE...]; HARM_RUNS=10 repeats each blame that often, and runs all cases (./dev soak harm)."""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check  # noqa: E402

TOP_NAME = f"cz-harm{os.getpid()}"
# waiting for a CPU is not what is looked at here, and a busy machine shall not hide the rest
FAST = "tick: 500ms\nguard: {measure: 500ms, cooldown: 500ms, quiet: 10s, min_memory: 16M, fast_threshold: 1s}\n"
HIERARCHIES = ("cpu", "cpuacct", "cpuset", "memory", "freezer", "blkio", "io", "unified")
MIB = 1 << 20
# an emulated guest takes its time to fill a file's worth of memory, or of a disk
DOMAIN, WORKING_SET, HOG, BOUNDED, TABLE, BULK = (n * MIB // (3 if "CZ_GUEST" in os.environ else 1)
                                                  for n in (384, 150, 321, 24, 192, 384))
RUNS = int(os.environ.get("HARM_RUNS", "1"))
RECOVERIES = int(os.environ.get("HARM_RECOVERIES", RUNS if RUNS >= 10 else 1))
RIGHT_OF_TEN = 9


def v2():
    return "memory" in live.controllers() and live.controllers()["memory"] == live.controllers()["unified"]


def group(name, knobs=None):
    return live.Group(name, knobs, names=HIERARCHIES)


def hand_down(parent):
    """On v2 a group's children have the controllers that it gives them."""
    if v2():
        path = parent.paths[0]
        live.write(os.path.join(path, "cgroup.subtree_control"),
                   " ".join(f"+{name}" for name in live.read(os.path.join(path, "cgroup.controllers")).split()))


def limit(bytes_max):
    return {"memory.max" if v2() else "memory.limit_in_bytes": str(bytes_max)}


MUCH_CPU = {"cpu.weight": "10000"} if v2() else {"cpu.shares": "102400"}


class Disk:
    """A folder on a block device, for files that fio reads."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="cz-harm-", dir=os.environ.get("HARM_DISK", "/var/tmp"))

    def file(self, name, size):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            block = os.urandom(MIB)
            with open(path, "wb") as file:
                for _ in range(size // MIB):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)


def fio(path, size, *options):
    return ["fio", "--name=job", f"--filename={path}", f"--size={size}", "--time_based", "--runtime=600", "--thread",
            "--readonly", "--output=/dev/null", *options]


def vm(size, *options):
    return ["stress-ng", "--vm", "1", "--vm-bytes", str(size), "--quiet", "--timeout", "600", *options]


class Scene:
    """A full domain with a protected zone, a culprit and decoys; czd knows them all before the harm."""

    def __init__(self, stack, before, config=FAST, domain=DOMAIN):
        self.top = stack.enter_context(group(TOP_NAME, dict(limit(domain) if domain else {}, **MUCH_CPU)))
        hand_down(self.top)
        self.groups = {name: stack.enter_context(group(f"{TOP_NAME}/{name}")) for name in ("lc", "be", "decoy", "bounded")}
        self.disk = stack.enter_context(Disk())
        before(self)
        self.czd = stack.enter_context(live.Czd(config))
        live.wait_for(lambda: {self.path(n) for n in self.groups} <= self.paths(), 10, "czd sees the zones")
        self.czd.request("protect", zone=self.path("lc"), slo="wait.p99=10s")
        for name in ("be", "decoy", "bounded"):
            self.czd.request("protect", zone=self.path(name), **{"class": "be"})

    @staticmethod
    def path(name):
        return f"/{TOP_NAME}/{name}"

    @classmethod
    def named(cls, name):
        """As czd calls it, which leaves out its own prefix."""
        return cls.path(name).removeprefix("/cz-")

    def paths(self):
        return {row["path"] for row in self.czd.request("list", all=True)["zones"]}

    def start(self, name, command):
        return self.groups[name].start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def finding(self, resource):
        return next((f for f in self.czd.request("findings")["findings"]
                     if f["open"] and f["resource"] == resource and f["victim"] == self.named("lc")), None)

    def blamed(self, resource):
        found = self.finding(resource)
        return found if found and found["culprits"] else None

    def actions(self):
        return self.czd.request("actions", all=True)["actions"]

    def changed(self):
        """What verify says of our groups; what others do to theirs meanwhile is not looked at."""
        return [i for i in self.czd.request("verify")["items"] if i["path"].startswith(f"/{TOP_NAME}/")]

    def unchanged(self, before):
        self.czd.request("mode", mode="observe")
        self.czd.request("undo")
        try:
            live.wait_for(lambda: not self.changed(), 20, "verify says that nothing is changed")
        except TimeoutError:
            check(False, f"still changed: {self.changed()}")
        now = {name: g.knobs() for name, g in self.groups.items()}
        for name, knobs in before.items():
            check(live.differences(knobs, now[name]) == [], f"knobs of {name}: {live.differences(knobs, now[name])}")


@contextlib.contextmanager
def scene(before, **options):
    with contextlib.ExitStack() as stack:
        yield Scene(stack, before, **options)


def named_right(s, resource, within_s=60):
    """The culprit is there, first and above all others, and no decoy is."""
    found = live.wait_for(lambda: s.blamed(resource), within_s, f"a culprit for {resource}")
    names = [c["zone"] for c in found["culprits"]]
    return names[0] == s.named("be") and found["cause"] == "neighbour" and not set(names) & {
        s.named("decoy"), s.named("bounded")}, found


def show(s):
    for f in s.czd.request("findings", all=True)["findings"]:
        print("finding:", f["resource"], f["cause"], [(c["zone"], c["share_ppm"]) for c in f["culprits"]], f["why"], "|", f["evidence"])
    for a in s.actions():
        print("action:", {k: a[k] for k in ("seq", "resource", "knob", "from", "to", "state", "outcome", "before_share_ppm",
                                            "after_share_ppm", "ended")})
    print(s.czd.czctl("why", s.path("lc")).stdout)


def repeated(s, resource, start_hog, well_again):
    """RUNS times: the hog comes, is named, and goes. At least nine of ten are right."""
    right, told = 0, []
    for _ in range(RUNS):
        hog = start_hog()
        try:
            is_right, found = named_right(s, resource)
        except TimeoutError as error:
            is_right, found = False, str(error)
        right += is_right
        if not is_right:
            told.append(found)
            show(s)
        hog.terminate()
        hog.wait()
        well_again()
    print(f"{resource}: the culprit was right in {right} of {RUNS} runs")
    check(right * 10 >= RUNS * RIGHT_OF_TEN, f"wrong: {told}")


def recovers(s, resource, knob, start_hog, well_again):
    """Enforced: some step of the ladder helps; afterwards nothing is left of it."""
    before, told = {name: g.knobs() for name, g in s.groups.items()}, []
    for _ in range(RECOVERIES):
        seen = max([a["seq"] for a in s.actions()], default=0)
        s.czd.request("mode", mode="enforce")
        hog = start_hog()

        def steps():
            return [a for a in s.actions() if a["resource"] == resource and a["seq"] > seen]  # pylint: disable=cell-var-from-loop

        def helped():
            return next((a for a in steps() if a["outcome"] == "helped"), None)
        try:
            action = live.wait_for(helped, 120, f"a step that helps against {resource} harm")
            check(action["knob"] == knob, f"{action}")
            live.wait_for(lambda: not s.blamed(resource) or s.czd.request("why", zone=s.path("lc"))["verdict"] == "relieved", 30, "relief")
        except (AssertionError, TimeoutError) as error:
            told.append(str(error))
        show(s)
        check(all(a["target"] == s.named("be") for a in steps()), f"{steps()}")
        s.unchanged(before)
        hog.terminate()
        hog.wait()
        if RECOVERIES > 1:
            well_again()
    print(f"{resource}: recovered in {RECOVERIES - len(told)} of {RECOVERIES} runs")
    check(len(told) * 10 <= RECOVERIES, f"not recovered: {told}")


def closed(s, resource):
    def is_closed():
        return not s.finding(resource)
    return lambda: live.wait_for(is_closed, 60, f"the {resource} finding closed")


def memory_decoys(s):
    """One burns CPU, and one streams a file within a small limit of its own: what reclaim takes there is its own
    affair."""
    s.start("decoy", ["stress-ng", "--cpu", "1", "--cpu-load", "20", "--quiet", "--timeout", "600"])
    for knob, value in limit(BOUNDED).items():
        live.write(s.groups["bounded"].file(knob), value)
    s.start("bounded", fio(s.disk.file("stream", 256 * MIB), 256 * MIB, "--rw=read", "--ioengine=psync", "--bs=64k",
                           "--rate=8m", "--invalidate=0"))


def memory_victim(s):
    """Random reads of a file that fits into the domain: all from memory, until somebody takes that."""
    path = s.disk.file("hot", WORKING_SET)
    s.start("lc", fio(path, WORKING_SET, "--rw=randread", "--ioengine=mmap", "--bs=4k", "--rate_iops=1500", "--numjobs=4", "--invalidate=0"))

    def warm():
        """Its working set is in memory, and it hardly stalls any more."""
        row = s.czd.request("why", zone=s.path("lc"))
        return (row["zone"]["memory_bytes"] or 0) > WORKING_SET * 9 // 10 and not s.finding("memory")
    live.wait_for(warm, 90, "the victim's working set in memory")
    time.sleep(5)


def memory_culprit_is_named():
    """stress-ng --vm takes the memory of the domain; and of whose pages it took, the kernel's reclaim tells."""
    with scene(memory_decoys, config=FAST + "probes: {reclaimers: true}\n") as s:
        memory_victim(s)
        repeated(s, "memory", lambda: s.start("be", vm(HOG)), closed(s, "memory"))
        s.start("be", vm(HOG))
        live.wait_for(lambda: any("its pages were taken" in note and s.named("be") in note
                                  for note in s.czd.request("why", zone=s.path("lc"))["notes"]), 60, "why says who took its pages")


def memory_recovers():
    """v2: stress-ng --vm is slowed down at memory.high. v1 can take back page cache only: there fio fills that."""
    with scene(memory_decoys) as s:
        memory_victim(s)
        size = 640 * MIB
        cache = None if v2() else s.disk.file("cold", size)

        def start_hog():
            return s.start("be", vm(HOG) if v2() else fio(cache, size, "--rw=randread", "--ioengine=psync", "--bs=16k",
                                                           "--invalidate=0", "--numjobs=2"))
        recovers(s, "memory", "memory.high", start_hog, closed(s, "memory"))


def freed_memory_recovers():
    """v1 without swap: a limit can take hold only while stress-ng has given its memory back, as it does now and then."""
    with scene(memory_decoys) as s:
        memory_victim(s)
        recovers(s, "memory", "memory.high", lambda: s.start("be", vm(HOG)), closed(s, "memory"))


def own_memory_limit_is_self():
    """A limit of its own, while the others do what they like: nobody is blamed."""
    with scene(memory_decoys) as s:
        memory_victim(s)
        for knob, value in limit(WORKING_SET // 2).items():
            live.write(s.groups["lc"].file(knob), value)
        found = live.wait_for(lambda: s.finding("memory"), 40, "a finding about its own memory limit")
        check(found["cause"] == "self" and not found["culprits"], f"from the first window on: {found}")
        check("own memory limit" in found["evidence"], f"{found}")


def io_decoys(s, other=None):
    """One burns CPU and reads another disk, and one reads a little."""
    if other:
        if not v2():  # a disk that was never limited is not counted by newer kernels
            number = os.stat(other).st_rdev
            live.write(s.groups["decoy"].file("blkio.throttle.read_bps_device"), f"{os.major(number)}:{os.minor(number)} 1000000000000")
        s.start("decoy", fio(other, 64 * MIB, "--rw=read", "--direct=1", "--ioengine=psync", "--bs=1m", "--rate=2000m"))
    path = s.disk.file("table", TABLE)
    s.start("decoy", ["stress-ng", "--cpu", "1", "--cpu-load", "20", "--quiet", "--timeout", "600"])
    s.start("bounded", fio(path, TABLE, "--rw=randread", "--direct=1", "--ioengine=psync", "--bs=4k", "--rate_iops=5"))


@contextlib.contextmanager
def other_disk():
    """A disk that nobody waits for: a loop device in memory. None where there is no such device."""
    with tempfile.TemporaryDirectory(prefix="cz-harm-", dir="/dev/shm") as folder:
        path = os.path.join(folder, "disk")
        with open(path, "wb") as file:
            file.truncate(64 * MIB)
        made = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True, check=False)
        if made.returncode:
            print(f"no other disk: {made.stderr.strip()}")
            yield None
            return
        try:
            yield made.stdout.strip()
        finally:
            subprocess.run(["losetup", "--detach", made.stdout.strip()], check=False)


def io_victim(s, jobs=1):
    """A few small reads a second from the disk, by so many threads."""
    path = s.disk.file("table", TABLE)
    s.start("lc", fio(path, TABLE, "--rw=randread", "--direct=1", "--ioengine=psync", "--bs=4k",
                      f"--numjobs={jobs}", f"--rate_iops={100 // jobs}"))
    time.sleep(12)


def io_hog(s, jobs=2, depth=32):
    path = s.disk.file("bulk", BULK)
    return lambda: s.start("be", fio(path, BULK, "--rw=read", "--direct=1", "--ioengine=libaio", "--bs=1m", f"--iodepth={depth}",
                                     f"--numjobs={jobs}"))


def io_culprit_is_named_and_held_back():
    """fio reads as much as the disk gives; a decoy reads more, from another disk."""
    with other_disk() as other, scene(lambda s: io_decoys(s, other), domain=0) as s:
        hog = io_hog(s)
        io_victim(s)
        repeated(s, "io", hog, closed(s, "io"))
        recovers(s, "io", "io.max", hog, closed(s, "io"))


def own_io_limit_is_throttled():
    """A limit of its own, while another reads all it can: nobody is blamed. Eight threads read, so that the limit
    (50 ms each) always has one to let through, however long the disk takes for those before."""
    with scene(io_decoys, domain=0) as s:
        io_victim(s, jobs=8)
        device = os.stat(s.disk.folder).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        live.write(s.groups["lc"].file("io.max" if v2() else "blkio.throttle.read_iops_device"),
                   f"{number} riops=20" if v2() else f"{number} 20")
        io_hog(s, jobs=1, depth=2)()
        live.wait_for(lambda: s.finding("io"), 60, "a finding about io")
        try:
            live.wait_for(lambda: (s.finding("io") or {}).get("cause") == "throttled", 20, "throttled")
        except TimeoutError:
            check(False, f"throttled, not {s.finding('io')}")
        check(not s.finding("io")["culprits"], f"{s.finding('io')}")


def main():
    live.need_root()
    live.raise_on_signals()
    for tool in ("fio", "stress-ng"):
        if not shutil.which(tool):
            live.skip(f"{tool} is not installed")
    cases = [memory_culprit_is_named, own_memory_limit_is_self, io_culprit_is_named_and_held_back, own_io_limit_is_throttled]
    if RUNS >= 10 or len(sys.argv) > 1:
        # minutes, where the victim's memory comes back from the disk
        cases += [memory_recovers] if v2() else [memory_recovers, freed_memory_recovers]
    return live.run_cases(cases,
                          (AssertionError, TimeoutError, live.RequestError, OSError, RuntimeError))


if __name__ == "__main__":
    sys.exit(main())
