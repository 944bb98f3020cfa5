#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 180
# cases: by name
"""czctl flame on real programs: whose function is widest, by cgroup and by task; what strangers call themselves;
the picture in a browser.

Usage: test-flame.py [CASE...]"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check  # noqa: E402
from browser import Browser  # noqa: E402

NAME = f"cz-flame{os.getpid()}"
HOSTILE = "<b>&\";']]>\x1b[2J"
SVG = "{http://www.w3.org/2000/svg}"


def czctl(*arguments, **options):
    return subprocess.run([live.program("czctl"), "--socket", "/nonexistent", *arguments], text=True, capture_output=True,
                          check=False, timeout=60, **options)


def flame(*arguments):
    result = czctl("flame", *arguments)
    if "CAP_PERFMON" in result.stderr or "not permitted" in result.stderr:
        raise live.Skip(result.stderr.strip())
    check(result.returncode == 0, result)
    return result


def hog(group, command=None, threads="1"):
    group.start([command or live.program("cz-work"), "hog", "--threads", threads, "--seconds", "600"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def samples_in(stacks, wanted):
    return sum(s["samples"] for s in stacks if any(wanted in frame for frame in s["frames"]))


def widest_is_the_hogs(names, by_cgroup):
    with live.Group(NAME, names=names) as group, live.Group(f"{NAME}x", names=names) as decoy:
        hog(group)
        decoy.start(["sh", "-c", "while :; do :; done"])
        told = json.loads(flame(f"/{NAME}", "--for", "2s", "-o", "json").stdout)
    check(told["by_cgroup"] == by_cgroup, told)
    check(told["samples"] > 20 and told["samples"] == sum(s["samples"] for s in told["stacks"]), told)
    check(told["processes"] == 1 and {s["frames"][0] for s in told["stacks"]} == {"cz-work"}, "the zone's process, not its neighbour's")
    inside = samples_in(told["stacks"], "work_unit (cz-work)") + samples_in(told["stacks"], "burn (cz-work)")
    check(inside > told["samples"] / 2, f"{inside} of {told['samples']} in its own loop: {told['stacks']}")
    check(told["event"] in ("cycles", "CPU clock"), told)


def by_cgroup():
    if "unified" not in live.controllers():
        raise live.Skip("no v2 hierarchy")
    widest_is_the_hogs(("cpu", "cpuacct", "cpuset", "memory", "freezer", "unified"), True)


def by_task():
    if live.controllers()["cpu"] == live.controllers().get("unified"):
        raise live.Skip("the cpu controller is on v2: the kernel picks the samples")
    widest_is_the_hogs(("cpu", "cpuacct"), False)


def names_of_strangers():
    with live.Group(NAME) as group, tempfile.TemporaryDirectory() as folder:
        hog(group, shutil.copy(live.program("cz-work"), os.path.join(folder, HOSTILE)))
        file = os.path.join(folder, "flame.svg")
        said = flame(f"/{NAME}", "--for", "1s", "-o", file)
        check("samples of" in said.stdout and "0 lost" in " ".join(said.stdout.split()), said.stdout)
        text = live.read(file)
        folded = flame(f"/{NAME}", "--for", "1s", "--folded").stdout
    check("\x1b" not in text and "<b>" not in text, "markup or control characters of a name")
    tree = xml.etree.ElementTree.fromstring(text)
    titles = [t.text for t in tree.iter(f"{SVG}title")]
    check(any(t.startswith("<b>&\":']]>\\x1b[2J\n"[:12]) for t in titles), titles)
    check(len(list(tree.iter(f"{SVG}script"))) == 1, "one script, ours")
    check(not [a for e in tree.iter() for a in e.attrib if a.lower().startswith("on") or "href" in a], "nothing that acts or is fetched")
    for line in folded.splitlines():
        stack, _, number = line.rpartition(" ")
        check(int(number) > 0 and stack.startswith("<b>&\":"), line)


def in_a_browser():
    if not shutil.which("chromium"):
        raise live.Skip("no chromium")
    with live.Group(NAME) as group, tempfile.TemporaryDirectory() as folder:
        hog(group)
        file = os.path.join(folder, "flame.svg")
        flame(f"/{NAME}", "--for", "1s", "-o", file)
        with Browser() as page:
            page.open(f"file://{file}")
            page.wait("!!window.flame && flame.frames.length > 1", 30, "the script has run")
            first = "document.querySelector('.f rect').getAttribute('width')"
            whole = page.run(first)
            page.run("flame.search('WORK_unit')")
            found = page.run("document.getElementById('found').textContent")
            check("WORK_unit" in found and "%" in found and page.run("document.querySelectorAll('.hit').length") > 0, found)
            narrow = "flame.frames.reduce((a, b) => a.n < b.n ? a : b)"
            page.run(f"{narrow}.g.dispatchEvent(new MouseEvent('click'))")
            check(page.run(f"{narrow}.rect.getAttribute('width')") == page.run("document.documentElement.dataset.inner"), "zoomed")
            page.press("Escape", 27)
            page.wait(f"Math.abs({first} - {whole}) < 0.1", 10, "back again")
            check(not page.errors, page.errors)


def refusals():
    with live.Group(NAME) as group:
        result = czctl("flame", f"/{NAME}", "--for", "100ms")
        check(result.returncode == 1 and "did not run" in result.stderr, f"an idle zone: {result}")
        hog(group)
        if live.read("/proc/sys/kernel/perf_event_paranoid") in ("1", "2", "3", "4"):
            with tempfile.TemporaryDirectory() as folder:
                os.chmod(folder, 0o755)
                copy = shutil.copy(live.program("czctl"), folder)
                result = subprocess.run([copy, "flame", f"/{NAME}"], text=True, capture_output=True, check=False, timeout=60,
                                        user=65534, group=65534, extra_groups=[])
            check(result.returncode == 5 and "CAP_PERFMON" in result.stderr and "sudo" in result.stderr, f"as nobody: {result}")
        result = czctl("flame", f"/{NAME}", "--for", "100ms", "-o", "/nonexistent/x.svg")
        check(result.returncode == 4 and "/nonexistent/x.svg" in result.stderr, result)
    check(czctl("flame", f"/{NAME}").returncode == 4, "a cgroup that is gone")
    check(czctl("flame", "redis").returncode == 3, "a name takes czd")
    check(czctl("flame", "/", "--for", "1h").returncode == 2, "too long")


if __name__ == "__main__":
    live.need_root()
    live.raise_on_signals()
    sys.exit(live.run_cases((by_cgroup, by_task, names_of_strangers, in_a_browser, refusals),
                            (AssertionError, TimeoutError, OSError, ValueError, KeyError)))
