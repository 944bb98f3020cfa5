# SPDX-License-Identifier: MIT
"""What live tests share: a czd in a scratch directory, cgroups of one's own, and knobs read for
comparison. Nothing here is left behind: both Czd and Group are context managers, and every process
started here dies with the test (PR_SET_PDEATHSIG)."""
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("CZ_BIN") or os.path.join(TOP, "build", "bin")
CGROUP = "/sys/fs/cgroup"
PR_SET_PDEATHSIG = 1
SKIP = 77

# every file of a zone that an action may change, v1 and v2 spellings; read, never guessed
KNOBS = ("cpu.idle", "cpu.shares", "cpu.weight", "cpu.weight.nice", "cpu.cfs_quota_us", "cpu.cfs_period_us",
         "cpu.cfs_burst_us", "cpu.max", "cpu.max.burst", "cpu.uclamp.min", "cpu.uclamp.max",
         "cpuset.cpus", "cpuset.mems", "cpuset.cpus.partition", "freezer.state", "cgroup.freeze",
         "memory.limit_in_bytes", "memory.high", "memory.max", "memory.low", "memory.min", "pids.max",
         "blkio.bfq.weight", "io.weight", "io.max", "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device")


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(SKIP)


def check(condition, text):
    if not condition:
        raise AssertionError(text)


class Skip(Exception):
    """This case cannot be had here; its text says why. The others go on."""


def run_cases(cases, errors):
    """Runs functions, those named on the command line or all, one "case" line each (tests/run). Exit code."""
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    for case in [c for c in cases if len(sys.argv) < 2 or c.__name__ in sys.argv[1:]]:
        start, state, why = time.monotonic(), "ok", ""
        try:
            case()
        except Skip as reason:
            state, why = "skip", f" - {reason}"
        except errors as error:
            state, why = "FAIL", f" - {type(error).__name__}: {error}"
        counts[state] += 1
        print(f"case {state} {case.__name__} {time.monotonic() - start:.1f}" + why.replace("\n", " | "), flush=True)
    print(f"{counts['ok']} ok, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] or not sum(counts.values()) else 0


def need_root():
    if os.geteuid() != 0:
        skip("needs root")


def program(name):
    path = os.path.join(BIN, name)
    if not os.access(path, os.X_OK):
        sys.exit(f"{name} is not built ({path}): ./dev build")
    return path


def work(*arguments):
    """A cz-work that outlasts its test, which ends it."""
    return [program("cz-work"), *arguments, "--seconds", "600"]


def wait_for(condition, timeout_s, what):
    """What condition() returns once that is true; TimeoutError with `what` otherwise."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(0.01)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def raise_on_signals():
    """SIGTERM and SIGHUP unwind like Ctrl-C, so that everything is cleaned up."""
    def handler(number, _):
        raise KeyboardInterrupt(f"signal {number}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def controllers():
    """{controller: mount point} on this host; on v2 all controllers share one."""
    found, unified = {}, None
    with open("/proc/self/mounts", encoding="ascii") as mounts:
        for line in mounts:
            _, where, kind, options = line.split()[:4]
            if kind == "cgroup":
                found.update({name: where for name in options.split(",") if name in (
                    "cpu", "cpuacct", "cpuset", "memory", "blkio", "freezer", "pids")})
            elif kind == "cgroup2":
                unified = where
    if unified:
        found["unified"] = unified
        with open(os.path.join(unified, "cgroup.controllers"), encoding="ascii") as file:
            for name in file.read().split():
                found.setdefault(name, unified)
    return found


def hierarchies(names=("cpu", "cpuacct", "cpuset", "memory", "freezer", "unified")):
    have = controllers()
    return sorted({have[name] for name in names if name in have})


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def stat_of(pid):
    """The fields of /proc/PID/stat from the third on, the state."""
    return read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()


def alive(pid):
    """What has ended is dead, whether or not its parent ever asks for its exit code: an init may not."""
    try:
        return stat_of(pid)[0] not in "ZX"
    except OSError:
        return False


def children(pid):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(stat_of(entry)[1]) == pid:
                found.append(int(entry))
        except OSError:
            pass
    return found


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def remove_tree(path, timeout_s=5):
    """Removes a cgroup and what is below it; what still runs in there is killed."""
    deadline = time.monotonic() + timeout_s
    for where, _, _ in os.walk(path, topdown=False):
        while True:
            try:
                os.rmdir(where)
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                for pid in read(os.path.join(where, "cgroup.procs")).split():
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                time.sleep(0.01)


class Group:
    """A cgroup of that name (cz-*) in every hierarchy that matters; removed at the end."""

    def __init__(self, name, knobs=None, names=("cpu", "cpuacct", "cpuset", "memory", "freezer", "unified")):
        assert os.path.basename(name).startswith("cz-") or name.startswith("cz-"), name
        # the cpu hierarchy last: there czd sees the group, and notes its knobs as found
        key = controllers().get("cpu")
        self.name, self.paths = name, [os.path.join(root, name) for root in sorted(hierarchies(names), key=lambda root: root == key)]
        self.children = []
        for path in self.paths:
            os.makedirs(path, exist_ok=True)
            self.inherit_cpuset(path)
        for knob, value in (knobs or {}).items():
            write(self.file(knob), value)

    @staticmethod
    def inherit_cpuset(path):
        """A v1 cpuset takes no task before it has CPUs and memory nodes."""
        for knob in ("cpuset.cpus", "cpuset.mems"):
            file = os.path.join(path, knob)
            if os.path.exists(os.path.join(path, "cgroup.clone_children")) and os.path.exists(file) and not read(file):
                write(file, read(os.path.join(os.path.dirname(path), knob)))

    def file(self, knob):
        for path in self.paths:
            if os.path.exists(os.path.join(path, knob)):
                return os.path.join(path, knob)
        raise FileNotFoundError(f"no {knob} for {self.name} on this host")

    def adopt(self, pid):
        for path in self.paths:
            write(os.path.join(path, "cgroup.procs"), str(pid))

    def start(self, command, cpu=None, **options):
        """Starts a command inside, from its first instruction on; on that CPU if one is given."""
        files = [os.path.join(path, "cgroup.procs") for path in self.paths]

        def enter():
            die_with_parent()
            for file in files:
                write(file, "0")
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})

        options.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen(command, preexec_fn=enter, **options)
        self.children.append(child)
        return child

    def knobs(self):
        """{file: text} of all knobs, of this group and those below."""
        found = {}
        for path in self.paths:
            for where, _, _ in os.walk(path):
                for knob in KNOBS:
                    file = os.path.join(where, knob)
                    if os.path.exists(file):
                        found[file] = read(file)
        return found

    def cpu_ns(self):
        return int(read(self.file("cpuacct.usage"))) if "cpuacct" in controllers() else 1000 * int(
            next(line.split()[1] for line in read(self.file("cpu.stat")).splitlines() if line.startswith("usage_usec")))

    def remove(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
        for path in self.paths:
            remove_tree(path)
        for child in self.children:
            child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def differences(before, after):
    """What differs between two knobs() results, as lines of text; groups that are gone do not."""
    return [f"{file}: {before[file]!r} became {after[file]!r}" for file in sorted(before)
            if file in after and before[file] != after[file]]


class RequestError(Exception):
    pass


class Czd:
    """A czd of one's own: run directory and configuration in a scratch folder on a tmpfs."""

    def __init__(self, config="", arguments=(), log=None):
        self.folder = tempfile.mkdtemp(prefix="cz-test-", dir="/run" if os.access("/run", os.W_OK) else None)
        self.run_dir = os.path.join(self.folder, "run")
        os.mkdir(self.run_dir, 0o755)
        self.config = os.path.join(self.folder, "czd.yaml")
        write(self.config, config)
        self.arguments = [program("czd"), "--run-dir", self.run_dir, "--config", self.config, "--libexec", BIN, *arguments]
        self.socket_path = os.path.join(self.run_dir, "czd.sock")
        self.log = log or os.path.join(self.folder, "log")
        self.keeper = None

    def start(self, timeout_s=60 if "CZ_GUEST" in os.environ else 20):
        with open(self.log, "ab") as log:
            self.keeper = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           preexec_fn=die_with_parent)

        def ready():
            if self.keeper.poll() is not None:
                raise RuntimeError(f"czd ended with {self.keeper.returncode}:\n{self.log_tail()}")
            try:
                return self.request("version")
            except (OSError, RequestError):
                return None
        try:
            wait_for(ready, timeout_s, "czd answers")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log_tail()}") from None
        return self

    def log_tail(self, lines=30):
        return "\n".join(read(self.log).splitlines()[-lines:])

    def worker_pid(self):
        """The worker: the child of the keeper that serves the socket."""
        return self.request("version")["pid"]

    def request(self, verb, **arguments):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(self.socket_path)
            connection.sendall(json.dumps({"id": 1, "verb": verb, "args": arguments}).encode() + b"\n")
            text = b""
            while not text.endswith(b"\n"):
                data = connection.recv(1 << 20)
                if not data:
                    raise RequestError(f"{verb}: connection closed")
                text += data
        answer = json.loads(text)
        if not answer["ok"]:
            raise RequestError(f"{verb}: {answer['error']['message']}")
        return answer["data"]

    def czctl(self, *arguments, **options):
        return subprocess.run([program("czctl"), "--socket", self.socket_path, *arguments], text=True,
                              capture_output=True, check=False, **options)

    def undo(self):
        """What the next start would do first: put back what a dead czd left."""
        return subprocess.run([*self.arguments, "--undo"], capture_output=True, text=True, check=False, timeout=30)

    def remove(self):
        """The scratch directory too; for a czd that is not used in a with statement."""
        self.undo()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self, timeout_s=20):
        if self.keeper is None:
            return 0
        if self.keeper.poll() is None:
            self.keeper.terminate()
            try:
                self.keeper.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.keeper.kill()
                self.keeper.wait()
                raise
        return self.keeper.returncode

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self.remove()


def remove_leftovers(prefix):
    """Removes the cgroups of an earlier run that was killed; the prefix is the caller's own."""
    assert prefix.startswith("cz-") and len(prefix) > 5
    for root in hierarchies():
        for path in glob.glob(os.path.join(root, f"{prefix}*")):
            remove_tree(path)
