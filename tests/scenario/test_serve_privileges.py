"""What the daemon needs, and what its processes hold: as little as can be.

It runs as a user of its own without any capability, on a file system of which it may write
one directory; and the process that talks to the network holds neither the driver nor a
file. The kernel's own account of each process is what is looked at.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import mask_page, samples, wait_until, without_daemons_own

NOBODY = "65532"

# Everything is read-only but the first argument; the rest becomes the program.
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift && exec "$@"'
ISOLATE = ["unshare", "--mount", "--propagation", "private", "sh", "-c", READ_ONLY, "sh"]
DROP = [
    "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups",
    "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs",
]

pytestmark = pytest.mark.release_only  # another user cannot write the sanitizers' findings


@pytest.fixture
def writable():
    """A directory that the daemon may write to; not pytest's own, which only root enters."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give privileges up")
    with tempfile.TemporaryDirectory(prefix="writable", dir="/tmp") as folder:
        os.chown(folder, int(NOBODY), int(NOBODY))
        tried = subprocess.run([*ISOLATE, folder, "true"], capture_output=True, text=True)
        if tried.returncode != 0:
            pytest.skip(f"cannot make a read-only root here: {tried.stderr.strip()}")
        yield Path(folder)


@pytest.fixture
def unprivileged(simulated, serve, writable):
    """unprivileged(*flags) → a daemon with nothing, and its node."""

    def start(*flags):
        node = simulated("default")
        node.directory.chmod(0o755)
        return serve(node, *flags, prefix=[*ISOLATE, writable, *DROP]), node

    return start


def status(pid):
    """{name: value} of what the kernel says about a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def descriptors(pid):
    """What the descriptors of a process are, without its standard error, the log."""
    folder = Path(f"/proc/{pid}/fd")
    return [os.readlink(fd) for fd in folder.iterdir() if fd.name != "2"]


def has_driver(pid):
    return "libnvidia-ml" in Path(f"/proc/{pid}/maps").read_text()


def processes(daemon):
    """The parent, the server and the worker, once each has settled."""
    daemon.wait_collected()
    (server,) = daemon.children("gpu-sess-web")
    (worker,) = daemon.children("gpu-sessions")
    return daemon.process.pid, server, worker


def test_everything_works_without_privileges(unprivileged, writable):
    textfile = writable / "gpu_sessions.prom"
    daemon, node = unprivileged(f"--textfile={textfile}")
    for pid in processes(daemon):
        of = status(pid)
        assert of["Uid"].split() == [NOBODY] * 4 and of["Gid"].split() == [NOBODY] * 4
        assert of["Groups"].strip() == ""
        assert of["NoNewPrivs"] == "1"
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(of[name], 16) == 0, name
    served = daemon.get().text
    assert without_daemons_own(mask_page(served, node)) == mask_page(node.page(), node)
    assert daemon.get("/readyz").status == 200
    wait_until(textfile.exists, "the textfile")
    missing = samples(served).keys() - samples(textfile.read_text()).keys()
    assert missing == {key for key in samples(served) if key[0].startswith("process_")}
    assert daemon.stop() == 0


def test_where_it_must_not_write_it_says_so(unprivileged, tmp_path):
    daemon, node = unprivileged("--textfile=/var/tmp/gpu_sessions.prom")
    daemon.wait_collected()
    wait_until(lambda: "/var/tmp/" in daemon.log, "the path named")
    assert "ead-only file system" in daemon.log
    assert daemon.get("/readyz").status == 200


def test_the_server_is_locked_in(unprivileged):
    daemon, _ = unprivileged()
    _, server, _ = processes(daemon)
    found = re.findall(r"sandbox: [^\n]*", daemon.log)
    assert len(found) == 1
    if "seccomp: NOT AVAILABLE" in found[0]:
        pytest.skip(f"this kernel has no seccomp: {found[0]}")
    assert status(server)["Seccomp"] == "2"


def test_the_server_drops_what_root_has(simulated, serve):
    """Started by root, it keeps no capability although the parent does."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to have something to drop")
    daemon = serve(simulated("default"))
    parent, server, _ = processes(daemon)
    assert int(status(parent)["CapEff"], 16) != 0
    of = status(server)
    assert of["NoNewPrivs"] == "1"
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(of[name], 16) == 0, name


def test_who_holds_what(simulated, serve):
    daemon = serve(simulated("default"))
    parent, server, worker = processes(daemon)
    assert has_driver(worker)
    assert not has_driver(server) and not has_driver(parent)
    harmless = re.compile(r"(socket|pipe):\[|anon_inode:\[(eventfd|eventpoll)\]|/dev/null$")
    held = descriptors(server)
    assert any(name.startswith("socket:") for name in held)
    assert not [name for name in held if not harmless.match(name)]
    assert not [name for name in descriptors(worker) if name.startswith("socket:")]


def test_who_holds_what_after_restarts(simulated, serve):
    """A process that is started later inherits no more than the first."""
    daemon = serve(simulated("default"))
    _, server, worker = processes(daemon)
    before = sorted(re.sub(r"\d+", "", name) for name in descriptors(server))
    for pid in (server, worker):
        os.kill(pid, 9)
    wait_until(
        lambda: len(daemon.children()) == 2
        and not {server, worker} & set(daemon.children()), "both started anew",
    )
    parent, server, worker = processes(daemon)
    assert sorted(re.sub(r"\d+", "", name) for name in descriptors(server)) == before
    assert not [name for name in descriptors(worker) if name.startswith("socket:")]
    assert not has_driver(server) and not has_driver(parent)


def core_limits(pid):
    text = Path(f"/proc/{pid}/limits").read_text()
    return re.search(r"Max core file size +(\S+) +(\S+)", text).groups()


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_the_servers_memory_goes_to_no_core_handler(simulated, serve, sandbox):
    """A limit of 1, for 0 stops files but not handlers: core(5)."""
    daemon = serve(simulated("default"), f"--sandbox={sandbox}")
    _, server, _ = processes(daemon)
    assert core_limits(server) == ("1", "1")
    assert "core handler" not in daemon.log


def test_a_limit_that_cannot_be_set_is_said(simulated, serve):
    node = simulated("default")
    node.directory.chmod(0o755)
    drop = DROP if os.geteuid() == 0 else []
    daemon = serve(node, prefix=["prlimit", "--core=0:0", *drop])
    daemon.wait_collected()
    assert daemon.log.count("LimitCORE=1") == 1


def test_a_web_configuration_in_the_root_folder_is_warned_of(simulated, serve):
    if not os.access("/", os.W_OK):
        pytest.skip("needs to write into /")
    node = simulated("plain")
    with tempfile.NamedTemporaryFile(dir="/", prefix="gpu-sessions-", suffix=".yml") as file:
        log = serve(node, f"--web.config.file={file.name}").log
        assert log.count("lies directly in /: move it") == 1
        log = serve(node, f"--web.config.file={file.name}", "--sandbox=off").log
        assert "lies directly in /" not in log


def test_sandbox_off(simulated, serve):
    daemon = serve(simulated("default"), "--sandbox=off")
    _, server, _ = processes(daemon)
    assert status(server)["Seccomp"] == "0"
    assert daemon.log.count("sandbox") == 1 and 'msg="sandbox: off"' in daemon.log
