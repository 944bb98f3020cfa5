# SPDX-License-Identifier: MIT
"""A libvirtd of one's own: its folders are empty ones in a mount namespace, its network is a namespace too. What listens at
/run/libvirt there is the host's libvirt for all programs that are started in it."""
import ctypes
import glob
import os
import shutil
import subprocess
import sys
import tempfile

import live
import vmzone

INSIDE = "CZ_TEST_LIBVIRTD"
PR_SET_CHILD_SUBREAPER = 36
FOLDERS = ("/run/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt", "/etc/libvirt")
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>128</memory><vcpu>{vcpus}</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{kernel}</kernel><cmdline>console=ttyS0 panic=0</cmdline></os>
<features><acpi/></features>{cputune}
<devices><emulator>{qemu}</emulator><controller type='usb' model='none'/><memballoon model='virtio'/></devices>
<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-L'/><qemu:arg value='{data}'/>
</qemu:commandline></domain>"""


def missing():
    for program in ("libvirtd", "virsh"):
        if not shutil.which(program):
            return f"no {program} (./dev setup)"
    return vmzone.missing()


def enter():
    """Runs this program anew in namespaces of its own, once; returns in there. Meanwhile this process takes the orphans, as
    init does: a daemon of libvirt's waits until the QEMU that it killed is gone, and it is the parent of none."""
    if INSIDE in os.environ:
        return
    os.environ[INSIDE] = "1"
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    inside = os.spawnvp(os.P_NOWAIT, "unshare", ["unshare", "--mount", "--net", sys.executable, *sys.argv])
    while True:
        pid, status = os.wait()
        if pid == inside:
            sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def groups():
    """What libvirt made, in every hierarchy."""
    found = set()
    for parent, folders, _ in os.walk("/sys/fs/cgroup"):
        found.update(os.path.join(parent, name) for name in folders if name == "machine" or name.endswith(".libvirt-qemu"))
    return found


class Libvirtd:
    """with Libvirtd() as libvirt: ..."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="cz-libvirt-")
        os.chmod(self.top, 0o755)
        self.before, self.process = groups(), None

    def prepare(self):
        for folder in FOLDERS:
            os.makedirs(folder, exist_ok=True)
            mount("-t", "tmpfs", "none", folder)
        # One that can be opened but is no KVM has libvirt ask QEMU for its abilities over and over.
        if os.path.exists("/dev/kvm"):
            live.write(f"{self.top}/kvm", "")
            os.chmod(f"{self.top}/kvm", 0)
            mount("--bind", f"{self.top}/kvm", "/dev/kvm")
            mount("-o", "remount,bind,ro", "/dev/kvm")
        # libvirt wants the user it was built for to be there, if not to be used.
        for name, line in (("passwd", "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin"), ("group", "libvirt-qemu:x:64055:")):
            text = live.read(f"/etc/{name}")
            live.write(f"{self.top}/{name}", text + "\n" if "libvirt-qemu" in text else f"{text}\n{line}\n")
            mount("--bind", f"{self.top}/{name}", f"/etc/{name}")
        live.write("/etc/libvirt/qemu.conf", 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nstdio_handler = "file"\n'
                   'namespaces = []\n')
        live.write("/etc/libvirt/libvirtd.conf", 'auth_unix_rw = "none"\n')
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # A domain's user has to get at QEMU by its path.
        shutil.copy(vmzone.QEMU, f"{self.top}/qemu")
        shutil.copytree(os.path.join(vmzone.DEPS, "qemu/usr/share/qemu"), f"{self.top}/qemu-data")

    def start(self):
        with open(f"{self.top}/log", "ab") as log:
            self.process = subprocess.Popen(["libvirtd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=live.die_with_parent)
        live.wait_for(lambda: subprocess.run(["virsh", "list"], capture_output=True, check=False).returncode == 0, 30, "libvirtd answers")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def virsh(self, *arguments):
        done = subprocess.run(["virsh", "-q", *arguments], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"virsh {' '.join(arguments)}: {done.stderr}{live.read(self.top + '/log')[-1000:]}")
        return done.stdout

    def create(self, name, vcpus=2, cputune=""):
        """A domain of somebody's, whose kernel finds no root and spins."""
        live.write(f"{self.top}/{name}.xml", DOMAIN.format(name=name, vcpus=vcpus, cputune=cputune, kernel=vmzone.KERNEL, qemu=f"{self.top}/qemu",
                                                           data=f"{self.top}/qemu-data"))
        self.virsh("create", f"{self.top}/{name}.xml")

    def found(self, name):
        """How it is limited: as libvirt has it, and as the kernel has it."""
        knobs = {}
        for top in groups():
            for where, _, _ in os.walk(top) if f"-{name}." in top else ():
                knobs.update({path: live.read(path) for knob in live.KNOBS for path in glob.glob(f"{where}/{knob}")})
        return {"pins": self.virsh("vcpupin", name), "schedule": self.virsh("schedinfo", name), "knobs": knobs,
                "affinity": {tid: os.sched_getaffinity(tid) for tid in self.threads(name)}}

    def logs(self):
        return ["\n".join(live.read(path).splitlines()[-6:]) for path in [f"{self.top}/log", *glob.glob("/var/log/libvirt/qemu/*.log")]]

    def pid(self, name):
        return int(live.read(f"/run/libvirt/qemu/{name}.pid"))

    def threads(self, name):
        return [int(tid) for tid in os.listdir(f"/proc/{self.pid(name)}/task")]

    def __enter__(self):
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_):
        try:
            for name in self.virsh("list", "--name").split():
                self.virsh("destroy", name)
        finally:
            self.stop()
            for path in groups() - self.before:
                live.remove_tree(path)
            shutil.rmtree(self.top, ignore_errors=True)
