#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 300
"""Every command that README.md and docs/*.md show runs: the lines that begin with "$ " or "# " in
blocks marked ```console, in order, page by page, against a czd in a scratch directory. A command has
to end 0, or with what a comment behind it says: "$ czctl inspect reids   # exit 4".

Beforehand there are the zones that the pages talk about: what ZONES lists, each with a task in it.
Commands in EXCEPT are not run, each for the reason given there; an exception that no page uses any
more fails the test, so the table stays true."""
import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402

# pattern (whole command): why it is not run here
EXCEPT = {
    r"\./dev (demo|test|accept|bench|soak|setup|build|shell|lint|fmt)( .*)?": "minutes long, and CI runs it itself",
    r"git clone .*": "needs the network",
    r"cd .*": "each command runs in the repository",
    r"(sudo )?czd( .*)?": "a czd runs already, in a directory of its own",
    r"(sudo )?systemctl .*": "needs systemd as the first process",
    r"(sudo )?apt(-get)? .*": "changes the machine",
    r"(sudo )?(meson|ninja) .*": "builds, or installs to the machine",
}
# name below the root of each hierarchy: the task that runs in it
ZONES = {
    "cz-redis": ["sleep", "1000"],
    "cz-batch": ["sleep", "1000"],
}
COMMENT = re.compile(r"\s+# (.*)$")
SECONDS = 30


class Command:
    def __init__(self, page, line, text):
        comment = COMMENT.search(text)
        self.where = f"{os.path.relpath(page, live.TOP)}:{line}"
        self.text = COMMENT.sub("", text).strip()
        expected = re.search(r"\bexit (\d+)", comment.group(1)) if comment else None
        self.expected = int(expected.group(1)) if expected else 0

    def exception(self):
        return next((pattern for pattern in EXCEPT if re.fullmatch(pattern, self.text)), None)


def commands_of(page):
    """The commands of a page; one that ends with a backslash goes on in the next line."""
    inside, pending, start = False, "", 0
    with open(page, encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            line = line.rstrip("\n")
            if line.lstrip().startswith("```"):
                inside = not inside and line.strip() == "```console"
                continue
            found = re.match(r"\s*[$#] (.*)", line)
            if not inside or not (pending or found):
                continue
            if not pending:
                start, line = number, found.group(1)
            pending += line.strip()
            if pending.endswith("\\"):
                pending = pending[:-1]
                continue
            yield Command(page, start, pending)
            pending = ""


def run(command, environment):
    """None when it did what it should, else what went wrong."""
    text = re.sub(r"^sudo ", "", command.text)
    try:
        done = subprocess.run(["bash", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, cwd=live.TOP, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return f"no end after {SECONDS} s"
    if done.returncode == command.expected:
        return None
    output = (done.stdout + done.stderr).strip().splitlines()[-5:]
    return "\n      ".join([f"exit {done.returncode}, expected {command.expected}"] + output)


def main():
    pages = [os.path.join(live.TOP, "README.md")] + sorted(glob.glob(os.path.join(live.TOP, "docs", "*.md")))
    commands = [command for page in pages if os.path.exists(page) for command in commands_of(page)]
    if not commands:
        print("no page shows a command (a block marked ```console)")
        return 1
    live.need_root()
    live.raise_on_signals()
    used, failed, ran = set(), 0, 0
    groups = []
    try:
        for name, task in ZONES.items():
            groups.append(live.Group(name))
            groups[-1].start(task)
        with live.Czd() as czd:
            environment = dict(os.environ, CZ_SOCKET=czd.socket_path, PATH=f"{live.BIN}:{os.environ['PATH']}")
            for command in commands:
                exception = command.exception()
                if exception:
                    used.add(exception)
                    continue
                ran += 1
                wrong = run(command, environment)
                print(f"{'FAIL' if wrong else 'ok'} {command.where}: {command.text}" + (f"\n      {wrong}" if wrong else ""))
                failed += bool(wrong)
    finally:
        for group in groups:
            group.remove()
    print(f"{len(commands)} commands shown, {ran} run, {failed} failed")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
