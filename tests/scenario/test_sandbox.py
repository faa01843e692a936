"""What the serving process cannot do once it is locked in, and what it still can.

tests/server/sandbox_probe.c enters the server's sandbox and tries it. Each layer is tested
with the other left out too: it refuses by itself what it should. With all of them left out
the same attempts succeed, so a refusal is the sandbox's and no accident of the test.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import clean_environment

NOBODY = 65532

WORKS = {"accept", "epoll", "thread", "clock", "random", "compress"}
FILES = {"read_passwd", "read_process", "write_scratch", "create_scratch", "mkdir"}
NETWORK = {"bind", "connect_tcp"}
OTHERS = {"kill", "tgkill", "ptrace", "process_vm_readv"}
# Landlock has no word on these.
CALLS_ONLY = {
    "inotify", "socket_tcp", "socket_udp", "socket_netlink", "connect_fastopen",
    "connect_unix", "fork", "vfork", "clone3", "pidfd_open", "prlimit", "mmap_exec",
    "mprotect_exec", "unshare", "io_uring", "keyctl", "ioctl", "int80",
}
# Refused to a user without capabilities anyway, or absent from the kernel: nothing is
# expected of them where the filter is left out.
PRIVILEGED = {"socket_raw", "mount", "bpf"}
# Kernels may be built without these, or containers forbid them: no control for them.
OPTIONAL = {"clone3", "connect_fastopen", "unshare", "io_uring", "keyctl", "int80", "ptrace",
            "process_vm_readv"}
EVERYTHING = FILES | NETWORK | OTHERS | CALLS_ONLY | PRIVILEGED | {"execve"}
REFUSED = {"EPERM", "EACCES"}


class Probe:
    """Runs the probe with what it needs around it."""

    def __init__(self, build, stack, user):
        self.user = user
        # Not pytest's own folder, which no other user can enter.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="box", dir="/tmp"))
        self.folder = Path(folder)
        self.folder.chmod(0o755)
        self.program = shutil.copy(build / "tests/server/sandbox_probe", folder)
        self.readable = self.folder / "readable"
        self.readable.mkdir()
        (self.readable / "inside").write_text("content")
        (self.readable / "outward").symlink_to("/etc/passwd")
        self.tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        self.unix.bind(str(self.folder / "unix"))
        self.unix.listen()
        (self.folder / "unix").chmod(0o777)

    def run(self, *flags):
        """The words for the log, and {attempt: "done" or the error's name}."""
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder))
            os.chmod(scratch, 0o777)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.enter_context(socket.create_connection(listener.getsockname()))
            command = [
                self.program, "--tcp", self.tcp.getsockname()[1], "--unix", self.folder / "unix",
                "--listener", listener.fileno(), "--scratch", scratch, *flags,
            ]
            identity = {}
            if self.user:
                identity = {"user": self.user, "group": self.user, "extra_groups": []}
            done = subprocess.run(
                list(map(str, command)), pass_fds=[listener.fileno()], capture_output=True,
                text=True, timeout=60, cwd="/", stdin=subprocess.DEVNULL,
                env=clean_environment(), **identity,
            )
        assert done.returncode == 0, done.stderr
        lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
        return lines.pop("sandbox"), lines


@pytest.fixture(params=[0, NOBODY], ids=["root", "nobody"])
def probe(build, request):
    if os.geteuid() != 0:
        pytest.skip("needs root, to run as other users")
    with contextlib.ExitStack() as stack:
        yield Probe(build, stack, request.param)


def need(words, layer):
    if f"{layer}: NOT AVAILABLE" in words:
        pytest.skip(f"this kernel has no {layer}: {words}")


def landlock_abi(words):
    need(words, "landlock")
    return int(words.split("landlock (ABI ", 1)[1].split(")", 1)[0])


def refused(results, names):
    """Those of NAMES that were not refused."""
    return {
        name: results[name]
        for name in names
        if results[name] not in REFUSED and not (name == "clone3" and results[name] == "ENOSYS")
    }


def test_locked_in(probe):
    words, results = probe.run()
    need(words, "seccomp")
    assert words.startswith("capabilities dropped; no new privileges; ")
    assert "calls allowed" in words
    assert {name: results[name] for name in WORKS} == dict.fromkeys(WORKS, "done")
    assert refused(results, EVERYTHING) == {}
    # Where nothing may be read, not even the question is allowed.
    assert results["read_passwd"] == "EPERM"


def test_locked_in_with_a_web_configuration(probe):
    words, results = probe.run("--readable", probe.readable)
    need(words, "seccomp")
    need(words, "landlock")
    assert f"files below {probe.readable}" in words
    assert {name: results[name] for name in WORKS} == dict.fromkeys(WORKS, "done")
    assert results["read_inside"] == "done"
    assert refused(results, EVERYTHING | {"read_outward", "write_inside"}) == {}


def test_landlock_alone(probe):
    words, results = probe.run("--without", "seccomp", "--readable", probe.readable)
    abi = landlock_abi(words)
    expected = FILES | {"execve", "ptrace", "process_vm_readv", "read_outward", "write_inside"}
    if abi >= 4:
        expected |= NETWORK
    if abi >= 6:
        expected |= OTHERS
    assert refused(results, expected) == {}
    assert {name: results[name] for name in WORKS} == dict.fromkeys(WORKS, "done")
    assert results["read_inside"] == "done"
    # The control for the other layer's part.
    assert {name: results[name] for name in CALLS_ONLY - OPTIONAL} == dict.fromkeys(
        CALLS_ONLY - OPTIONAL, "done")


def test_seccomp_alone(probe):
    words, results = probe.run("--without", "landlock")
    need(words, "seccomp")
    assert refused(results, EVERYTHING) == {}
    assert {name: results[name] for name in WORKS} == dict.fromkeys(WORKS, "done")


def test_seccomp_alone_still_reads_but_never_writes(probe):
    words, results = probe.run("--without", "landlock", "--readable", probe.readable)
    need(words, "seccomp")
    readable = {"read_passwd", "read_process"}
    assert refused(results, (EVERYTHING - readable) | {"write_inside"}) == {}
    assert results["read_inside"] == "done"


def test_no_layer_refuses_nothing(probe):
    words, results = probe.run("--without", "landlock", "--without", "seccomp")
    assert words.endswith("landlock: left out; seccomp: left out")
    control = EVERYTHING - PRIVILEGED - OPTIONAL
    assert {name: results[name] for name in control} == dict.fromkeys(control, "done")


def test_capabilities_are_dropped(probe):
    """What root may do by its capabilities alone, the privileges layer alone refuses."""
    if probe.user:
        pytest.skip("has no capability to drop")
    _, kept = probe.run("--without", "privileges", "--without", "landlock",
                        "--without", "seccomp")
    if kept["mount"] != "done":
        pytest.skip(f"root may not mount here: {kept['mount']}")
    _, dropped = probe.run("--without", "landlock", "--without", "seccomp")
    assert dropped["mount"] == "EPERM"
