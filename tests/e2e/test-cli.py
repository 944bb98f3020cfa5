#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 180
# beside: yes
"""czctl against a czd with canned answers: golden output of every verb, what is asked of czd, errors
and exit codes, and czds that hang, lie or send nonsense.

CZ_GOLDEN=update tests/e2e/test-cli.py writes the golden files anew: read the difference."""
import contextlib
import glob
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
import fake_czd  # noqa: E402
import live  # noqa: E402

CZCTL = live.program("czctl")
TOP = live.TOP
GOLDEN = os.path.join(HERE, "golden")
SCRATCH = tempfile.TemporaryDirectory(prefix="cz-cli-")
SOCKET = os.path.join(SCRATCH.name, "czd.sock")
ENV = {"PATH": os.environ["PATH"], "CZ_SOCKET": SOCKET, "TZ": "UTC", "LC_ALL": "C",
       "ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99"}
BAD_YAML = os.path.join(HERE, "..", "fuzz", "corpus", "spec", "bad")

# name: arguments; what it prints is golden/NAME, its last line "exit CODE"
GOLDEN_CASES = {
    "help": "help",
    "no-verb": "",
    "top": "top --once",
    "top-limit": "top --once --all --limit 1",
    "list": "list",
    "list-all": "list --all",
    "list-names": "list --names",
    "inspect": "inspect redis.service",
    "why": "why redis.service",
    "why-stack": "why redis.service --stack",
    "why-color": "why redis.service --color always",
    "findings": "findings",
    "findings-all": "findings --all",
    "actions": "actions",
    "actions-all": "actions --all",
    "events": "events",
    "events-since": "events --since 7",
    "events-none": "events --since 8",
    "protect": "protect redis.service --slo wait.p99=500us",
    "protect-be": "protect batch/stress-ng --class be",
    "unprotect": "unprotect redis.service",
    "try": "try --for 5m redis.service",
    "try-all": "try",
    "approve": "approve 2",
    "mode": "mode",
    "mode-enforce": "mode enforce",
    "probes": "probes",
    "doctor": "doctor",
    "undo": "undo",
    "verify": "verify",
    "version": "version",
    "check": "check examples/czd.yaml",
    "check-bad": "check tests/fuzz/corpus/spec/bad",
    "spec-check": "spec check examples/zones/redis-vm.yaml examples/zones/batch-cgroup.yaml",
    "spec-check-bad": "spec check tests/fuzz/corpus/zone-spec/bad",
    "spec-explain": "spec explain resource.cpu",
    "spec-explain-all": "spec explain",
    "spec-explain-unknown": "spec explain memry",
    "spec-explain-file": "spec explain --file examples/zones/redis-vm.yaml",
    "spec-convert": "spec convert tests/fuzz/corpus/zone-spec/old",
    "spec-convert-new": "spec convert examples/zones/redis-vm.yaml",
    "spec-unknown": "spec chek x",
    "resctrl-show": "resctrl show --root tests/fixtures/resctrl/intel",
    "resctrl-group": "resctrl show batch --root tests/fixtures/resctrl/amd",
    "resctrl-absent": "resctrl show --root tests/fixtures/v2",
    "resctrl-group-unknown": "resctrl show nobody --root tests/fixtures/resctrl/intel",
    "resctrl-mask-bad": "resctrl set batch L3:0=5 --root tests/fixtures/resctrl/intel",
    "resctrl-verb-unknown": "resctrl lst",
    "kernel-list-none": "kernel list --dir /nonexistent",
    "kernel-list-of-czd": "kernel list",
    "kernel-unknown": "kernel lst",
    "sim": "sim --controller parties-code memcached=30% xapian=30% stream",
    "sim-load": "sim memcached",
    "sim-unknown": "sim memcache=10%",
    "kernel-flavour-missing": "kernel build",
    "kernel-help": "help kernel",
    "run": "run --class be -- echo hello --help",
    # what goes wrong
    "verb-unknown": "lst",
    "verb-unknown-far": "frobnicate",
    "option-unknown": "list --al",
    "option-unknown-global": "--sokcet x list",
    "option-value": "try --for",
    "option-flag-value": "list --all=yes",
    "output-unknown": "list -o xml",
    "words-missing": "why",
    "words-many": "why a b",
    "zone-unknown": "why reids",
    "zone-unknown-json": "why reids -o json",
    "not-permitted": "protect forbidden",
    "approve-unknown": "approve 3",
    "approve-nan": "approve three",
    "protect-slo": "protect redis.service --slo wait.p99=500uss",
    "protect-be-slo": "protect redis.service --class be --slo share=5%",
    "protect-class": "protect redis.service --class fast",
    "try-time": "try --for 10",
    "mode-unknown": "mode enforced",
    "limit-zero": "top --once --limit 0",
    "interval-short": "top --interval 1ms",
    "events-since-nan": "events --since x",
    "run-name": "run --name a/b -- true",
    "run-slo": "run --slo x -- true",
    "run-cpus": "run --cpus 1-x -- true",
    "run-absent": "run -- /nonexistent/command",
    "feed-time": "feed web 5",
    "check-absent": "check /nonexistent.yaml",
    "not-utf8": b"why \xff",
}


class Skip(Exception):
    pass


def czctl(*args, env=None, **more):
    more = {"capture_output": True, "timeout": 60, "cwd": TOP, "stdin": subprocess.DEVNULL} | more
    return subprocess.run([CZCTL, *args], env=ENV | (env or {}), check=False, **more)


def words(arguments):
    return arguments.split() if isinstance(arguments, (str, bytes)) else arguments


def columns(line):
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in line)


def same(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} is not {wanted!r}")


def told(result, code, text=b""):
    """czctl ended with this code and said so in words."""
    same(result.returncode, code, f"exit code ({result.stderr!r})")
    if text not in result.stderr:
        raise AssertionError(f"{text!r} is not in {result.stderr!r}")


@contextlib.contextmanager
def czd(behaviour="good", **answers):
    with fake_czd.FakeCzd(SOCKET, behaviour, answers) as fake:
        yield fake


# --- golden output

def shown(name, arguments):
    result = czctl(*words(arguments))
    text = (result.stdout + result.stderr).decode()
    text = text.replace("0.1.0", "VERSION")
    text = text.replace("Next: sudo czctl try", "Next: czctl try")  # depends on who runs the test
    if name.startswith("try") and result.returncode == 0:
        text = re.sub(r"until [\d:A-Z a-z]*;", "until TIME;", " ".join(text.split())) + "\n"
    return text + f"exit {result.returncode}\n"


def golden(name, arguments):
    path = os.path.join(GOLDEN, name)
    with czd():
        text = shown(name, arguments)
    if os.environ.get("CZ_GOLDEN") == "update":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        same(text, file.read(), "output")
    for line in text.splitlines():
        # errors quote paths and YAML whole
        if columns(line) > 80 and not line.startswith(("tests/fuzz", "note: tests/fuzz", "examples/", "Enforcing")):
            raise AssertionError(f"{columns(line)} columns: {line}")
        if line != line.rstrip():
            raise AssertionError(f"blanks at the end: {line!r}")


def test_golden_files_are_all_used():
    same(sorted(os.listdir(GOLDEN)), sorted(GOLDEN_CASES), "files in golden/")


# --- every verb

def verb_names():
    return czctl("help", "--list").stdout.decode().split()


EVERY = {name: arguments for name, arguments in GOLDEN_CASES.items() if name in
         ("top", "list", "inspect", "why-stack", "findings-all", "actions-all", "events", "protect",
          "unprotect", "try", "approve", "mode", "probes", "doctor", "undo", "verify", "version")}


def test_every_verb_has_help():
    for verb in verb_names():
        if verb == "help":
            continue
        result = czctl("help", verb)
        same(czctl(verb, "--help").stdout, result.stdout, f"{verb} --help")
        told(result, 0)
        text = result.stdout.decode()
        for part in (f"czctl {verb}: ", f"Usage: czctl {verb}", "\nExample"):
            if part not in text:
                raise AssertionError(f"help {verb} has no {part!r}")
        for line in text.splitlines():
            if columns(line) > 80:
                raise AssertionError(f"help {verb}: {columns(line)} columns: {line}")


def test_json_is_what_czd_said():
    for name, arguments in EVERY.items():
        with czd() as fake:
            result = czctl(*words(arguments), "-o", "json")
            answer = fake.answer(fake.requests[0])["data"]
        printed = json.loads(result.stdout)
        printed.pop("czctl", None)
        if name == "why-stack":  # czctl's own
            same([s["why_not"] for s in printed.pop("stack")], ["stress-ng-cpu (pid 4211) is gone"], "stack")
        if name.startswith("why"):  # czctl's own as well
            rows = printed["ledger"]["parts"] + printed["finding"]["culprits"]
            same([row.pop("cmdline") for row in rows], [None] * len(rows), "command lines of processes that are gone")
        if name == "try":  # relative to now
            printed["until_ns"] = answer["until_ns"] = 0
        same(printed, answer, name)
        same(result.stdout.count(b"\n"), 1, f"lines of {name}")


def asked(arguments, **answers):
    with czd(**answers) as fake:
        czctl(*words(arguments))
        same(len(fake.requests), 1, f"requests of {arguments!r}")
        return fake.requests[0]["verb"], fake.requests[0]["args"]


def test_what_is_asked():
    for arguments, verb, args in (
            ("protect a --class be -o json", "protect", {"zone": "a", "class": "be"}),
            ("protect a -o json", "protect", {"zone": "a"}),
            ("protect /a/b --slo share=5% -o json", "protect", {"zone": "/a/b", "slo": "share=5%"}),
            ("try", "try", {"for_ns": 600 * 10**9}),
            ("try --for=90s web", "try", {"for_ns": 90 * 10**9, "zone": "web"}),
            ("undo", "undo", {}),
            ("undo 3", "undo", {"seq": 3}),
            ("mode", "mode", {}),
            ("mode enforce --zone web", "mode", {"mode": "enforce", "zone": "web"}),
            ("why -- --stack", "why", {"zone": "--stack"}),
            ("why web --stack", "why", {"zone": "web"}),
            ("sched set web rr --slice 1ms", "zone-sched",
             {"name": "web", "op": "set", "policy": "rr", "options": "--slice 1ms", "full": False}),
            ("sched set web rr --full", "zone-sched", {"name": "web", "op": "set", "policy": "rr", "full": True}),
            ("sched task web 7 --set ext", "zone-sched", {"name": "web", "op": "task", "pid": 7, "set": "ext"}),
            ("top --once --limit 5", "top", {"all": False, "limit": 5}),
            ("top", "top", {"all": False, "limit": 20}),
            ("events --since 4", "events", {"since": 4, "follow": False}),
            ("run --name web --slo wait.p99=1ms --cpus 0-1 true", "run",
             {"name": "web", "class": "lc", "slo": "wait.p99=1ms", "cpus": "0-1"})):
        same(asked(arguments), (verb, args), arguments)


def test_default_name_of_run():
    _, args = asked(["run", "sh", "-c", "exit 0"])
    if not re.fullmatch(r"sh-\d+", args["name"]) or args["class"] != "normal":
        raise AssertionError(args)


def test_log_of_a_console():
    with czd(**{"zone-log": lambda a: {"text": "one\r\n\r\nt\rwo\r\nthree", "offset": 9}}):
        same(czctl("log", "web").stdout, b"one\n\nt\\x0dwo\nthree\n", "a console's lines")


def test_verify_finds_differences():
    with czd(verify=lambda a: fake_czd.VERIFY_CHANGED):
        result = czctl("verify")
        told(result, 6)
        same(czctl("verify", "-o", "json").returncode, 6, "exit code with json")
    for part in ("host changed: 1 of 1,204 knobs differ", "held by czd", "Next: sudo czctl undo"):
        if part not in result.stdout.decode():
            raise AssertionError(f"no {part!r} in {result.stdout!r}")


def test_undo_that_fails():
    with czd(undo=lambda a: {"restored": 1, "gone": 1, "hands_off": 0, "failed": 1}):
        result = czctl("undo")
    told(result, 1)
    if b"1 knob could not be put back" not in result.stdout:
        raise AssertionError(result.stdout)


def test_why_after_an_action():
    why = dict(fake_czd.WHY, verdict="fine", actions=[fake_czd.ACTION], proposal=None,
               notes=["the ledger was off for 2 s"])
    with czd(why=lambda a: why):
        text = " ".join(czctl("why", "redis.service").stdout.decode().split())
    for part in ("done at 12:00:00, 3.9 ms after the harm began: batch/stress-ng was put in the idle "
                 "class. Effect: waited behind batch/stress-ng 23.0 % -> 0.1 % of the time, wait p99 4.1 ms -> 60 us. State: kept, until 12:10:00 (action 1).",
                 "note: the ledger was off for 2 s"):
        if part not in text:
            raise AssertionError(f"no {part!r} in {text}")


def test_effect_tells_why_p99_is_high():
    """The share is of one culprit, the p99 of all: a p99 that rose says so."""
    kept = dict(fake_czd.ACTION, after_wait_p99_ns=7_160_000, after_share_ppm=121_000, after_behind_ppm=1_000)
    with czd(why=lambda a: dict(fake_czd.WHY, actions=[kept], proposal=None)):
        text = " ".join(czctl("why", "redis.service").stdout.decode().split())
    if "wait p99 4.1 ms -> 7.16 ms (in the worst window; behind others 12.0 %)" not in text:
        raise AssertionError(text)


def test_what_is_not_known_is_left_out():
    blind = dict(fake_czd.WHY["ledger"], waits=None, wait_p50_ns=None, wait_p99_ns=None, wait_max_ns=None, estimated=True)
    with czd(why=lambda a: dict(fake_czd.WHY, ledger=blind)):
        text = czctl("why", "redis.service").stdout.decode()
    if "waited 235 ms\n" not in text or " waits;" in text:
        raise AssertionError(text)


def test_enforcing_that_cannot_be():
    """Set, and no effect as yet: that is no success."""
    refused = {"mode": "enforce", "until_ns": None, "trials": [], "modes": [], "cannot_enforce": "another czd enforces", "protected": 1}
    with czd(mode=lambda a: refused):
        result = czctl("mode", "enforce")
        told(result, 1)
        if b"another czd enforces" not in result.stdout or b"czd acts" in result.stdout:
            raise AssertionError(result.stdout)
        same(czctl("mode").returncode, 0, "exit code of looking")
    with czd(mode=lambda a: dict(refused, cannot_enforce=None, protected=0)):
        result = czctl("mode", "enforce")
        told(result, 0)
        if b"No zone is protected" not in result.stdout:
            raise AssertionError(result.stdout)


def test_nothing_in_force_any_more():
    with czd(actions=lambda a: {"mode": "observe", "actions": [dict(fake_czd.ACTION, state="reverted")]}):
        text = czctl("actions", "--all").stdout
    if b"None of these is in force" not in text or b"undo" in text:
        raise AssertionError(text)


def test_output_that_cannot_be_written():
    with czd(), open("/dev/full", "wb") as full:
        for arguments in (["top", "--once"], ["spec", "schema"], ["list"]):
            done = subprocess.run([CZCTL, *arguments], env=ENV, stdout=full, stderr=subprocess.PIPE, timeout=30)
            same((done.returncode, b"cannot write the output" in done.stderr), (1, True), f"{arguments}: {done.stderr}")
        done = subprocess.run([live.program("czd"), "--help"], stdout=full, stderr=subprocess.PIPE, timeout=30)
        same((done.returncode, b"cannot write the output" in done.stderr), (1, True), f"czd --help: {done.stderr}")


def test_verify_takes_its_time():
    """Ten thousand zones on a busy machine take longer than other answers may."""
    def slowly(_):
        time.sleep(5.5)
        return fake_czd.VERIFY_CHANGED
    with czd(verify=slowly):
        told(czctl("verify"), 6, b"waiting for czd: it reads every knob")


def test_why_after_a_failure():
    failed = dict(fake_czd.ACTION, state="failed", outcome="unmeasured", written_ns=None, written_real_ns=None, took_ns=None,
                  ended="write cpu.idle: No space left on device")
    with czd(why=lambda a: dict(fake_czd.WHY, actions=[failed], proposal=None)):
        text = " ".join(czctl("why", "redis.service").stdout.decode().split())
    part = "not done: put batch/stress-ng in the idle class. It failed: write cpu.idle: No space left on device (action 1)."
    if part not in text or "after the harm began" in text:
        raise AssertionError(text)


def test_nothing_is_known_yet():
    """What was not measured is not 0, and not fine."""
    new = dict(fake_czd.REDIS, state="learning", wait_ppm=None, wait_p99_ns=None)
    blank = {"window_ns": 0, "wait_ns": 0, "waits": 0, "parts": [], "estimated": False}
    me = dict(fake_czd.DOCTOR["self"], cpu_ppm=None, ledger_cost_ppm=None, loop_delay_max_ns=None)
    with czd(list=lambda a: {"mode": "observe", "trials": [], "zones": [new]}, doctor=lambda a: dict(fake_czd.DOCTOR, self=me),
             why=lambda a: dict(fake_czd.WHY, verdict="learning", headline="redis.service is protected.", ledger=blank, finding=None,
                                proposal=None)):
        text = czctl("list").stdout.decode()
        same(text.splitlines()[0], "0 of 1 latency-critical zone hurt, 1 not known yet. Mode: observe.", "list")
        same("measured over" in czctl("why", "redis.service").stdout.decode(), False, "figures of no window")
        text = " ".join(czctl("doctor").stdout.decode().split())
        same("czd - of a CPU, its BPF programs - of all CPUs" in text and "loop -" in text, True, text)


def test_long_names_for_scripts():
    name = "/".join(["kubepods-burstable"] * 6)
    with czd(list=lambda a: {"zones": [fake_czd.zone(name)]}):
        same(czctl("list", "--names", env={"COLUMNS": "60"}).stdout.decode(), name + "\n", "a name in full")


def as_nobody(*args, mode=0o666):
    """czctl as a user who is not root."""
    if os.geteuid() != 0:
        raise Skip("only root can be somebody else")
    copy = shutil.copy(CZCTL, os.path.join(SCRATCH.name, "czctl"))
    os.chmod(SCRATCH.name, 0o755)
    os.chmod(SOCKET, mode)
    return subprocess.run([copy, *args], env=ENV, check=False, capture_output=True, timeout=20,
                          user=65534, group=65534, extra_groups=[], cwd="/")


def test_next_command_with_sudo_for_those_who_need_it():
    with czd():
        text = as_nobody("why", "redis.service").stdout
        same(text.endswith(b"Next: sudo czctl try --for 10m redis.service\n"), True, f"not root: {text!r}")
        text = czctl("why", "redis.service").stdout
        same(text.endswith(b"Next: czctl try --for 10m redis.service\n"), True, f"root: {text!r}")
    with czd(why=lambda a: dict(fake_czd.WHY, next="czctl actions")):
        text = as_nobody("why", "redis.service").stdout
        same(text.endswith(b"Next: czctl actions\n"), True, f"looking takes no sudo: {text!r}")


# --- stacks

@contextlib.contextmanager
def culprit(*command, **options):
    """A czd that names a process of ours as the culprit."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          preexec_fn=live.die_with_parent, **options) as process:
        try:
            name = os.path.basename(command[0])[:15]
            live.wait_for(lambda: live.read(f"/proc/{process.pid}/comm") == name, 5, name)
            row = dict(fake_czd.FINDING["culprits"][0], pid=process.pid, comm=name)
            why = dict(fake_czd.WHY, finding=dict(fake_czd.FINDING, culprits=[row]))
            with czd(why=lambda a: why):
                yield process
        finally:
            process.kill()


HOG = (live.program("cz-work"), "hog", "--threads", "2", "--seconds", "60")


def stacks_of(result):
    return json.loads(result.stdout)["stack"]


def test_command_lines_are_read_by_czctl():
    def culprit_of(result):
        return json.loads(result.stdout)["finding"]["culprits"][0]["cmdline"]
    with culprit(*HOG) as hog:
        want = " ".join(HOG)
        same(culprit_of(czctl("why", "redis.service", "-o", "json")), want, "command line")
        same(culprit_of(as_nobody("why", "redis.service", "-o", "json")) in (want, None), True, "as nobody")
        hog.kill()
        hog.wait()
        same(culprit_of(czctl("why", "redis.service", "-o", "json")), None, "of a process that is gone")


def test_stack_of_a_hog():
    with culprit(*HOG) as hog:
        live.wait_for(lambda: len(os.listdir(f"/proc/{hog.pid}/task")) == 3, 5, "its threads")
        stacks = stacks_of(czctl("why", "redis.service", "--stack", "-o", "json"))
        text = czctl("why", "redis.service", "--stack").stdout.decode()
    if stacks[0]["why_not"]:
        raise Skip(stacks[0]["why_not"])
    same([(s["pid"], s["comm"], s["zone"]) for s in stacks],
         [(hog.pid, "cz-work", "batch/stress-ng")] * len(stacks), "who")
    functions = [frame for s in stacks for frame in s["frames"]]
    same(any(f.startswith(("work_unit (cz-work", "burn (cz-work")) for f in functions), True, functions)
    same(1 <= len(stacks) <= 3 and stacks[0]["samples"] > 10, True, stacks)
    shares = [s["share_ppm"] for s in stacks]
    same(shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1_000_000, True, shares)
    for part in (f"what cz-work of batch/stress-ng does (pid {hog.pid}", "(cz-work)", "Next: "):
        same(part in text, True, f"{part!r} in {text}")


def test_stack_of_a_stripped_program():
    bare = os.path.join(SCRATCH.name, "bare-hog")
    if subprocess.run(["strip", "-o", bare, HOG[0]], check=False, capture_output=True).returncode:
        raise Skip("no strip")
    with culprit(bare, *HOG[1:]):
        time.sleep(0.2)
        stacks = stacks_of(czctl("why", "redis.service", "--stack", "-o", "json"))
    if stacks[0]["why_not"]:
        raise Skip(stacks[0]["why_not"])
    same(bool(re.match(r"bare-hog\+0x[0-9a-f]+$", stacks[0]["frames"][0])), True, stacks)


def test_stack_of_a_hostile_program():
    """The kernel runs it, but its tables of sections and symbols are noise."""
    evil = os.path.join(SCRATCH.name, "evil-hog")
    with open(HOG[0], "rb") as file:
        data = bytearray(file.read())
    table = int.from_bytes(data[40:48], "little")
    for i in range(table, len(data)):
        data[i] = i * 2654435761 >> 7 & 0xff
    with open(evil, "wb") as file:
        file.write(data)
    os.chmod(evil, 0o755)
    with culprit(evil, *HOG[1:]):
        time.sleep(0.2)
        result = czctl("why", "redis.service", "--stack", "-o", "json")
    told(result, 0)
    frames = [f for s in stacks_of(result) for f in s["frames"]]
    same(any(f.startswith(("evil-hog", "0x")) for f in frames) or bool(stacks_of(result)[0]["why_not"]), True, frames)


def test_files_of_the_culprit_are_read_as_nobody():
    if os.geteuid() != 0:
        raise Skip("only root has something to drop")
    if not shutil.which("strace"):
        raise Skip("no strace")
    log = os.path.join(SCRATCH.name, "strace")
    with culprit(*HOG):
        time.sleep(0.2)
        told(czctl("version"), 0)
        result = subprocess.run(["strace", "-ff", "-y", "-o", log, CZCTL, "why", "redis.service", "--stack"],
                                env=ENV | {"ASAN_OPTIONS": "detect_leaks=0"}, check=False, capture_output=True, timeout=60)
        told(result, 0)
    if b"no stack from" in result.stdout:
        raise Skip("not allowed to sample")
    logs = [live.read(path).splitlines() for path in glob.glob(log + ".*")]
    child = next((lines for lines in logs if any(re.match(r"setresuid\(65534, 65534, 65534\) *= 0", line) for line in lines)), [])
    same(bool(child), True, "a child that became nobody")
    dropped = next(i for i, line in enumerate(child) if "setresuid(65534" in line)
    before, after = "\n".join(child[:dropped]), child[dropped:]
    for part in ("PR_SET_NO_NEW_PRIVS", "setgroups(0, NULL)", "setresgid(65534, 65534, 65534)", "close_range(5"):
        same(part in before, True, f"{part} before")

    def reads(lines):
        return [line for line in lines if re.match(r"(read|pread64|mmap)\(.*/cz-work>", line)]
    same((len(reads(sum(logs, []))), len(reads(after)) > 0), (len(reads(after)), True), "reads of the culprit's file: all, after")


def test_stack_of_ones_own_process():
    """Who is not root sees their own process, found by its path in its root."""
    own = shutil.copy(HOG[0], os.path.join(SCRATCH.name, "own-hog"))
    os.chmod(SCRATCH.name, 0o755)
    if os.geteuid() != 0:
        raise Skip("only root can be somebody else")
    with culprit(own, *HOG[1:], user=65534, group=65534, extra_groups=[]):
        time.sleep(0.2)
        stacks = stacks_of(as_nobody("why", "redis.service", "--stack", "-o", "json"))
    if stacks[0]["why_not"]:
        same("takes sudo on this host" in stacks[0]["why_not"], True, stacks)
        raise Skip(stacks[0]["why_not"])
    same(any(f.endswith("(own-hog)") for s in stacks for f in s["frames"]), True, stacks)


def test_no_stack_of_another_user():
    with culprit(*HOG):
        result = as_nobody("why", "redis.service", "--stack")
        stacks = stacks_of(as_nobody("why", "redis.service", "--stack", "-o", "json"))
    text = " ".join(result.stdout.decode().split())
    same("no stack from batch/stress-ng: pid" in text and "belongs to another user; sampling it takes sudo" in text,
         True, text)
    same("who ran meanwhile" in text and "would do" in text and result.returncode == 0, True, text)
    same((len(stacks), stacks[0]["samples"], stacks[0]["frames"], stacks[0]["share_ppm"]), (1, 0, [], None), "stack")


def test_no_stack_of_what_does_not_run():
    with culprit("sleep", "60"):
        time.sleep(0.1)
        why = stacks_of(czctl("why", "redis.service", "--stack", "-o", "json"))[0]["why_not"]
    same("did not run" in why or "sudo" in why, True, why)


def test_no_stack_of_nobody():
    with czd(why=lambda a: dict(fake_czd.WHY, finding=None, ledger=None)):
        same(b"no stack: no culprit is known by its pid" in czctl("why", "x", "--stack").stdout, True, "said")
        same(stacks_of(czctl("why", "x", "--stack", "-o", "json")), [], "stack")


# --- trials

def test_trials_are_told():
    def trial(zone, left_s):
        return {"zone": zone, "until_ns": 10**15, "left_ns": left_s * 10**9}

    for mode, trials, words in (
            ("observe", [trial("redis", 540)], "Mode: observe; enforcing for redis, 9 min left."),
            ("observe", [trial("a", 59), trial("b", 7200)],
             "Mode: observe; enforcing for a, 59 s left; enforcing for b, 120 min left."),
            ("enforce", [trial(None, 300)], "Mode: enforce, 5 min left."),
            ("enforce", [trial("a", 59)], "Mode: enforce."),
            ("observe", [trial(c, 30) for c in "abcde"],
             "Mode: observe; enforcing for a, 30 s left; enforcing for b, 30 s left; "
             "enforcing for c, 30 s left; and more.")):
        answer = {"mode": mode, "trials": trials, "until_ns": None, "zones": []}
        with czd(mode=lambda a, x=answer: x, list=lambda a, x=answer: x):
            for verb in ("mode", "list"):
                text = " ".join(czctl(verb).stdout.decode().split())
                same(words in text, True, f"{words!r} in {text!r}")


def test_approvals_are_told():
    answer = {"mode": "observe", "trials": [], "until_ns": None, "actions": [], "approvals": [
        {"zone": "redis", "target": "batch", "resource": "cpu", "until_ns": 10**15, "left_ns": 540 * 10**9}]}
    with czd(mode=lambda a: answer, actions=lambda a: answer):
        for verb in ("mode", "actions"):
            text = " ".join(czctl(verb).stdout.decode().split())
            same("Approved, 9 min left: when redis is hurt (cpu), batch is held back again without asking." in text, True, text)


# --- run, feed, follow

def test_run_becomes_the_command():
    with czd():
        result = czctl("run", "--name", "x", "sh", "-c", 'echo "$0 $1"; exit 7', "a", "--all")
        same((result.returncode, result.stdout), (7, b"a --all\n"), "command")
        same(czctl("run", "/").returncode, 126, "a directory")
        fds = czctl("run", "ls", "/proc/self/fd").stdout.split()
    same(len(fds), 4, "0 1 2 and ls's own; the socket is closed")


class FeedSink:
    """Takes feeds as czd does and says so; at most `most` lines a datagram, `refusal` for all."""

    def __init__(self, most=10**9, refusal=None, silent=False):
        self.path, self.most, self.refusal, self.silent = os.path.join(SCRATCH.name, "feed.sock"), most, refusal, silent
        self.lines, self.sizes = [], []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.sock.bind(self.path)
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.unlink(self.path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            with contextlib.suppress(OSError):
                last.sendto(b"", self.sock.getsockname())
        self.sock.close()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                data, sender = self.sock.recvfrom(65536)
                head, *lines = data.decode().splitlines()
                token = head.removeprefix("v1 ack ")
                lines = lines[:self.most]
                self.sizes.append(len(data))
                self.lines += lines
                values = sum(int(line.split()[4]) for line in lines)
                said = f"0 {values} {self.refusal}" if self.refusal else f"{values} 0 - "
                if not self.silent:
                    self.sock.sendto("v1 ack 0 9 9 9 - \n".encode(), sender)  # of another datagram
                    self.sock.sendto(f"v1 ack {token} {len(lines)} {said}\n".encode(), sender)


def test_feed():
    with FeedSink() as sink:
        result = czctl("feed", "web", "2.5ms", "400us")
        told(result, 0)
        same(result.stdout, b"czd took 2 values for web.\n", "answer")
        same(sink.lines, ["v1 web latency_ns 2500000 1", "v1 web latency_ns 400000 1"], "fed")
        same(json.loads(czctl("feed", "web", "1ms", "-o", "json").stdout), {"taken": 1, "refused": 0}, "JSON")


def test_feed_from_standard_input():
    with FeedSink() as sink:
        result = czctl("feed", "web", "-", stdin=None, input=b"1ms 250\n\n 2us\t3\r\n5s")
        told(result, 0)
        same(result.stdout, b"czd took 254 values for web.\n", "answer")
        same(sink.lines, ["v1 web latency_ns 1000000 250", "v1 web latency_ns 2000 3", "v1 web latency_ns 5000000000 1"], "fed")
        for line, text in (("x", b"line 2: 'x' is not a time"), ("1ms 0", b"line 2: '0' is not a count"),
                           ("1ms 2 3", b"line 2: expected TIME [COUNT]"), ("y" * 3000, b"line 2 is too long")):
            told(czctl("feed", "web", "-", stdin=None, input=f"1ms\n{line}\n".encode()), 2, text)
            same(sink.lines.pop(), "v1 web latency_ns 1000000 1", "what came before the error")


def test_feed_in_datagrams_that_fit():
    with FeedSink(most=150) as sink:
        result = czctl("feed", "web", "-", stdin=None, input=b"".join(b"%dus\n" % n for n in range(5000)))
        told(result, 0)
        same(result.stdout, b"czd took 5,000 values for web.\n", "answer")
        same(sink.lines, [f"v1 web latency_ns {n}000 1" if n else "v1 web latency_ns 0 1" for n in range(5000)],
             "what czd had no time for is sent again, and nothing twice")
        same(max(sink.sizes) <= 8192, True, "datagrams")


def test_feed_that_is_refused():
    for refusal, code, text in (("ENOENT there is no such zone", 4, b"2 values refused for web: there is no such zone"),
                                ("EPERM only root", 5, b"only root"), ("EOPNOTSUPP the zone is not protected", 1, b"not protected")):
        with FeedSink(refusal=refusal):
            result = czctl("feed", "web", "1ms", "2ms")
            told(result, code, text)
            same(result.stdout, b"", "nothing was taken")
    with FeedSink(silent=True):
        told(czctl("feed", "web", "1ms"), 3, b"does not say what became")


def test_feed_without_czd():
    told(czctl("feed", "web", "1ms"), 3, b"czd is not reachable at " + SCRATCH.name.encode() + b"/feed.sock")
    told(czctl("feed", "a b", "1ms"), 2, b"without blanks")


def started(*args, env=None):
    # Python ignores SIGPIPE for itself; what it starts must not inherit that
    return subprocess.Popen([CZCTL, *args], env=ENV | (env or {}), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


def test_events_follow():
    with czd():
        process = started("events", "--follow")
        lines = [process.stdout.readline() for _ in range(3)]
        same(lines[2], b"12:00:01  action   cpu.idle of batch/stress-ng back to 0\n", "new event")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        same(process.returncode, -signal.SIGINT, "ended by Ctrl-C")
    with czd("follow_and_leave"):
        told(czctl("events", "--follow"), 3, b"czd is not reachable")


def test_top_repeats_until_ctrl_c():
    with czd() as fake:
        process = started("top", "--interval", "100ms")
        live.wait_for(lambda: len(fake.requests) >= 3, 10, "three looks")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
    same(process.returncode, 0, "exit code")
    same(b"\x1b" in out, False, "cursor moves in a pipe")


# --- errors and czds that misbehave

def test_not_there():
    result = czctl("list")
    told(result, 3, b"Start it: sudo czd")
    told(czctl("list", "--socket", "/nonexistent"), 3, b"/nonexistent")
    told(czctl("list", env={"CZ_SOCKET": "/" + "x" * 200}), 2, b"is not a socket's path")
    open(SOCKET, "w", encoding="utf-8").close()
    told(czctl("list"), 3)
    os.unlink(SOCKET)
    told(czctl("version"), 3)
    same(czctl("--version").returncode, 0, "--version needs no czd")


def test_a_czd_that_is_just_starting():
    """Nobody listens yet: czctl looks again for half a second."""
    process = started("version")
    time.sleep(0.2)
    with czd():
        process.communicate(timeout=10)
    same(process.returncode, 0, "exit code")


def test_a_stale_socket():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(SOCKET)
    told(czctl("list"), 3, b"Connection refused")
    os.unlink(SOCKET)


def test_not_allowed_to_look():
    with czd():
        result = as_nobody("list", mode=0o660)
    told(result, 5, b"Use sudo, or join the group 'cz'.")


def timed(limit_s, *args):
    start = time.monotonic()
    result = czctl(*args)
    if time.monotonic() - start > limit_s:
        raise AssertionError(f"took {time.monotonic() - start:.1f} s")
    return result


def test_hung():
    with czd("hung"):
        told(timed(7, "list"), 3, b"does not answer")


def test_a_backlog_that_is_full():
    with socket.socket(socket.AF_UNIX) as sock, contextlib.ExitStack() as others:
        sock.bind(SOCKET)
        sock.listen(0)
        for _ in range(2):
            other = others.enter_context(socket.socket(socket.AF_UNIX))
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                other.connect(SOCKET)
        told(timed(12, "list"), 3, b"does not answer")
    os.unlink(SOCKET)


def test_nonsense():
    for behaviour, code, text in (
            ("garbage", 3, b"not JSON"), ("array", 3, b"not JSON"), ("endless", 3, b"a line without end"),
            ("half", 3, b"Connection reset"), ("close", 3, b"Connection reset"),
            ("wrong_id", 3, b"an answer to another question"), ("no_data", 3, b"an answer without data"),
            ("bare_error", 1, b"refused without saying why"), ("pieces", 0, b"")):
        with czd(behaviour):
            told(czctl("list"), code, text)


def test_answers_without_fields_with_wrong_or_long_ones():
    for behaviour in ("empty", "wrong_types", "long"):
        for name, arguments in EVERY.items():
            with czd(behaviour):
                for more in ((), ("-o", "json")):
                    result = czctl(*words(arguments), *more)
                    if result.returncode not in (0, 6) or result.stderr:
                        raise AssertionError(f"{behaviour} {name}: {result}")


def test_an_older_czd():
    with czd(verify=None) as fake:
        del fake.answers["verify"]
        told(czctl("verify"), 1, b"this czd does not know 'verify'. Is czd older than czctl?")


EVIL = "a\x1b[2J\x07\nb\x7f\x9b\u202e\u2028\r\tc"


def evil(value):
    """All text in the answer gets control characters."""
    if isinstance(value, dict):
        return {key: evil(v) for key, v in value.items()} | {EVIL: EVIL}
    if isinstance(value, list):
        return [evil(v) for v in value]
    return EVIL + value if isinstance(value, str) else value


def test_control_characters_stay_inside():
    allowed = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]*")
    for name, arguments in EVERY.items():
        verb = words(arguments)[0]
        with czd(**{verb: lambda a, v=verb: evil(fake_czd.ANSWERS[v](a))}):
            for more in ((), ("-o", "json"), ("--color", "always")):
                result = czctl(*words(arguments), *more)
                text = re.sub(r"\x1b\[(0|1|32|33|1;31)m", "", result.stdout.decode())
                if not allowed.fullmatch(text) or result.returncode not in (0, 6):
                    raise AssertionError(f"{name} {more}: {text!r} {result.stderr!r}")
    with czd():
        text = czctl("why", EVIL).stderr.decode()
    if not allowed.fullmatch(text):
        raise AssertionError(f"error: {text!r}")


def test_wide_names_stay_aligned():
    names = ("数据库/缓存.service", "cafe\u0301", "x" * 200, "")
    rows = [dict(fake_czd.REDIS, name=name) for name in names]
    with czd(list=lambda a: {"mode": "observe", "zones": rows}):
        text = czctl("list").stdout.decode()
    table = [line for line in text.splitlines() if line.endswith(("hurt", "state"))]
    starts = {columns(re.sub(r"(hurt|state)$", "", line)) for line in table}
    same((len(table), len(starts)), (5, 1), f"rows and where the last column starts in\n{text}")
    same(max(map(columns, text.splitlines())) <= 80, True, "width")


# --- output

def on_terminal(env=None):
    """What `czctl list` prints on a terminal of 100 columns."""
    master, slave = pty.openpty()
    try:
        czctl("list", env=env, stdout=slave, stderr=slave, capture_output=False)
        return os.read(master, 65536)
    finally:
        os.close(master)
        os.close(slave)


def test_color_only_on_terminals():
    with czd():
        same(b"\x1b" in on_terminal({"TERM": "xterm"}), True, "colour on a terminal")
        for env in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}):
            same(b"\x1b" in on_terminal(env), False, f"colour with {env}")
        same(b"\x1b" in czctl("list").stdout, False, "colour in a pipe")
        same(b"\x1b" in czctl("list", "--color", "always").stdout, True, "--color always")


def test_a_reader_that_leaves():
    rows = [dict(fake_czd.REDIS, name=f"zone-{i}") for i in range(20000)]
    with czd(list=lambda a: {"mode": "observe", "zones": rows}):
        result = subprocess.run(["bash", "-c", f"{CZCTL} list | head -1"], env=ENV, check=False,
                                capture_output=True, timeout=60, preexec_fn=lambda: signal.signal(
                                    signal.SIGPIPE, signal.SIG_DFL))
    same((result.returncode, result.stderr), (0, b""), "exit code and errors")
    same(result.stdout, b"20000 of 20,000 latency-critical zones hurt. Mode: observe.\n", "first line")


def test_a_full_disk():
    with czd(), open("/dev/full", "wb") as full:
        told(czctl("list", capture_output=False, stdout=full, stderr=subprocess.PIPE), 1,
             b"cannot write the output")


def test_check_as_json():
    result = czctl("check", BAD_YAML, "-o", "json")
    told(result, 2)
    data = json.loads(result.stdout)
    same((data["ok"], data["total"], data["errors"][0]["line"]), (False, 14, 2), "errors")
    same(json.loads(czctl("check", "examples/czd.yaml", "-o", "json").stdout),
         {"ok": True, "total": 0, "errors": []}, "a good file")


def test_memory_of_a_long_list():
    rows = [dict(fake_czd.REDIS, name=f"zone-{i}") for i in range(65536)]
    with czd(list=lambda a: {"mode": "observe", "zones": rows}):
        result = czctl("list", "--all")
    told(result, 0)
    same(result.stdout.count(b"\n"), 65536 + 5, "lines")


# --- documents

def test_manual_has_every_verb_and_option():
    with open(os.path.join(TOP, "man", "czctl.1"), encoding="utf-8") as file:
        page = file.read().replace("\\-", "-")
    documented = re.findall(r"^\.It Cm ([a-z]+)", page, re.M)
    same(documented, [verb for verb in verb_names() if verb != "help"], "verbs in man/czctl.1")
    for verb in documented:
        section = page.split(f"\n.It Cm {verb}", 1)[1].split("\n.It Cm ", 1)[0]
        for option in re.findall(r"^  (?:-[a-z], )?--([a-z-]+)", czctl("help", verb).stdout.decode(), re.M):
            if f"Fl -{option}" not in section:
                raise AssertionError(f"man/czctl.1: {verb}: no --{option}")


def test_completion():
    script = os.path.join(TOP, "packaging", "czctl.bash-completion")
    program = ('. "$1"; COMP_WORDS=("${@:2}"); '
               "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _czctl; printf '%s\\n' \"${COMPREPLY[@]}\"")

    def completed(*typed):
        result = subprocess.run(["bash", "-c", program, "bash", script, *typed], check=True,
                                env=ENV | {"PATH": live.BIN + ":" + ENV["PATH"]},
                                capture_output=True, timeout=20)
        return result.stdout.decode().split()

    same(sorted(completed("czctl", "")), sorted(verb_names()), "verbs")
    same(completed("czctl", "unp"), ["unprotect"], "unp")
    same(completed("czctl", "mode", ""), ["observe", "enforce"], "mode")
    same(completed("czctl", "why", "--st"), ["--stack"], "options come from the help")
    same(completed("czctl", "suggest", "-o", ""), ["table", "json", "yaml"], "formats of suggest")
    same(completed("czctl", "flame", "x", "-o", live.TOP + "/CHANGE"), [live.TOP + "/CHANGELOG.md"], "files of flame")
    with czd():
        same(completed("czctl", "why", "red"), ["redis.service"], "zones come from czd")


def cases():
    for name, arguments in GOLDEN_CASES.items():
        yield f"golden-{name}", lambda n=name, a=arguments: golden(n, a)
    for name, function in list(globals().items()):
        if name.startswith("test_"):
            yield name.removeprefix("test_").replace("_", "-"), function


def main():
    failed = 0
    for name, function in cases():
        if sys.argv[1:] and not any(wanted in name for wanted in sys.argv[1:]):
            continue
        start = time.monotonic()
        try:
            function()
            state, why = "ok", ""
        except Skip as reason:
            state, why = "skip", f" - {reason}"
        except (AssertionError, OSError, ValueError, subprocess.SubprocessError, TimeoutError) as error:
            state, why, failed = "FAIL", " - " + str(error).replace("\n", "\\n"), failed + 1
        print(f"case {state} {name} {time.monotonic() - start:.2f}{why}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
