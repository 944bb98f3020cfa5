# SPDX-License-Identifier: MIT
"""How long QEMU alone takes to bring the same kernel to its first process: what a zone's boot is
measured against. Nothing of ours runs in it: busybox prints one line and powers off."""
import importlib.machinery
import importlib.util
import os
import stat
import subprocess
import tempfile
import time

from demolib.control import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = b"first process runs"
INIT = f"""#!/bin/busybox sh
mount -t devtmpfs dev /dev
echo "{MARK.decode()}" >/dev/ttyS0
poweroff -f
"""


def load_run_guest():
    path = os.path.join(os.path.dirname(os.path.dirname(HERE)), "tests/guest/run-guest")
    loader = importlib.machinery.SourceFileLoader("run_guest", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_guest", loader))
    loader.exec_module(module)
    return module


def initramfs(run_guest):
    archive = run_guest.Archive()
    archive.add("dev", stat.S_IFDIR | 0o755)
    run_guest.shell_interpreter(archive)
    archive.add_text("/init", INIT, 0o755)
    return archive.finish()


def boot_ms(cpus, memory_mib, accel, timeout_s=60):
    """One boot; from the start of the process to the first line of the guest's first process."""
    run_guest = load_run_guest()
    qemu, kernel = run_guest.QEMU, run_guest.KERNEL
    with tempfile.NamedTemporaryFile(prefix="cz-bare.") as image:
        image.write(initramfs(run_guest))
        image.flush()
        line = [f"{qemu}/bin/qemu-system-x86_64", "-L", f"{qemu}/share/qemu", "-nodefaults",
                "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35",
                "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi",
                "-cpu", "host" if accel == "kvm" else "max", "-smp", str(cpus),
                "-m", str(memory_mib), "-kernel", f"{kernel}/vmlinux", "-initrd", image.name,
                "-append", "console=ttyS0 panic=-1 quiet rdinit=/init",
                "-serial", "stdio", "-monitor", "none"]
        env = dict(os.environ, QEMU_MODULE_DIR=f"{qemu}/lib/x86_64-linux-gnu/qemu")
        start = time.monotonic()
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, env=env)
        try:
            return watch(process, start, timeout_s)
        finally:
            process.kill()
            process.wait()


def watch(process, start, timeout_s):
    seen = b""
    while time.monotonic() - start < timeout_s:
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            break
        seen += piece
        if MARK in seen:
            return 1000 * (time.monotonic() - start)
    raise Failed("bare QEMU did not boot: " + seen.decode(errors="replace")[-200:])
