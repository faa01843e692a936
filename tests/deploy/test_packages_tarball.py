"""The relocatable archive: it runs from any folder of a machine that has only glibc."""

import re
import subprocess
import tarfile

import pytest

from conftest import build_package
from harness import ROOT
from machine import make_tree

# What it needs of the machine it runs on; docs/install.md says so.
OLDEST_GLIBC = (2, 34)
FROM_THE_MACHINE = {"libc.so.6", "libm.so.6", "libresolv.so.2", "libcrypt.so.1"}


@pytest.fixture(scope="module")
def unpacked(tarball, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["tar", "-xzf", tarball, "-C", folder], check=True)
    (top,) = folder.iterdir()
    assert tarball.name == f"{top.name}.tar.gz"
    return top


@pytest.fixture(scope="module")
def bare(start_machine, tarball):
    """A Debian with what is essential, and nothing else."""
    return start_machine(make_tree(), tarball.parent)


def unpack(machine, folder):
    machine.run("mkdir", "-p", folder)
    machine.run("sh", "-c", f"tar -xzf /packages/*.tar.gz --strip-components=1 -C '{folder}'")
    return f"{folder}/bin/gpu-sessions"


def elf_files(folder):
    return [path for path in folder.rglob("*")
            if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]


def test_it_runs_from_any_folder(bare):
    for folder in ("/opt/gpu-sessions", "/srv/a b/tools"):
        program = unpack(bare, folder)
        flags = bare.run(program, "simulate", f"/srv/node{len(folder)}", "--freeze").split()
        assert "8 sessions of 4 users on 4 GPUs" in bare.run(program, "list", *flags)
    bare.run("ln", "-s", "/opt/gpu-sessions/bin/gpu-sessions", "/usr/local/bin")
    assert "8 sessions" in bare.run("gpu-sessions", "list", *flags)


def test_only_glibc_is_the_machines(bare):
    program = unpack(bare, "/opt/linked")
    for file in (program, "/opt/linked/lib/libcurl-gnutls.so.4"):
        used = dict(re.findall(r"^\t(\S+) => (\S+)", bare.run(
            "env", "LD_LIBRARY_PATH=/opt/linked/lib", "ldd", file), re.M))
        outside = {name for name, path in used.items()
                   if not path.startswith("/opt/linked/")}
        assert outside <= FROM_THE_MACHINE and "libc.so.6" in outside
    linked = bare.run("ldd", program)
    assert "not found" not in linked and "/opt/linked/" in linked


def test_libcurl_is_found_and_works(bare):
    program = unpack(bare, "/opt/loading")
    flags = bare.run(program, "simulate", "/srv/node", "--freeze").split()
    done = bare.try_run(program, "collect", *flags, "--dcgm.url=http://127.0.0.1:9/metrics")
    assert "nobody listens there" in done.stderr and "load libcurl" not in done.stderr


def test_needs_no_newer_glibc_than_is_said(unpacked):
    newest = max(
        tuple(map(int, version.split(".")))
        for file in elf_files(unpacked)
        for version in re.findall(r"\bGLIBC_([\d.]+)", subprocess.run(
            ["readelf", "-VW", file], check=True, capture_output=True, text=True).stdout))
    assert newest == OLDEST_GLIBC
    assert "glibc {}.{}".format(*newest) in (ROOT / "docs/install.md").read_text()


def test_every_library_comes_with_its_licence(unpacked):
    folder = unpacked / "share/doc/gpu-sessions/libraries"
    versions = dict(line.split() for line in (folder / "versions").read_text().splitlines())
    assert {path.stem for path in folder.glob("*.copyright")} == versions.keys()
    names = {library.name for library in unpacked.glob("lib/*.so*")}
    known = subprocess.run(["dpkg", "-S", *(f"*/{name}" for name in names)],
                           capture_output=True, text=True).stdout
    owners = re.findall(r"^([^:]+)\S*: .*/(\S+)$", known, re.M)
    assert {file for package, file in owners if package in versions} >= names
    assert (unpacked / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_what_is_in_the_archive(tarball):
    with tarfile.open(tarball) as archive:
        members = archive.getmembers()
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    assert {member.mode for member in members} == {0o755, 0o644}
    assert len({member.mtime for member in members}) == 1
    names = {member.name.partition("/")[2] for member in members}
    assert {"bin/gpu-sessions", "LICENSE", "lib/gpu-sessions/libnvidia-ml.so.1",
            "lib/systemd/system/gpu-sessions.service", "lib/systemd/system/gpu-sessions.socket",
            "lib/sysusers.d/gpu-sessions.conf", "etc/default/gpu-sessions",
            "share/man/man1/gpu-sessions.1", "share/doc/gpu-sessions/README.md",
            "share/bash-completion/completions/gpu-sessions"} <= names
    # The loader looks here; the simulated driver must not lie where it does.
    assert "lib/libnvidia-ml.so.1" not in names


def test_built_elsewhere_it_has_the_same_bytes(tarball, tmp_path):
    build_package("tarball", tmp_path / "again")
    assert (tmp_path / "again" / tarball.name).read_bytes() == tarball.read_bytes()
