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
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from harness import ROOT, clean_environment, wait_until

TREES = ROOT / ".tools/chroots"
CGROUPS = Path("/sys/fs/cgroup")
IDLE = "touch /run/idle; exec sleep infinity"
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
                 *(f"--include={package}" for package in packages), suite, unfinished],
                check=True)
            unfinished.rename(tree)
    return tree


def find_hierarchies():
    """Where systemd keeps processes in groups: one folder, or two beside the old layout's."""
    found = [CGROUPS / name for name in ("unified", "systemd") if (CGROUPS / name).is_dir()]
    return found or [CGROUPS]


class Machine:
    def __init__(self, tree, shared, boot):
        """TREE, with the folder SHARED as /packages; systemd as process 1 when BOOT."""
        self.first = None
        self.name = f"gpu-sessions-test-{os.getpid()}-{next(numbers)}"
        self.groups = [folder / self.name for folder in find_hierarchies()]
        for group in self.groups:
            group.mkdir()
        # Its processes go into groups of their own: there is no systemd to ask for them.
        enter = "".join(f"echo $$ >{group}/cgroup.procs; " for group in self.groups)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM",  # it ends with the tests, however these end
             "sh", "-c", enter + 'exec systemd-nspawn "$@"', "sh", "--quiet",
             f"--directory={tree}", "--volatile=overlay", f"--machine={self.name}",
             "--private-network", "--register=no", "--keep-unit", "--console=pipe",
             f"--bind-ro={shared}:/packages",
             # Its own filter is stricter than a real machine's; the unit's is what is tested.
             # By bpf systemd puts a service's list of devices into force.
             "--system-call-filter=bpf landlock_create_ruleset landlock_add_rule "
             "landlock_restrict_self",
             *(["--boot"] if boot else ["--as-pid2", "sh", "-c", IDLE])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=clean_environment(SYSTEMD_NSPAWN_LOCK="0",
                                  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1"))
        marker = "/run/systemd/private" if boot else "/run/idle"
        try:
            wait_until(lambda: self.has_started(marker), "the machine is up")
        except BaseException:
            self.stop()
            raise

    def has_started(self, marker):
        """/packages tells its tree from this machine's, which its first process begins in."""
        assert self.process.poll() is None, self.process.stdout.read().decode()
        self.first = self.find_first()
        return self.first and self.try_run(
            "test", "-d", "/packages", "-a", "-e", marker).returncode == 0

    def find_first(self):
        """The process that is number 1 in the machine; systemd-nspawn has others before it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in children.read_text().split():
            with contextlib.suppress(OSError):
                if re.search(r"^NSpid:\t\d+\t1$", Path(f"/proc/{pid}/status").read_text(), re.M):
                    return pid

    def try_run(self, *command, **more):
        return subprocess.run(
            ["nsenter", "--target", self.first, "--all", "env", "-i",
             "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *map(str, command)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **more)

    def run(self, *command):
        """What COMMAND prints; it must succeed."""
        done = self.try_run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path, text):
        """A file, and the folders above it."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', "sh", path, text)

    def processes(self):
        """{pid: (name, parent's pid)}"""
        lines = self.run("sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null || :").splitlines()
        found = (re.match(r"(\d+) \((.*)\) \S (\d+) ", line).groups() for line in lines)
        return {pid: (name, parent) for pid, name, parent in found}

    def get(self, path="/metrics", port=10105):
        """What the machine answers; this machine's Python asks, from the network within."""
        url = f"http://127.0.0.1:{port}{path}"
        done = subprocess.run(
            ["nsenter", "--target", self.first, "--net", sys.executable, "-c",
             "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())",
             url], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def files(self):
        """{path: kind, mode, owner, target of a link} of everything on its disk."""
        listed = self.run("find", "/", "-xdev", "-printf", r"%p\t%y %m %u:%g %l\n")
        return dict(line.split("\t") for line in listed.splitlines())

    def stop(self):
        if self.process.returncode is not None:
            return
        if self.first:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(self.first), signal.SIGKILL)
        else:
            self.process.kill()
        self.process.communicate(timeout=30)
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                os.rmdir(folder)
        with contextlib.suppress(OSError):
            Path("/run/systemd/nspawn/propagate", self.name).rmdir()
