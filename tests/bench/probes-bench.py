#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the BPF probes that are off by default cost the work of the host.

CPU time of one operation in a loop pinned to one CPU, without and with the probe, in interleaved rounds; of each the
least of all rounds, since whatever else goes on can only add to it. First each probe on the same: a byte to another process and
back by pipes (four switches, four system calls). Then on what it looks at, the worst that it can do: a getppid() for system
calls, a datagram sent and received for the network, a read of 4 KiB past the page cache for disks, 1 MiB read and dropped from
the page cache for reclaim. No zone is protected meanwhile. A probe that this host cannot have is left out."""
import json
import os
import subprocess
import sys
import tempfile

TOP = os.environ.get("CZ_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROUNDS = 15
LOOP = """
import ctypes, mmap, os, resource, socket, sys, time
def cpu_ns():
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(int((u.ru_utime + u.ru_stime) * 1e9) for u in both)
def call():
    getppid = ctypes.CDLL(None).getppid
    return getppid, lambda: None
def datagram():
    a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    a.bind(("127.0.0.1", 0))
    a.connect(a.getsockname())
    return lambda: (a.send(b"x"), a.recv(1)), lambda: None
def switch():
    there, back = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.close(there[1])
        while os.read(there[0], 1):
            os.write(back[1], b"x")
        os._exit(0)
    os.close(there[0])
    return lambda: (os.write(there[1], b"x"), os.read(back[0], 1)), lambda: (os.close(there[1]), os.waitpid(pid, 0))
def disk():
    fd, page = os.open(sys.argv[3], os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, 4096)
    return lambda: os.preadv(fd, [page], 0), lambda: None
def drop():
    fd = os.open(sys.argv[3], os.O_RDONLY)
    return lambda: (os.pread(fd, 1 << 20, 0), os.posix_fadvise(fd, 0, 1 << 20, os.POSIX_FADV_DONTNEED)), lambda: None
operation, end = globals()[sys.argv[1]]()
number = int(sys.argv[2])
start = cpu_ns()
for _ in range(number):
    operation()
end()
print((cpu_ns() - start) / number)
"""
PIPE = ("switch", 10000)
# of each probe: what it looks at, how often that is done, and what it is called in the keys
CASES = {
    "syscalls": ("call", 200000, "call"),
    "futex": ("call", 200000, "call"),
    "epoll": ("call", 200000, "call"),
    "sockets": ("datagram", 50000, "datagram"),
    "net": ("datagram", 50000, "datagram"),
    "switches": ("switch", 20000, "round_trip"),
    "counters": ("switch", 20000, "round_trip"),
    "block": ("disk", 1500, "request"),
    "reclaimers": ("drop", 200, "mib_dropped"),
}


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def find_hold():
    places = [os.environ.get("CZ_BUILD", ""), os.path.join(TOP, "build", "main")]
    if os.environ.get("CZ_BIN"):
        places.append(os.path.join(os.environ["CZ_BIN"], "..", "main"))
    for place in places:
        path = os.path.join(place, "tests", "host", "probe-hold")
        if os.access(path, os.X_OK):
            return path
    return skip("probe-hold is not built")


def operation_ns(operation, number, path):
    return float(subprocess.run(["taskset", "-c", "1", sys.executable, "-c", LOOP, operation, str(number), path],
                                stdout=subprocess.PIPE, text=True, check=True).stdout)


def with_probe(hold, name, *operation):
    """None: this host cannot have it."""
    with subprocess.Popen([hold, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        ready = holder.stdout.readline().strip() == "ready"
        value = operation_ns(*operation) if ready else None
        holder.stdin.close()
    return value


def measure(hold, names, operation, number, path):
    """CPU time of the operation by probe, and without any as "", in ns."""
    least = dict.fromkeys(["", *names], float("inf"))
    for turn in range(ROUNDS):
        for name in least:
            value = with_probe(hold, name, operation, number, path) if name else operation_ns(operation, number, path)
            least[name] = min(least[name], value)
        print(f"   {operation}, round {turn + 1}, least: {({k: round(v) for k, v in least.items()})}", file=sys.stderr)
    return least


def can_be_had(hold, name, path):
    if with_probe(hold, name, "call", 1, path) is not None:
        return True
    print(f"   {name}: this host cannot have it", file=sys.stderr)
    return False


def main():
    hold = find_hold()
    with tempfile.NamedTemporaryFile(dir="/var/tmp", prefix="cz-probes-") as file:
        file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
        names = [name for name in CASES if can_be_had(hold, name, file.name)]
        if not names:
            skip("no probe can be switched on here")
        least = measure(hold, names, *PIPE, file.name)
        result = {f"probe_{name}_pipe_ratio": round(least[name] / least[""], 4) for name in names}
        for load in dict.fromkeys(CASES[name] for name in names):
            of_load = [name for name in names if CASES[name] == load]
            operation, number, key = load
            least = measure(hold, of_load, operation, number, file.name)
            for name in of_load:
                result[f"probe_{name}_{key}_added_ns"] = round(least[name] - least[""], 1)
                result[f"probe_{name}_{key}_ratio"] = round(least[name] / least[""], 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
