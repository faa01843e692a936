"""What tests of packages share: the packages, built once, and machines to try them on."""

import contextlib
import fcntl
import os
import subprocess

import pytest

from harness import ROOT, clean_environment
from machine import Machine, make_tree


@pytest.fixture(scope="session")
def build_once(tmp_path_factory):
    """build_once(kind) → the folder that scripts/package/build_KIND.sh filled, the same for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def build(kind):
        folder = shared / f"built-{kind}"
        with open(f"{folder}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                build_package(kind, folder)
        return folder

    return build


def build_package(kind, folder):
    """In another folder first: when it fails for one worker, the next one tries again."""
    unfinished = folder.with_suffix(".unfinished")
    done = subprocess.run([ROOT / f"scripts/package/build_{kind}.sh", unfinished], text=True,
                          capture_output=True, env=clean_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    unfinished.rename(folder)


@pytest.fixture(scope="session")
def deb(build_once):
    """The Debian package."""
    (package,) = build_once("deb").glob("gpu-sessions_*.deb")
    return package


@pytest.fixture(scope="session")
def tarball(build_once):
    """The relocatable archive."""
    (archive,) = build_once("tarball").glob("*.tar.gz")
    return archive


def control_field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], check=True, capture_output=True,
                          text=True).stdout.strip()


def first_choices(relations):
    """Names of the packages that a field like Depends asks for."""
    return [relation.split("|")[0].split("(")[0].strip() for relation in relations.split(",")]


@pytest.fixture(scope="session")
def debian(deb):
    """A Debian with systemd and with what the package asks for, but not the package."""
    wanted = {name for field in ("Depends", "Recommends")
              for name in first_choices(control_field(deb, field))}
    return make_tree("systemd-sysv", *sorted(wanted))


@pytest.fixture(scope="session")
def start_machine():
    """start_machine(tree, shared, boot=False) → a machine, stopped with the session."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to start containers")
    with contextlib.ExitStack() as stack:

        def start(tree, shared, boot=False):
            machine = Machine(tree, shared, boot)
            stack.callback(machine.stop)
            return machine

        yield start
