#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 300
"""Every command that README.md and docs/*.md show runs, page by page and in order, against a czd in a
scratch directory and in one shell with job control, as a person would paste them: the lines that begin with
"$ " or "# " in blocks marked ```console, each on its own, and blocks marked ```sh as a whole. A command has to end 0, or with
what a comment behind it says: "$ czctl inspect reids   # exit 4". Commands in EXCEPT are not run, each
for the reason given there."""
import contextlib
import glob
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402

# pattern (whole command): why it is not run here
EXCEPT = {
    r"\./dev (demo|test|accept|bench|soak|setup|build|deb|shell|lint|fmt)( .*)?": "minutes long, and CI runs it itself",
    r"git clone .*": "needs the network",
    r"cd .*": "each command runs in the repository",
    r"(sudo )?czd( .*)?": "a czd runs already, in a directory of its own",
    r"(sudo )?systemd-sysusers": "changes the machine's groups",
    r"(sudo )?systemctl .*": "needs systemd as the first process",
    r"(sudo )?apt(-get)? .*": "changes the machine",
    r"(sudo )?(meson|ninja) .*": "builds, or installs to the machine",
    r"(sudo )?(groupadd|usermod|useradd) .*": "changes the machine's users and groups",
    r"scx-\S+ --(?!help).*": "needs a kernel with sched_ext: the scheduler tests run them in a guest",
    r"czctl kernel build \S+": "takes half an hour: ./dev soak kernels",
    r"kill %\?czd": "its czd is not a job of this shell",
}
COMMENT = re.compile(r"\s+# (.*)$")
SECONDS = 30


class Command:
    """One command, or a block of them."""

    def __init__(self, page, line, text, block=False):
        comment = None if block else COMMENT.search(text)
        self.where = f"{os.path.relpath(page, live.TOP)}:{line}"
        self.text = text if block else COMMENT.sub("", text).strip()
        self.block = block
        expected = re.search(r"\bexit (\d+)", comment.group(1)) if comment else None
        self.expected = int(expected.group(1)) if expected else 0

    def exception(self):
        return any(re.fullmatch(pattern, self.text) for pattern in EXCEPT)


def blocks_of(page):
    """(language, number of its first line, lines) of each fenced block."""
    language, start, lines = None, 0, []
    with open(page, encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            fence = line.lstrip().startswith("```")
            if fence and language is None:
                language, start, lines = line.strip()[3:], number + 1, []
            elif fence:
                yield language, start, lines
                language = None
            else:
                lines.append(line.rstrip("\n"))


def commands_of(page):
    """The commands of a page; one that ends with a backslash goes on in the next line."""
    for language, start, lines in blocks_of(page):
        if language == "sh":
            yield Command(page, start, "\n".join(lines), block=True)
        pending = ""
        for number, line in enumerate(lines if language == "console" else [], start):
            found = re.match(r"\s*[$#] (.*)", line)
            if pending or found:
                pending += line.strip() if pending else found.group(1)
                if pending.endswith("\\"):
                    pending = pending[:-1]
                else:
                    yield Command(page, number, pending)
                    pending = ""


class Shell:
    """One bash that runs all commands; what they leave in the background ends with it."""

    def __init__(self, environment):
        self.environment, self.folder, self.bash = environment, tempfile.TemporaryDirectory(prefix="cz-docs-"), None

    def start(self):
        self.bash = subprocess.Popen(["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                     cwd=live.TOP, env=self.environment, start_new_session=True, preexec_fn=live.die_with_parent)
        self.bash.stdin.write("set -m\n")

    def run(self, command):
        """None when it did what it should, else what went wrong."""
        if not self.bash:
            self.start()
        script, out = os.path.join(self.folder.name, "script"), os.path.join(self.folder.name, "out")
        live.write(script, re.sub(r"^sudo ", "", command.text) + "\n")
        self.bash.stdin.write(f". {script} </dev/null >{out} 2>&1; echo $?\n")
        self.bash.stdin.flush()
        if not select.select([self.bash.stdout], [], [], SECONDS)[0]:
            self.end()
            return f"no end after {SECONDS} s"
        if command.block:
            time.sleep(2)  # for what is started in it
        status = int(self.bash.stdout.readline() or 255)
        if status == command.expected:
            return None
        return "\n      ".join([f"exit {status}, expected {command.expected}"] + live.read(out).splitlines()[-5:])

    def members(self):
        """The processes of its session: background jobs have groups of their own."""
        for entry in os.listdir("/proc"):
            with contextlib.suppress(ValueError, ProcessLookupError, PermissionError):
                if os.getsid(int(entry)) == self.bash.pid:
                    yield int(entry)

    def end(self):
        for pid in list(self.members()) if self.bash else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if self.bash:
            self.bash.kill()
            self.bash.wait()
        self.bash = None


def zones_made(czd):
    """The zones of czctl run, by the names that the pages give them."""
    with contextlib.suppress(OSError, live.RequestError):
        return [zone["path"] for zone in czd.request("list", all=True)["zones"] if zone["path"].startswith("/cz-")
                and os.path.basename(zone["path"]) in ("cz-redis", "cz-batch")]
    return []


def main():
    pages = [os.path.join(live.TOP, "README.md")] + sorted(glob.glob(os.path.join(live.TOP, "docs", "*.md")))
    commands = [command for page in pages if os.path.exists(page) for command in commands_of(page)]
    if not commands:
        print("no page shows a command (a block marked ```console)")
        return 1
    live.need_root()
    live.raise_on_signals()
    failed = ran = 0
    with live.Czd() as czd:
        shell = Shell(dict(os.environ, CZ_SOCKET=czd.socket_path, PATH=f"{live.BIN}:{os.environ['PATH']}"))
        try:
            for command in commands:
                if command.exception():
                    continue
                ran += 1
                wrong = shell.run(command)
                print(f"{'FAIL' if wrong else 'ok'} {command.where}: {command.text}" + (f"\n      {wrong}" if wrong else ""))
                failed += bool(wrong)
        finally:
            shell.end()
            live.wait_for(lambda: not zones_made(czd), 10, "the zones that were made are removed")
    print(f"{len(commands)} commands shown, {ran} run, {failed} failed")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
