"""The installed service under a real systemd, process 1 of a machine of its own.

Not shown here: MemoryMax= and TasksMax=, as a machine within this one has no controllers.
"""

import platform
import re

import pytest

from harness import ROOT, has_sessions, is_up, samples, wait_until

UNITS = ROOT / "deploy/systemd"
SERVICE = "gpu-sessions.service"
SOCKET = "gpu-sessions.socket"


class Service:
    """The installed service of a booted machine."""

    def __init__(self, machine):
        self.machine = machine

    def shown(self, name, unit=SERVICE):
        return self.machine.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def systemctl(self, *words):
        return self.machine.run("systemctl", *words)

    def is_active(self, unit=SERVICE):
        return self.shown("ActiveState", unit) == "active"

    @property
    def main(self):
        return self.shown("MainPID")

    def children(self, name):
        """The pids of the parts with this name."""
        return [pid for pid, (comm, parent) in self.machine.processes().items()
                if comm == name and parent == self.main]

    def journal(self):
        return self.machine.run("journalctl", "--no-pager", "-o", "cat", "-u", SERVICE)

    def samples(self):
        return samples(self.machine.get())

    def configure(self, arguments):
        self.machine.write("/etc/default/gpu-sessions", f'ARGS="{arguments}"\n')
        self.systemctl("restart", SERVICE)

    def add(self, *lines):
        """A drop-in, as `systemctl edit` makes it."""
        self.machine.write(f"/etc/systemd/system/{SERVICE}.d/test.conf",
                           "[Service]\n" + "\n".join(lines) + "\n")
        self.systemctl("daemon-reload")
        self.systemctl("restart", SERVICE)

    def simulate(self, scenario="default"):
        """Lets it read a simulated node, and often."""
        flags = self.machine.run("gpu-sessions", "simulate", "/srv/node", "--freeze",
                                 "--scenario", scenario).strip()
        self.configure(f"{flags} --collect.interval=200ms")

    def wait_sessions(self):
        return wait_until(lambda: has_sessions(self.samples()), "sessions are served")


@pytest.fixture
def machine(start_machine, debian, deb):
    machine = start_machine(debian, deb.parent, boot=True)
    yield machine
    machine.stop()


@pytest.fixture
def service(machine, deb):
    machine.run("dpkg", "-i", f"/packages/{deb.name}")
    return Service(machine)


# --- its life -----------------------------------------------------------------------------


def test_it_runs_after_the_installation_also_without_a_gpu(service):
    assert service.is_active() and service.shown("UnitFileState") == "enabled"
    assert not service.is_active(SOCKET)
    wait_until(lambda: "cannot load libnvidia-ml.so.1" in service.shown("StatusText"),
               "the state says what is missing")
    assert "Status: \"nvml: cannot load" in service.systemctl("status", SERVICE)
    assert not is_up(service.samples())
    assert service.systemctl("--failed", "--no-legend") == ""


def test_sessions_are_served(service):
    service.simulate()
    service.wait_sessions()
    assert service.shown("StatusText") == "all sources answer"
    total = next(value for (name, _), value in service.samples().items()
                 if name == "gpu_total_sessions")
    assert total == 8


def test_watchdog_is_fed_and_bites(service):
    assert service.shown("WatchdogUSec") == "30s"
    service.add("WatchdogSec=1", "RestartSec=0")
    first, fed = service.main, service.shown("WatchdogTimestampMonotonic")
    # Longer than the second within which it must be fed: two feedings were on time.
    wait_until(lambda: int(service.shown("WatchdogTimestampMonotonic")) > int(fed) + 1.5e6,
               "it was fed")
    assert service.main == first and service.shown("NRestarts") == "0"
    service.machine.run("sh", "-c", f"kill -STOP {first}")
    wait_until(lambda: service.shown("NRestarts") == "1" and service.is_active(),
               "it was started again")
    assert service.main != first and "Watchdog timeout" in service.journal()


def test_reload_keeps_the_process(service):
    first = service.main
    service.systemctl("reload", SERVICE)
    assert service.main == first and service.is_active()
    assert "reloading" in service.journal()


@pytest.mark.parametrize("child", ["gpu-sess-web", "gpu-sessions"])
def test_crash_of_a_part_is_survived(service, child):
    service.simulate()
    service.wait_sessions()
    main, (victim,) = service.main, service.children(child)
    service.machine.run("sh", "-c", f"kill -SEGV {victim}")
    wait_until(lambda: service.children(child) not in ([], [victim]), "it was replaced")
    service.wait_sessions()
    assert service.main == main and service.shown("NRestarts") == "0"


def test_crash_of_the_main_process_starts_it_again(service):
    service.add("RestartSec=0")
    first = service.main
    service.machine.run("sh", "-c", f"kill -SEGV {first}")
    wait_until(lambda: service.shown("NRestarts") == "1" and service.is_active(),
               "it was started again")
    assert service.main != first and "ok" in service.machine.get("/healthz")


def test_a_mistake_in_the_flags_is_not_tried_again(service):
    service.machine.write("/etc/default/gpu-sessions", 'ARGS="--no-such-flag"\n')
    assert service.machine.try_run("systemctl", "restart", SERVICE).returncode != 0
    assert service.shown("ActiveState") == "failed"
    assert service.shown("ExecMainStatus") == "2" and service.shown("NRestarts") == "0"
    assert "--no-such-flag" in service.journal()


@pytest.mark.parametrize("scenario", ["default", "hang"])
def test_stop_is_clean(service, scenario):
    """Also while a call of the driver hangs."""
    service.simulate(scenario)
    wait_until(lambda: "gpu_session_source_up" in service.machine.get(), "it has collected")
    service.systemctl("stop", SERVICE)
    assert service.shown("Result") == "success"
    assert service.shown("ExecMainStatus") == "0"
    assert "timed out" not in service.journal()
    assert not [comm for comm, _ in service.machine.processes().values()
                if comm.startswith("gpu-sess")]


def test_driver_is_let_go_and_taken_again(service):
    """The commands of the README of the units."""
    service.simulate()
    service.wait_sessions()
    kill = ["systemctl", "kill", "--kill-whom=main", SERVICE, "-s"]
    assert f"{' '.join(kill[:2])} -s SIGUSR1 --kill-whom=main" in (
        UNITS / "README.md").read_text()
    service.machine.run(*kill, "SIGUSR1")
    wait_until(lambda: not is_up(service.samples()), "the driver was let go")
    service.machine.run(*kill, "SIGUSR2")
    service.wait_sessions()
    assert service.shown("NRestarts") == "0"


# --- what it may write --------------------------------------------------------------------

TEXTFILES = "/var/lib/prometheus/node-exporter"


def test_textfile_in_the_usual_folder(service):
    service.machine.run("install", "-d", "-o", "gpu-sessions", TEXTFILES, "/var/lib/elsewhere")
    path = f"{TEXTFILES}/gpu_sessions.prom"
    service.configure(f"--collect.interval=200ms --textfile={path}")
    wait_until(lambda: service.machine.try_run("test", "-s", path).returncode == 0,
               "the textfile is there")
    assert service.machine.run("stat", "-c", "%a %U", path).split() == ["644", "gpu-sessions"]
    # Elsewhere it takes ReadWritePaths=, and says so.
    service.configure("--collect.interval=200ms --textfile=/var/lib/elsewhere/it.prom")
    wait_until(lambda: "/var/lib/elsewhere" in service.journal(), "it says what is wrong")
    assert "Read-only file system" in service.journal()
    service.add("ReadWritePaths=/var/lib/elsewhere")
    wait_until(lambda: service.machine.try_run(
        "test", "-s", "/var/lib/elsewhere/it.prom").returncode == 0, "the textfile is there")


# --- socket activation --------------------------------------------------------------------


def activate_socket(service):
    """The commands of the README of the units."""
    service.machine.run(
        "install", "-D", "-m", "0644",
        "/usr/share/doc/gpu-sessions/systemd/socket-activation.conf",
        f"/etc/systemd/system/{SERVICE}.d/socket-activation.conf")
    service.systemctl("daemon-reload")
    service.systemctl("stop", SERVICE)
    service.systemctl("enable", "--now", SOCKET)
    service.systemctl("start", SERVICE)


def test_socket_activation(service):
    activate_socket(service)
    assert service.is_active() and service.is_active(SOCKET)
    assert "ok" in service.machine.get("/healthz")
    # systemd holds the port: the next request starts what was stopped.
    service.systemctl("stop", SERVICE)
    assert not service.is_active()
    assert "ok" in service.machine.get("/healthz")
    assert service.is_active()


def test_upgrade_keeps_the_socket(service, deb):
    activate_socket(service)
    first, since = service.main, service.shown("ActiveEnterTimestampMonotonic", SOCKET)
    service.machine.run("dpkg", "-i", f"/packages/{deb.name}")
    assert service.is_active() and service.main != first
    assert service.shown("ActiveEnterTimestampMonotonic", SOCKET) == since
    assert "ok" in service.machine.get("/healthz")


# --- removal ------------------------------------------------------------------------------


def listens(machine):
    state_listening = "0A"
    return re.search(rf":{10105:04X} \S+ {state_listening} ",
                     machine.run("cat", "/proc/net/tcp", "/proc/net/tcp6"))


@pytest.mark.parametrize("prepare", [lambda service: None, activate_socket],
                         ids=["plain", "socket activation"])
def test_removal_stops_it(service, prepare):
    prepare(service)
    assert listens(service.machine)
    service.machine.run("dpkg", "-r", "gpu-sessions")
    assert not [comm for comm, _ in service.machine.processes().values()
                if comm.startswith("gpu-sess")]
    assert not listens(service.machine)
    service.machine.run("dpkg", "-P", "gpu-sessions")
    left = service.machine.try_run("systemctl", "list-unit-files", "--no-legend", "gpu-sess*")
    assert left.stdout == ""


# --- from the archive ---------------------------------------------------------------------


def documented_commands(heading):
    """The commands of a section of docs/install.md."""
    text = (ROOT / "docs/install.md").read_text()
    section = text.split(f"### {heading}\n")[1].split("\n#")[0]
    return "".join(line.removeprefix("    ") + "\n" for line in section.splitlines()
                   if line.startswith("    "))


@pytest.fixture
def machine_with_archive(start_machine, debian, tarball):
    machine = start_machine(debian, tarball.parent, boot=True)
    machine.run("sh", "-c", "mkdir /srv/downloads && cp /packages/*.tar.gz /srv/downloads")
    yield machine
    machine.stop()


def test_archive_as_a_service(machine_with_archive):
    """The documented commands, one after the other, make the service run."""
    machine = machine_with_archive
    for heading in ("Unpack it", "Run it as a service"):
        machine.run("sh", "-euc", f"cd /srv/downloads; {documented_commands(heading)}")
    service = Service(machine)
    assert service.is_active() and service.shown("UnitFileState") == "enabled"
    program = machine.run("readlink", "-f", f"/proc/{service.main}/exe").strip()
    assert program.startswith("/opt/gpu-sessions-") and program.endswith("/bin/gpu-sessions")
    assert "landlock (ABI" in service.journal()
    service.simulate()
    service.wait_sessions()
    machine.run("sh", "-euc", documented_commands("Remove it"))
    assert not [path for path in machine.files() if re.search(r"(?<!doc/)gpu-sessions", path)
                and not path.startswith(("/srv/", "/packages"))]


# --- the sandbox --------------------------------------------------------------------------


def status(machine, pid):
    lines = machine.run("cat", f"/proc/{pid}/status").splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def test_processes_have_no_privilege(service):
    wait_until(lambda: service.children("gpu-sess-web") and service.children("gpu-sessions"),
               "all processes run")
    uid = service.machine.run("id", "-u", "gpu-sessions").strip()
    pids = [service.main, *service.children("gpu-sess-web"), *service.children("gpu-sessions")]
    for pid in pids:
        about = status(service.machine, pid)
        assert set(about["Uid"].split()) == {uid} and uid != "0"
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(about[name], 16) == 0
        assert about["NoNewPrivs"] == "1" and about["Seccomp"] == "2"
    assert "sandbox: capabilities dropped; no new privileges; landlock (ABI" in (
        service.journal())


def probe(machine, unit, text):
    """{what: ok or error} of the probe, started as the service that TEXT describes."""
    machine.write("/srv/probe.pl", (ROOT / "tests/deploy/sandbox_probe.pl").read_text())
    machine.write("/home/person/secret", "")
    # So that it is the unit's list of devices that decides.
    machine.run("chmod", "666", "/dev/net/tun")
    machine.write(f"/run/systemd/system/{unit}", text)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", unit)
    said = machine.run("journalctl", "--no-pager", "-o", "cat", "-t", "perl", "-u", unit)
    return dict(line.split() for line in said.splitlines())


COMMAND = f"ExecStart=perl /srv/probe.pl {platform.machine()}"


def test_sandbox_is_in_force(service):
    """What the unit forbids fails, and would work without it."""
    machine = service.machine
    unit = machine.run("cat", "/lib/systemd/system/gpu-sessions.service")
    unit = re.sub(r"^ExecStart=.*$", COMMAND, unit, flags=re.M)
    unit = re.sub(r"^Type=.*$", "Type=oneshot", unit, flags=re.M)
    unit = re.sub(r"^(Restart|Watchdog|NotifyAccess)\w*=.*\n", "", unit, flags=re.M)
    found = probe(machine, "probe.service", unit)
    assert machine.try_run("test", "-e", "/tmp/probe").returncode == 1  # its /tmp is its own
    as_root = probe(machine, "root.service", f"[Service]\nType=oneshot\n{COMMAND}\n")
    assert found == {
        **dict.fromkeys(("write-tmp", "open-null", "see-process-1", "inet"), "ok"),
        **dict.fromkeys(("write-usr", "write-etc", "write-var", "make-cgroup"),
                        "read-only-file-system"),
        **dict.fromkeys(("read-home", "read-kmsg"), "permission-denied"),
        "netlink": "address-family-not-supported-by-protocol",
        **dict.fromkeys(("open-device", "become-root", "setuid-file", "personality", "mount",
                         "write-execute", "realtime", "hostname", "unshare"),
                        "operation-not-permitted"),
    }
    assert set(as_root.values()) == {"ok"} and as_root.keys() == found.keys()
