#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 120
# cases: by name
# beside: yes
"""czctl kernel build without a real build: the tables of options against what Kconfig made of them, what must be there, and
the way from source to kernel with a make that makes nothing. ./dev soak kernels builds in earnest.

tests/e2e/test-kernel-build.py --capture TREE WORK writes tests/fixtures/kernel/ anew: WORK has what
`cz-build-kernel FLAVOUR DIR --source TREE --work WORK --configure` left for each flavour."""
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402

TABLES = os.path.join(live.TOP, "packaging", "kernel")
CAPTURED = os.path.join(live.TOP, "tests", "fixtures", "kernel")
BUILD = os.path.join(live.TOP, "packaging", "cz-build-kernel")
FLAVOURS = ("responsive", "stock", "throughput")
STANDINS = ("ld", "flex", "bison", "bc", "xz", "zstd", "perl")
# What Kconfig does with options given twice, and as many objects as a kernel of ten files.
MAKE = r"""#!/bin/bash
for word; do
	case $word in O=*) O=${word#O=} ;; KCONFIG_CONFIG=*) config=${word#*=} ;; -*) ;; *) target=$word ;; esac
done
case $target in
olddefconfig) awk '{ name = $1 == "#" ? $2 : $1; sub(/=.*/, "", name); last[name] = $0 }
	END { for (name in last) print last[name] }' "$config" | sort >"$config.x" && mv "$config.x" "$config" ;;
bzImage)
	[ ! -e "$FAKE/says" ] || { cat "$FAKE/says"; exit 2; }
	mkdir -p "$O/arch/x86/boot"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		[ -e "$O/$i.o" ] || { sleep 0.05; : >"$O/$i.o"; echo "CC $i.o" >>"$FAKE/compiled"; }
		while [ $i = 5 ] && [ -e "$FAKE/wait" ]; do sleep 0.05; done
	done
	cp "$FAKE/image" "$O/arch/x86/boot/bzImage" ;;
esac
"""


def check(holds, why):
    if not holds:
        raise AssertionError(why)


def table(name):
    """[(option, value, optional)]; each line has a reason."""
    rows = []
    for number, line in enumerate(live.read(f"{TABLES}/{name}.config").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        found = re.fullmatch(r"([A-Z0-9_]+) +(y|n|[0-9]+)(\??) +(\S.*)", line)
        check(found, f"{name}.config:{number}: not 'OPTION VALUE WHY': {line}")
        rows.append((found[1], found[2], bool(found[3])))
    names = [row[0] for row in rows]
    check(len(names) == len(set(names)), f"{name}.config: twice: {[n for n in names if names.count(n) > 1]}")
    return rows


def wanted(flavour):
    return {**{name: rest for name, *rest in table("zone")}, **{name: rest for name, *rest in table(flavour)}}


def capture(tree, work):
    known = set()
    for path in glob.glob(f"{tree}/**/Kconfig*", recursive=True):
        known.update(re.findall(r"^\s*(?:menu)?config ([A-Z0-9_]+)", live.read(path), re.M))
    for flavour in FLAVOURS:
        has = dict(re.findall(r"^CONFIG_([A-Z0-9_]+)=(.*)$", live.read(f"{work}/{flavour}/.config"), re.M))
        with open(f"{CAPTURED}/{flavour}", "w", encoding="ascii") as out:
            for name in sorted(wanted(flavour)):
                out.write(f"{name} {has.get(name, 'n' if name in known else '-')}\n")


def tables_are_what_kconfig_takes():
    """Of Linux 7.2, captured: a name that no Kconfig has is a slip."""
    for flavour in FLAVOURS:
        got = dict(line.split() for line in live.read(f"{CAPTURED}/{flavour}").splitlines())
        for name, (value, optional) in wanted(flavour).items():
            check(name in got, f"{flavour}: {name} is new: capture tests/fixtures/kernel anew")
            check(optional or got[name] == value, f"{flavour}: {name} is {got[name]}, not {value}")


class Scene:
    """A folder with programs of which some are ours, a source of three files, and a place for kernels."""

    def __init__(self, folder):
        self.folder, self.bin = folder, f"{folder}/bin"
        self.work, self.kernels, self.tree = (f"{folder}/{name}" for name in ("work", "kernels", "tree"))
        for path in (self.bin, self.work, f"{self.kernels}/default", f"{self.tree}/kernel/sched/ext"):
            os.makedirs(path)
        for path in ("Makefile", "kernel/sched/core.c"):
            live.write(f"{self.tree}/{path}", "")
        live.write(f"{self.kernels}/default/config", "CONFIG_XEN=y\nCONFIG_64BIT=y\n")
        live.write(f"{folder}/image", "no kernel at all")
        for name in STANDINS:
            self.program(name, "exit 0")
        self.program("gcc", "cat >/dev/null")
        self.program("pahole", "echo v1.30")
        live.write(f"{self.bin}/make", MAKE)
        for name in ("bash", "sh", "awk", "cat", "cmp", "chmod", "cp", "date", "df", "dirname", "env", "find", "flock", "grep", "head", "mkdir", "mktemp",
                     "mv", "nproc", "paste", "readlink", "rm", "sed", "sleep", "sort", "tail", "touch", "tr", "wc"):
            os.symlink(shutil.which(name), f"{self.bin}/{name}")

    def program(self, name, text):
        path = f"{self.bin}/{name}"
        if os.path.lexists(path):
            os.unlink(path)
        live.write(path, f"#!/bin/bash\n{text}\n")
        os.chmod(path, 0o755)

    def command(self, *more, flavour="responsive", source=True):
        return [BUILD, flavour, self.kernels, "--work", self.work, *(["--source", self.tree] if source else []), *more]

    def environment(self):
        return {"PATH": self.bin, "FAKE": self.folder}

    def run(self, *more, **options):
        os.chmod(f"{self.bin}/make", 0o755)
        return subprocess.run(self.command(*more, **options), env=self.environment(), capture_output=True, text=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL)

    def fails(self, pattern, *more, **options):
        done = self.run(*more, **options)
        check(done.returncode in (1, 2) and re.search(pattern, done.stderr), f"not '{pattern}': {done}")
        self.untouched()

    def untouched(self):
        check(os.listdir(self.kernels) == ["default"], f"left in the place for kernels: {os.listdir(self.kernels)}")

    def compiled(self):
        return len(live.read(f"{self.folder}/compiled").splitlines())


def what_is_missing_is_said(scene):
    scene.fails("no flavour 'fast'\n.*flavours: responsive stock throughput$", flavour="fast")
    for name in ("zone", "stock responsive", "../kernel/stock", ""):
        scene.fails("no flavour|are needed", flavour=name)
    scene.fails("unknown option --fast", "--fast", "x")
    scene.fails("'two' is not a number of jobs", "--jobs", "two")
    scene.fails("'0' is not a number of jobs", "--jobs", "0")
    os.unlink(f"{scene.bin}/flex")
    scene.program("gcc", "! grep -q libelf")
    scene.fails("a kernel's build needs: flex libelf-dev\n.*apt-get install --no-install-recommends flex libelf-dev")
    scene.program("flex", "exit 0")
    scene.program("gcc", "cat >/dev/null")
    os.unlink(f"{scene.bin}/df")
    scene.program("df", "printf 'Filesystem\\nx 1 1 12 1%% /\\n'")
    scene.fails("12 MiB free, and [0-9]+ MiB are needed\n.*--work DIR")


def sources_that_will_not_do(scene):
    live.write(f"{scene.tree}/.config", "")
    scene.fails("is not clean\n.*mrproper")
    os.unlink(f"{scene.tree}/.config")
    os.rename(f"{scene.tree}/kernel/sched/ext", f"{scene.tree}/none")
    scene.fails("without sched_ext")
    os.unlink(f"{scene.tree}/Makefile")
    scene.fails("not a kernel's source")


def configuration(scene):
    done = scene.run("--configure")
    check(done.returncode == 0, f"{done}")
    got = live.read(f"{scene.work}/responsive/.config").splitlines()
    check("# CONFIG_XEN is not set" in got and "CONFIG_HZ_1000=y" in got and "CONFIG_64BIT=y" in got, f"{got}")
    # a Kconfig that has its own mind
    live.write(f"{scene.bin}/make", MAKE.replace("print last[name]", 'if (name != "CONFIG_BPF_SYSCALL") print last[name]'))
    scene.fails("cannot be configured so: BPF_SYSCALL is n, not y")
    os.unlink(f"{scene.kernels}/default/config")
    scene.fails("no configuration to begin with\n.*kernel fetch")


def a_whole_build(scene):
    done = scene.run()
    check(done.returncode == 0 and scene.compiled() == 10, f"{done}")
    made = f"{scene.kernels}/responsive"
    check(sorted(os.listdir(made)) == ["built", "config", "vmlinuz"], f"{os.listdir(made)}")
    check(not os.path.exists(f"{scene.work}/responsive"), "objects stay")
    live.write(f"{scene.folder}/image", "another")
    check(scene.run().returncode == 0 and live.read(f"{made}/vmlinuz") == "another", "not built anew")
    check(sorted(os.listdir(scene.kernels)) == ["default", "responsive"], f"{os.listdir(scene.kernels)}")


def what_cannot_load_schedulers_is_not_installed(scene):
    scene.fails("could not be looked at|no schedulers can be loaded", "--czctl", os.path.join(live.BIN, "czctl"))
    check(os.path.exists(f"{scene.work}/responsive/arch/x86/boot/bzImage"), "what was built is gone")


def a_build_that_fails(scene):
    for says, hint in (("x.c: error: odd", "odd"), ("cc1: fatal error: No space left on device", "disk is full"),
                       ("gcc: fatal error: Killed signal terminated program cc1", "memory was used up")):
        live.write(f"{scene.folder}/says", says + "\n")
        scene.fails(f"(?s)the build failed.*{hint}|{hint}.*the build failed")
    os.unlink(f"{scene.folder}/says")


def stopped_and_gone_on_with(scene):
    live.write(f"{scene.folder}/wait", "")
    os.chmod(f"{scene.bin}/make", 0o755)
    first = subprocess.Popen(scene.command(), env=scene.environment(), stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    live.wait_for(lambda: os.path.exists(f"{scene.work}/responsive/5.o"), 20, "half of it")
    scene.fails("another build is running")
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate(timeout=20)
    check(first.returncode == 130 and "the same command goes on" in said, f"{first.returncode} {said}")
    scene.untouched()
    live.wait_for(lambda: subprocess.run(["flock", "-n", f"{scene.work}/lock", "true"], check=False).returncode == 0, 10, "make has ended too")
    os.unlink(f"{scene.folder}/wait")
    check(scene.run().returncode == 0, "does not go on")
    check(scene.compiled() == 10, f"compiled {scene.compiled()} files, not 10")


def on_a_scene(case):
    def run():
        with tempfile.TemporaryDirectory(prefix="cz-kernel-") as folder:
            case(Scene(folder))
    run.__name__ = case.__name__
    return run


def main():
    if sys.argv[1:2] == ["--capture"]:
        return capture(*sys.argv[2:4])
    cases = [tables_are_what_kconfig_takes] + [on_a_scene(case) for case in (
        what_is_missing_is_said, sources_that_will_not_do, configuration, a_whole_build, what_cannot_load_schedulers_is_not_installed,
        a_build_that_fails, stopped_and_gone_on_with)]
    return live.run_cases(cases, (AssertionError, OSError, subprocess.SubprocessError))


if __name__ == "__main__":
    sys.exit(main())
