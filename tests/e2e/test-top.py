#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 120
# cases: by name
"""czctl top on terminals of several sizes, with a real czd and real harm: what is on the screen, keys, resizing, a
czd that hangs, dies and comes back, signals, terminals that can do less.

Usage: test-top.py [CASE...]"""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check  # noqa: E402
from screen import Screen  # noqa: E402

NAME = f"cz-top{os.getpid()}"
LC, BE = f"{NAME[3:]}-lc", f"{NAME[3:]}-be"
ODD = NAME + "-\x1b[2J\u202e\u754c\u754c\x9b31m"
ODD_SHOWN = NAME[3:] + r"-\x1b[2J\xe2\x80\xae" + "\u754c\u754c" + r"\xc2\x9b31m"
CPU = os.cpu_count() - 1
CZD = live.Czd("tick: 250ms\n")
KEY = {"up": "\x1b[A", "down": "\x1b[B", "escape": "\x1b", "enter": "\r", "home": "\x1bOH"}


def top(*arguments, rows=24, columns=80, **env):
    return Screen([live.program("czctl"), "--socket", CZD.socket_path, "top", *arguments], rows, columns, **env)


def row_of(lines, name):
    """The line of the list, not of what is below it."""
    return next((line for line in lines[3:] if line.split(maxsplit=1)[:1] == [name]), None)


def fits(screen, columns):
    check(all(len(line) <= columns for line in screen.lines()), f"wider than the terminal:\n{screen.text()}")


def who_hurts_whom():
    """At 80x24, without any key: the host, the victim, its culprit with a share, trends, the finding, the proposal."""
    with top() as screen:
        screen.wait(lambda lines: (row_of(lines, LC) or "").endswith("hurt"), 20, "the victim is hurt")
        screen.wait(lambda lines: lines[3].startswith(LC), 10, "who waits most is first")
        screen.shows(f"── {LC}, latency-critical, goal wait.p99=500us ──")
        part = screen.wait(lambda lines: next((line for line in lines[12:] if line.startswith(f" {BE} ") and "█" in line), None),
                           20, "the culprit, and its bar")
        check("%" in part and " be " in part, f"{part}")
        screen.wait(lambda lines: any(line.startswith("finding ") and f": {LC} hurt by " in line for line in lines), 20, "the finding")
        screen.shows(f"would put {BE} in the idle class; proposed")
        lines = screen.lines()
        check(lines[0].startswith("CPU ") and f" of {os.cpu_count()} " in lines[0] and "PSI cpu " in lines[0], lines[0])
        check("open finding" in lines[1] and "observe" in lines[1] and "czd " in lines[1] and "ledger" in lines[1], lines[1])
        for trend in ("waits ", "CPUs "):
            line = next(line for line in lines[12:] if line.startswith(trend))
            check(any(block in line for block in "▁▂▃▄▅▆▇█") and ", most " in line, f"{line}")
        check(lines[-1].startswith("? help"), lines[-1])
        fits(screen, 80)
        api = next(z for z in CZD.request("top")["zones"] if z["name"] == BE)
        shown = row_of(screen.lines(), BE).split()
        check(shown[1] == "be" and abs(float(shown[2]) - api["cpu_ppm"] / 1e6) < 0.6, f"{shown} is not {api}")
        screen.press("q")
        check(screen.ended() == 0 and screen.restored(), f"after q: {screen.child.returncode}")


def keys():
    with top("--all") as screen:
        screen.shows(LC, 20)
        screen.press("?")
        screen.shows("any key goes back")
        screen.press("x")
        screen.shows("sort: waits")
        screen.press("n")
        screen.wait(lambda lines: lines[2].startswith("zone▼"), 10, "sorted by name")
        screen.press(KEY["home"])
        screen.wait(lambda lines: lines[3].startswith("/ "), 10, "the root's name is first")
        screen.press("/" + BE[:-1].upper() + "X\x7f")
        screen.shows(f"filter: {BE[:-1].upper()}_")
        screen.wait(lambda lines: lines[3].startswith(BE) and not lines[4], 10, "the one that matches, in any case")
        screen.press(KEY["enter"])
        screen.shows(f"── {BE}, best-effort ")
        screen.shows("is not protected")
        screen.press(KEY["escape"])
        screen.wait(lambda lines: row_of(lines, LC), 10, "the filter is gone")
        screen.press(f"/{NAME}\rt" + KEY["home"])
        screen.wait(lambda lines: lines[3].startswith("▾ /"), 10, "the tree, with its root first")
        screen.wait(lambda lines: any(line.startswith(f"    cz-{LC}") for line in lines), 10, "what is below it, by its own name")
        screen.press(KEY["home"] + " ")
        screen.wait(lambda lines: lines[3].startswith("▸ /") and not lines[4], 10, "folded")
        screen.press(KEY["enter"])
        screen.wait(lambda lines: lines[3].startswith("▾ /") and lines[4], 10, "and not any more")
        screen.press("tcq")
        check(screen.ended() == 0 and screen.restored(), "q among keys")


def sizes():
    with top() as screen:
        screen.shows(f"── {LC}", 20)
        screen.resize(20, 60)
        screen.shows("60x20 is too small.")
        screen.shows("needs 80x24")
        screen.resize(50, 132)
        screen.wait(lambda lines: lines[49].startswith("? help") and len(lines[2]) > 120, 10, "all of a larger one")
        fits(screen, 132)
        screen.resize(24, 80)
        screen.wait(lambda lines: lines[23].startswith("? help") and len(lines[2]) <= 80, 10, "and back")
        os.kill(screen.child.pid, signal.SIGTERM)
        check(screen.ended() == 0 and screen.restored(), "SIGTERM")


def czd_goes_and_comes_back():
    """It hangs, it dies, it is there again: keys work all the while, and what is old is not shown as new."""
    with top() as screen:
        screen.shows(f"── {LC}", 20)
        worker = CZD.worker_pid()
        os.kill(worker, signal.SIGSTOP)
        try:
            screen.shows("czd does not answer for ", 20)
            screen.press("?")
            screen.shows("any key goes back")
            screen.press("x")
            screen.shows("is it stopped or overloaded?")
        finally:
            os.kill(worker, signal.SIGCONT)
        screen.wait(lambda lines: "does not answer" not in lines[0] and "ledger" in lines[1], 20, "it answers again")
        CZD.stop()
        screen.shows("czd does not answer for ", 20)
        check(row_of(screen.lines(), LC), "what was known last is not there any more")
        CZD.start()
        protect()
        screen.wait(lambda lines: "does not answer" not in lines[0] and "ledger" in lines[1], 20, "the next one answers")
        screen.press("\x03")  # the terminal makes it a SIGINT
        check(screen.ended() == 0 and screen.restored(), "Ctrl-C")


def terminals_that_can_less():
    with top(LC_ALL="C", NO_COLOR="1") as screen:
        screen.wait(lambda lines: any(line.startswith(f"-- {LC}") for line in lines), 20, "ASCII")
        screen.press("t")
        screen.wait(lambda lines: lines[3].startswith("- /"), 10, "the tree")
        screen.read()
        check(all(byte < 0x80 for byte in screen.raw), "bytes of UTF-8 where the locale has none")
        check(b"\x1b[31m" not in screen.raw and b"\x1b[32m" not in screen.raw, "colours in spite of NO_COLOR")
    with top(TERM="vt100") as screen:
        screen.shows(LC, 20)
    for name in ("dumb", "no-such-terminal"):
        with top(TERM=name) as screen:
            check(screen.ended() == 1 and b"cannot be drawn on or is not known" in screen.raw and b"--once" in screen.raw, f"{name}: {screen.raw}")
            check(screen.restored(), name)


def names_are_harmless():
    """Control characters, wide ones, and one that turns the direction of writing: the name stays in its place."""
    with live.Group(ODD):
        live.wait_for(lambda: any(z["path"] == f"/{ODD}" for z in CZD.request("list", all=True)["zones"]), 20, "czd sees it")
        with top("--all", columns=132) as screen:
            screen.press("/" + NAME[3:])
            line = screen.wait(lambda lines: next((line for line in lines[3:12] if "\\x1b" in line), None), 20, "the odd name")
            check(line.startswith(ODD_SHOWN + " "), f"{line!r}")
            check("\u202e" not in screen.text() and b"\xc2\x9b" not in screen.raw, "its characters came through")
            row, column = screen.lines().index(line), screen.lines()[2].index("class")
            check("".join(screen.screen.buffer[row][column + i].data for i in range(6)) == "normal", f"the columns moved: {line!r}")
            fits(screen, 132)


def without_a_terminal():
    """As --once; what is not there is told as ever."""
    out = CZD.czctl("top", timeout=20)
    check(out.returncode == 0 and "\x1b" not in out.stdout and LC in out.stdout, f"{out}")
    with Screen([live.program("czctl"), "--socket", "/nonexistent", "top"], 24, 80) as screen:
        check(screen.ended() == 3 and screen.restored(), "a czd that is not there")


def protect():
    live.wait_for(lambda: {f"/{NAME}-lc", f"/{NAME}-be"} <= {z["path"] for z in CZD.request("list", all=True)["zones"]}, 20, "czd sees the zones")
    CZD.request("protect", zone=f"/{NAME}-lc", slo="wait.p99=500us")
    CZD.request("protect", zone=f"/{NAME}-be", **{"class": "be"})


def main():
    live.need_root()
    live.raise_on_signals()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with CZD, live.Group(f"{NAME}-lc") as victim, live.Group(f"{NAME}-be") as hog:
        protect()
        victim.start([live.program("cz-work"), "sine", "--period", "4s", "--min", "40%", "--max", "70%", "--seconds", "600"], cpu=CPU, **quiet)
        hog.start([live.program("cz-work"), "hog", "--threads", "1", "--seconds", "600"], cpu=CPU, **quiet)
        return live.run_cases([who_hurts_whom, keys, sizes, terminals_that_can_less, names_are_harmless, without_a_terminal,
                               czd_goes_and_comes_back],
                              (AssertionError, TimeoutError, live.RequestError, OSError, RuntimeError))


if __name__ == "__main__":
    sys.exit(main())
