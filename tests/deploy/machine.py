"""Small Debian machines for tests that install packages: containers of systemd-nspawn.

Each starts from the same tree with everything above it in memory, has no network but its own
loopback, and leaves nothing behind: not in the tree, not on this machine.
"""

import contextlib
import fcntl
import hashlib
import itertools
import os
import platform
import shutil
import subprocess
from pathlib import Path

from harness import ROOT, clean_environment, wait_until

TREES = ROOT / ".tools/chroots"
CGROUPS = Path("/sys/fs/cgroup")
numbers = itertools.count()


def make_tree(*packages):
    """The tree of a Debian with what is essential and PACKAGES; made once, then kept."""
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    key = hashlib.sha256(" ".join([suite, *packages]).encode()).hexdigest()[:12]
    tree = TREES / key
    TREES.mkdir(parents=True, exist_ok=True)
    with open(TREES / f"{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            unfinished = TREES / f"{key}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            subprocess.run(
                ["mmdebstrap", "--quiet", "--mode=root", "--variant=essential",
                 f"--include={','.join(packages)}", suite, unfinished], check=True)
            unfinished.rename(tree)
    return tree


def find_hierarchies():
    """Where systemd keeps processes in groups: one folder, or two beside the old layout's."""
    found = [CGROUPS / name for name in ("unified", "systemd") if (CGROUPS / name).is_dir()]
    return found or [CGROUPS]


class Machine:
    def __init__(self, tree, shared, boot):
        """TREE with the folder SHARED as /packages; systemd as process 1 when BOOT."""
        self.name = f"gpu-sessions-test-{os.getpid()}-{next(numbers)}"
        self.groups = [folder / self.name for folder in find_hierarchies()]
        for group in self.groups:
            group.mkdir()
        # Its processes go into groups of their own: there is no systemd to ask for them.
        enter = "".join(f"echo $$ >{group}/cgroup.procs; " for group in self.groups)
        self.process = subprocess.Popen(
            ["sh", "-c", enter + 'exec systemd-nspawn "$@"', "sh", "--quiet",
             f"--directory={tree}", "--volatile=overlay", f"--machine={self.name}",
             "--private-network", "--register=no", "--keep-unit", "--console=pipe",
             f"--bind-ro={shared}:/packages",
             *(["--boot"] if boot else ["--as-pid2", "sleep", "infinity"])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=clean_environment(SYSTEMD_NSPAWN_LOCK="0",
                                  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1"))
        marker = "/run/systemd/private" if boot else "/packages"
        wait_until(lambda: self.has_started(marker), "the machine is up")

    def has_started(self, marker):
        assert self.process.poll() is None, self.process.stdout.read().decode()
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.first = children.read_text().split()
        return self.first and self.try_run("test", "-e", marker).returncode == 0

    def try_run(self, *command, **more):
        return subprocess.run(
            ["nsenter", "--target", self.first[0], "--all", "env", "-i",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *map(str, command)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **more)

    def run(self, *command):
        """What COMMAND prints; it must succeed."""
        done = self.try_run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def files(self):
        """{path: kind, mode, owner, size} of everything that can outlive a start."""
        listed = self.run("find", "/", "-xdev", "-printf", r"%p\t%y %m %u:%g %l\n")
        return dict(line.split("\t") for line in listed.splitlines())

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self.first[0]), 9)
        self.process.communicate(timeout=30)
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                os.rmdir(folder)
        with contextlib.suppress(OSError):
            Path("/run/systemd/nspawn/propagate", self.name).rmdir()
