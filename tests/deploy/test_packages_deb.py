"""The Debian package: what is in it, and what it leaves on a machine at each step."""

import hashlib
import re
import subprocess

import pytest

from conftest import build_package, control_field
from harness import ROOT

UNITS = ROOT / "deploy/systemd"


def read(package, path):
    """The bytes of a file in the package."""
    archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True,
                             stdout=subprocess.PIPE).stdout
    return subprocess.run(["tar", "-xO", f".{path}"], input=archive, check=True,
                          stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def contents(deb):
    """{path: mode and owner} of the files in the package."""
    listed = subprocess.run(["dpkg-deb", "-c", deb], check=True, capture_output=True,
                            text=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return {row[5].removeprefix("."): (row[0], row[1]) for row in rows
            if not row[5].endswith("/")}


# --- what is in it ------------------------------------------------------------------------


def test_lintian_has_nothing_to_say(deb):
    (changes,) = deb.parent.glob("*.changes")
    done = subprocess.run(
        ["lintian", "--profile", "debian", "--display-info", "--pedantic", "--allow-root",
         "--fail-on", "error,warning", changes], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # systemd is what it is for: no script for other init systems.
    assert re.findall(r"^([EWIP]): \S+: (\S+)", done.stdout, re.M) == [
        ("I", "package-supports-alternative-init-but-no-init.d-script")]
    assert not list(ROOT.glob("debian/*lintian-overrides"))


def test_what_is_in_the_package(contents):
    documents = "/usr/share/doc/gpu-sessions/"
    assert {path for path in contents if not path.startswith(documents)} == {
        "/etc/default/gpu-sessions",
        "/lib/systemd/system/gpu-sessions.service",
        "/lib/systemd/system/gpu-sessions.socket",
        "/usr/bin/gpu-sessions",
        "/usr/lib/gpu-sessions/libnvidia-ml.so.1",
        "/usr/lib/gpu-sessions/nvidia-smi",
        "/usr/lib/sysusers.d/gpu-sessions.conf",
        "/usr/share/bash-completion/completions/gpu-sessions",
        "/usr/share/man/man1/gpu-sessions.1.gz",
    }
    assert {owner for _, owner in contents.values()} == {"root/root"}
    assert {path for path, (mode, _) in contents.items() if mode == "-rwxr-xr-x"} == {
        "/usr/bin/gpu-sessions", "/usr/lib/gpu-sessions/nvidia-smi"}
    assert {mode for mode, _ in contents.values()} == {"-rwxr-xr-x", "-rw-r--r--"}
    assert {"copyright", "changelog.gz", "changelog.Debian.gz", "README.md.gz",
            "systemd/socket-activation.conf"} <= {
        path.removeprefix(documents) for path in contents}


@pytest.mark.parametrize("path, source", [
    ("/lib/systemd/system/gpu-sessions.service", "gpu-sessions.service"),
    ("/lib/systemd/system/gpu-sessions.socket", "gpu-sessions.socket"),
    ("/usr/lib/sysusers.d/gpu-sessions.conf", "gpu-sessions.sysusers.conf"),
    ("/etc/default/gpu-sessions", "gpu-sessions.default"),
])
def test_systemd_files_are_those_of_the_repository(deb, path, source):
    assert read(deb, path) == (UNITS / source).read_bytes()


def test_what_the_package_asks_for(deb):
    assert "libcurl3-gnutls" in control_field(deb, "Recommends")  # loaded, so not seen by dpkg
    assert "libnvidia-ml1" in control_field(deb, "Suggests")
    assert "nvidia" not in control_field(deb, "Depends")
    # The simulated driver must not pass for the real one.
    assert control_field(deb, "Provides") == ""
    control = subprocess.run(["dpkg-deb", "--ctrl-tarfile", deb], check=True,
                             stdout=subprocess.PIPE).stdout
    names = subprocess.run(["tar", "-t"], input=control, check=True,
                           stdout=subprocess.PIPE).stdout.decode()
    assert "conffiles" in names and "shlibs" not in names and "triggers" not in names


def test_version_is_the_programs(deb, program):
    version = program.run("--version").stdout.decode().split()[1]
    assert control_field(deb, "Version").rpartition("-")[0] == version


def test_built_elsewhere_it_has_the_same_bytes(deb, tmp_path):
    build_package("deb", tmp_path / "again")
    again = tmp_path / "again" / deb.name
    digests = [hashlib.sha256(package.read_bytes()).hexdigest() for package in (deb, again)]
    assert digests[0] == digests[1]


# --- what it does to a machine ------------------------------------------------------------


@pytest.fixture(scope="module")
def packages(deb, tmp_path_factory):
    """A folder with the package, and with an older version that has another default file."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "new.deb").write_bytes(deb.read_bytes())
    tree = folder / "old"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*", "Version: 0.0.9-1", control.read_text(),
                              flags=re.M))
    with open(tree / "etc/default/gpu-sessions", "a") as defaults:
        defaults.write("# of the older version\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, folder / "old.deb"],
                   check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def machine(start_machine, debian, packages):
    """Not booted, as where an image is made: the package must install there too."""
    machine = start_machine(debian, packages)
    yield machine
    machine.stop()


ENABLED = "/etc/systemd/system/multi-user.target.wants/gpu-sessions.service"


def installed(machine):
    """Version and state of the package, as dpkg has it."""
    done = machine.try_run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}",
                           "gpu-sessions")
    return done.stdout.split()


def test_installed_program_shows_the_simulated_node(machine):
    machine.run("dpkg", "-i", "/packages/new.deb")
    assert machine.run("gpu-sessions", "--version").startswith("gpu-sessions ")
    flags = machine.run("gpu-sessions", "simulate", "/srv/node", "--freeze").split()
    table = machine.run("setpriv", "--reuid=gpu-sessions", "--clear-groups",
                        "gpu-sessions", "list", *flags)
    assert "8 sessions of 4 users on 4 GPUs (3 MIG devices)" in table
    missing = machine.run("sh", "-c", "ldd /usr/bin/gpu-sessions | grep 'not found' || :")
    assert missing == ""


def test_install_makes_a_user_and_enables_the_service(machine):
    machine.run("dpkg", "-i", "/packages/new.deb")
    name, _, uid, gid, *_, home, shell = machine.run("getent", "passwd",
                                                     "gpu-sessions").strip().split(":")
    assert 0 < int(uid) < 1000 and (home, shell) == ("/", "/usr/sbin/nologin")
    assert machine.run("id", "-Gn", "gpu-sessions").split() == ["gpu-sessions"]
    files = machine.files()
    assert ENABLED in files
    assert not [path for path in files if "wants/gpu-sessions.socket" in path]


def test_upgrade_keeps_what_the_administrator_chose(machine):
    machine.run("dpkg", "-i", "/packages/old.deb")
    machine.run("sh", "-c", "echo 'ARGS=\"--collect.interval=5s\"' >/etc/default/gpu-sessions")
    machine.run("systemctl", "disable", "gpu-sessions.service")
    machine.run("dpkg", "--force-confdef", "--force-confold", "-i", "/packages/new.deb")
    assert installed(machine)[1] == "installed" and installed(machine)[0] != "0.0.9-1"
    assert machine.run("cat", "/etc/default/gpu-sessions") == (
        'ARGS="--collect.interval=5s"\n')
    assert ENABLED not in machine.files()


def test_upgrade_renews_an_untouched_default_file(machine):
    machine.run("dpkg", "-i", "/packages/old.deb")
    assert "older version" in machine.run("cat", "/etc/default/gpu-sessions")
    machine.run("dpkg", "-i", "/packages/new.deb")
    assert machine.run("cat", "/etc/default/gpu-sessions") == (
        (UNITS / "gpu-sessions.default").read_text())
    assert ENABLED in machine.files()


# The user stays, as every system user of Debian's; and dpkg keeps its log.
STAYS = re.compile(r"/etc/(passwd|group|shadow|gshadow)-?|/etc/\.pwd\.lock|/var/log/dpkg\.log")


def lasting(files):
    return {path: about for path, about in files.items() if not STAYS.fullmatch(path)}


def test_remove_keeps_the_configuration_and_purge_leaves_nothing(machine):
    before = lasting(machine.files())
    machine.run("dpkg", "-i", "/packages/new.deb")
    machine.run("dpkg", "-r", "gpu-sessions")
    left = machine.files()
    assert installed(machine)[1] == "config-files"
    assert "/etc/default/gpu-sessions" in left and "/usr/bin/gpu-sessions" not in left
    machine.run("dpkg", "-P", "gpu-sessions")
    after = lasting(machine.files())
    assert installed(machine) == []
    assert {path: after.get(path) for path in before.keys() | after.keys()
            if before.get(path) != after.get(path)} == {}
