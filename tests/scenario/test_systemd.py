"""The systemd units: systemd's own tools read them, and agree with what we say of them.

Nothing here runs a unit; tests/deploy/test_packages_systemd.py does, with systemd as process 1.
"""

import json
import re
import shlex
import shutil
import subprocess

import pytest

from harness import ROOT, clean_environment, find_program

UNITS = ROOT / "deploy/systemd"
SERVICE = UNITS / "gpu-sessions.service"
# In tenths: without a reason written into the unit it does not get worse.
HIGHEST_EXPOSURE = 16


@pytest.fixture
def units(tmp_path):
    """The units as installed, but with a program that is there."""
    program = tmp_path / "gpu-sessions"
    program.symlink_to("/bin/true")
    for name in ("gpu-sessions.service", "gpu-sessions.socket"):
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace("/usr/bin/gpu-sessions", str(program)))
    return tmp_path


def analyze(*args):
    return subprocess.run(
        [find_program("systemd-analyze"), *map(str, args)], capture_output=True, text=True,
        timeout=60, env=clean_environment(SYSTEMD_COLORS="0", SYSTEMD_PAGER=""),
    )


@pytest.mark.parametrize("with_socket", [False, True], ids=["plain", "socket activation"])
def test_units_are_clean(units, with_socket):
    if with_socket:
        drop_ins = units / "gpu-sessions.service.d"
        drop_ins.mkdir()
        shutil.copy(UNITS / "socket-activation.conf", drop_ins)
    done = analyze("verify", "--man=no", "--recursive-errors=no",
                   units / "gpu-sessions.service", units / "gpu-sessions.socket")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_verify_would_notice_a_mistake(units):
    """The control: an unknown directive and an unknown system call are found."""
    service = units / "gpu-sessions.service"
    service.write_text(service.read_text().replace(
        "PrivateTmp=yes", "PrivateTemp=yes\nSystemCallFilter=no_such_call"))
    done = analyze("verify", "--man=no", "--recursive-errors=no", service)
    assert "PrivateTemp" in done.stderr and "no_such_call" in done.stderr


def test_exposure_is_as_low_as_recorded(units):
    service = units / "gpu-sessions.service"
    done = analyze("security", "--offline=true", f"--threshold={HIGHEST_EXPOSURE}", service)
    assert done.returncode == 0, done.stdout + done.stderr
    figure = re.search(r"Overall exposure level for .*: ([\d.]+) ", done.stdout).group(1)
    assert f"**{figure} " in (UNITS / "README.md").read_text()


def test_what_is_left_open_is_what_the_work_needs(units):
    done = analyze("security", "--offline=true", "--json=short",
                   units / "gpu-sessions.service")
    open_doors = {
        row["json_field"] for row in json.loads(done.stdout)
        if row["set"] is False and row["exposure"] and float(row["exposure"]) > 0
    }
    assert open_doors == {
        "RootDirectoryOrRootImage", "PrivateDevices", "DeviceAllow", "UMask",
        "RestrictAddressFamilies_AF_UNIX", "RestrictAddressFamilies_AF_INET_INET6",
        "PrivateNetwork", "IPAddressDeny", "ProtectProc", "ProcSubset", "PrivateUsers",
    }


# --- the unit's filter of system calls, and ours below it ---------------------------------


def calls_of(name):
    """The calls that NAME stands for: itself, or a set and the sets in it."""
    if not name.startswith("@"):
        return {name}
    done = analyze("syscall-filter", name)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()[1:]]
    return set().union(*(calls_of(line) for line in lines if line and line[0] != "#"))


def calls_of_unit():
    allowed = set(calls_of("@default"))
    for value in re.findall(r"^SystemCallFilter=(.*)$", SERVICE.read_text(), re.M):
        named = set().union(*(calls_of(word) for word in value.lstrip("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed


def test_the_server_can_lock_itself_in_below_the_unit():
    """Its allow-list is within the unit's, and so are the calls that put it into force."""
    source = (ROOT / "src/server/sandbox.c").read_text()
    ours = set(re.findall(r"^\s+(?:ANY|WHEN)\((\w+)[,)]", source, re.M))
    assert len(ours) > 50
    to_enter = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
                "seccomp", "prctl", "capget"}
    assert (ours | to_enter) - calls_of_unit() == set()


def test_the_unit_refuses_what_is_privileged():
    assert not calls_of_unit() & {"mount", "bpf", "init_module", "reboot", "setuid", "ptrace",
                                  "perf_event_open", "chroot", "sched_setscheduler"}


# --- the other files ----------------------------------------------------------------------


def test_user_is_made(tmp_path):
    (tmp_path / "etc").mkdir()
    done = subprocess.run(
        [find_program("systemd-sysusers"), f"--root={tmp_path}",
         UNITS / "gpu-sessions.sysusers.conf"],
        capture_output=True, text=True, timeout=60, env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr
    name, _, uid, gid, words, home, shell = (
        (tmp_path / "etc/passwd").read_text().strip().split(":"))
    assert (name, words, home, shell) == (
        "gpu-sessions", "GPU session metrics", "/", "/usr/sbin/nologin")
    assert 0 < int(uid) < 1000 and uid == gid


def examples():
    text = (UNITS / "gpu-sessions.default").read_text()
    return re.findall(r'^#?([A-Z_]+)="?(.*?)"?$', text, re.M)


def test_examples_of_the_defaults_are_accepted(program):
    arguments = [value for name, value in examples() if name == "ARGS"]
    assert arguments
    for value in arguments:
        done = program.run("serve", *shlex.split(value), "--help")
        assert done.returncode == 0, done.stderr


def test_variables_name_flags(program):
    shown = program.run("serve", "--help").stdout.decode()
    flags = set(re.findall(r"--([a-z][a-z.-]+)", shown))
    known = {"GPU_SESSIONS_" + re.sub(r"[.-]", "_", flag).upper() for flag in flags}
    text = "".join(path.read_text() for path in UNITS.iterdir() if path.is_file())
    named = set(re.findall(r"GPU_SESSIONS_[A-Z_]+", text))
    assert named and named <= known
    readme = (UNITS / "README.md").read_text()
    assert set(re.findall(r"`--(web[a-z.-]+|driver[a-z.-]+)`", readme)) <= flags
