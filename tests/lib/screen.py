# SPDX-License-Identifier: MIT
"""A program on a terminal of a given size, and what is on its screen: a pty, and pyte (Debian: python3-pyte)."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import dist_packages  # noqa: F401
import live
import pyte


class Screen:
    """with Screen([...], 24, 80) as screen: screen.press("q")"""

    def __init__(self, command, rows, columns, **env):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns, told=False)
        self.before = termios.tcgetattr(self.slave)
        self.raw = b""

        def take_terminal():
            live.die_with_parent()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.child = subprocess.Popen(command, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                      start_new_session=True, preexec_fn=take_terminal,
                                      env=dict(os.environ, TERM="xterm-256color", LC_ALL="C.UTF-8") | env)

    def resize(self, rows, columns, told=True):
        """The kernel tells the program by SIGWINCH."""
        if told:
            self.read()
            self.screen.resize(rows, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            data = os.read(self.master, 1 << 16)
            self.raw += data
            self.stream.feed(data)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def lines(self):
        self.read()
        return [line.rstrip() for line in self.screen.display]

    def text(self):
        return "\n".join(self.lines())

    def wait(self, condition, timeout_s, what):
        """condition(lines); the screen is part of the error."""
        try:
            return live.wait_for(lambda: condition(self.lines()), timeout_s, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.text()}") from None

    def shows(self, text, timeout_s=10):
        return self.wait(lambda lines: next((line for line in lines if text in line), None), timeout_s, repr(text))

    def settle(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            time.sleep(0.02)

    def ended(self, timeout_s=10):
        """Its exit code, once it has ended; negative: a signal's number."""
        def is_over():
            self.read()
            return self.child.poll() is not None
        live.wait_for(is_over, timeout_s, "its end")
        return self.child.returncode

    def restored(self):
        """The terminal is as it was before: its modes, the main screen, a cursor that is seen."""
        self.read()
        return (termios.tcgetattr(self.slave) == self.before and self.raw.rfind(b"\x1b[?1049l") > self.raw.rfind(b"\x1b[?1049h")
                and self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l") if b"\x1b[?1049h" in self.raw
                else termios.tcgetattr(self.slave) == self.before)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
            self.child.wait()
        os.close(self.master)
        os.close(self.slave)
