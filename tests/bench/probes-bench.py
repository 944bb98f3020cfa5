#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the BPF probes that are off by default cost the work of the host.

CPU time of one operation in a loop pinned to one CPU, without and with the probe, in interleaved rounds; the median
over rounds of the difference within a round. The operations: a getppid() for those that look at system calls, a
datagram sent and received for the network, a byte to another process and back (four switches) for switches."""
import json
import os
import statistics
import subprocess
import sys
import time

TOP = os.environ.get("CZ_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROUNDS = 9
LOOP = """
import ctypes, os, resource, socket, sys, time
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
operation, end = globals()[sys.argv[1]]()
number = int(sys.argv[2])
start = cpu_ns()
for _ in range(number):
    operation()
end()
print((cpu_ns() - start) / number)
"""
# key: probe, operation, how often
CASES = {
    "probe_syscalls_call_added_ns": ("syscalls", "call", 400000),
    "probe_futex_call_added_ns": ("futex", "call", 400000),
    "probe_epoll_call_added_ns": ("epoll", "call", 400000),
    "probe_sockets_datagram_added_ns": ("sockets", "datagram", 100000),
    "probe_switches_round_trip_added_ns": ("switches", "switch", 50000),
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


def operation_ns(operation, number):
    return float(subprocess.run(["taskset", "-c", "1", sys.executable, "-c", LOOP, operation, str(number)],
                                stdout=subprocess.PIPE, text=True, check=True).stdout)


def with_probe(hold, name, operation, number):
    with subprocess.Popen([hold, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        if holder.stdout.readline().strip() != "ready":
            holder.stdin.close()
            skip(f"probe {name} cannot be switched on here")
        value = operation_ns(operation, number)
        holder.stdin.close()
    return value


def measure(hold, name, operation, number):
    added = []
    for turn in range(ROUNDS):
        without = operation_ns(operation, number)
        added.append(with_probe(hold, name, operation, number) - without)
        print(f"   {name}, round {turn + 1}: {without:.0f} ns, + {added[-1]:.0f} ns", file=sys.stderr)
        time.sleep(0.1)
    return round(statistics.median(added), 1)


def main():
    hold = find_hold()
    print(json.dumps({key: measure(hold, *case) for key, case in CASES.items()}))


if __name__ == "__main__":
    main()
