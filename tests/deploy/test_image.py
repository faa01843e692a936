"""The container image, built by the Dockerfile and run as the chart's pods run it."""

import functools
import os
import re
import signal
import subprocess
import tempfile
import time

import pytest
from container import Container, Mount, built_image, run_image_script
from harness import (
    GOLDEN, ROOT, SCENARIOS, Daemon, Program, clean_environment, mask_page, samples, value,
)
from test_dcgm import Exporter, page_answer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="running containers needs root")

MEGABYTE = 1_000_000
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
MACHINES = {"amd64": "X86-64", "arm64": "AArch64"}
both = pytest.mark.parametrize("architecture", TRIPLETS)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """images(architecture) → (Image, the folder that it is unpacked in), once per test run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "alone")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"images-{run}"
    return functools.cache(lambda architecture: built_image(architecture, folder))


@pytest.fixture
def contained(images, tmp_path):
    """contained(*arguments) → a Container of this machine's image."""
    image, root = images("amd64")

    def make(*arguments, **more):
        return Container(image, tmp_path / "bundle", root, arguments, **more)

    return make


# --- what is inside -------------------------------------------------------------------------


def read_elf(root, path, *options):
    return subprocess.run(
        ["readelf", "--wide", *options, root / path.lstrip("/")],
        check=True, capture_output=True, text=True,
    ).stdout


def elf_files(root, image):
    return {
        path for path, member in image.members.items()
        if member.isfile() and (root / path.lstrip("/")).read_bytes()[:4] == b"\x7fELF"
    }


def needed(root, path):
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", read_elf(root, path, "--dynamic")))


@both
def test_every_library_is_there_and_each_is_needed(images, architecture):
    image, root = images(architecture)
    libraries = f"/usr/lib/{TRIPLETS[architecture]}"
    program = "/usr/bin/gpu-sessions"
    interpreter = re.search(r"interpreter: (.*)\]", read_elf(root, program, "--segments"))[1]
    # What starts or is loaded by name: the program, its loader, libcurl, the simulated node.
    reached = {
        program, f"{libraries}/{os.path.basename(interpreter)}",
        f"{libraries}/libcurl-gnutls.so.4",
        "/usr/lib/gpu-sessions/libnvidia-ml.so.1", "/usr/lib/gpu-sessions/nvidia-smi",
    }
    new = set(reached)
    while new:
        new = {f"{libraries}/{name}" for path in new for name in needed(root, path)} - reached
        reached |= new

    assert reached == elf_files(root, image)
    assert (root / interpreter.lstrip("/")).resolve().is_file()
    for path in reached:
        assert MACHINES[architecture] in read_elf(root, path, "--file-header"), path


@both
def test_nothing_else_is_inside(images, architecture):
    image, root = images(architecture)
    libraries = {"/usr/lib/" + TRIPLETS[architecture], "/usr/lib/gpu-sessions"}
    configuration = {
        "/etc/debian_version", "/etc/group", "/etc/ld.so.conf", "/etc/nsswitch.conf",
        f"/etc/ld.so.conf.d/{TRIPLETS[architecture]}.conf", "/etc/os-release", "/etc/passwd",
    }
    files = {path for path, member in image.members.items() if member.isfile()}
    unexplained = {
        path for path in files - configuration - {"/usr/bin/gpu-sessions"}
        if os.path.dirname(path) not in libraries
        and not re.match(r"/usr/share/doc/[^/]+/(copyright|LICENSE)$", path)
        and not path.startswith(("/usr/share/common-licenses/", "/var/lib/dpkg/status.d/"))
    }
    assert not unexplained
    assert configuration <= files


@both
def test_files_are_roots_and_give_no_rights(images, architecture):
    image, _ = images(architecture)
    for path, member in image.members.items():
        assert (member.uid, member.gid) == (0, 0), path
        assert not member.mode & 0o6000, f"{path} is setuid or setgid"
        assert path == "/tmp" or member.issym() or not member.mode & 0o022, path
        assert not (member.ischr() or member.isblk()), path


@both
def test_each_library_has_its_licence_and_version(images, architecture):
    image, root = images(architecture)
    status = sorted((root / "var/lib/dpkg/status.d").iterdir())
    assert "libc6" in {path.name for path in status}
    for path in status:
        assert re.search(r"^Version: \S+", path.read_text(), re.M)
        licence = (root / "usr/share/doc" / path.name / "copyright").read_text()
        for text in re.findall(r"/usr/share/common-licenses/([\w.-]*\w)", licence):
            assert (root / "usr/share/common-licenses" / text).is_file(), f"{path.name}: {text}"
    assert (root / "usr/share/doc/gpu-sessions/LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@both
def test_size(images, architecture):
    image, _ = images(architecture)
    assert image.size <= 25 * MEGABYTE
    assert image.compressed_size <= 12 * MEGABYTE


@both
def test_settings(images, architecture):
    image, _ = images(architecture)
    assert (image.config["os"], image.config["architecture"]) == ("linux", architecture)
    settings = image.settings
    assert settings["User"] == "65532:65532"
    assert settings["Entrypoint"] == ["/usr/bin/gpu-sessions"]
    assert not settings.get("Cmd") and not settings.get("Volumes")
    assert settings["ExposedPorts"] == {"10105/tcp": {}}
    assert settings["StopSignal"] == "SIGTERM"
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=utility"} <= set(settings["Env"])


def test_labels(images):
    image, _ = images("amd64")
    version = re.search(r"version: '(.*)',$", (ROOT / "meson.build").read_text(), re.M)[1]
    labels = image.labels
    assert (labels["title"], labels["version"]) == ("gpu-sessions", version)
    assert labels["licenses"] == "Apache-2.0" and labels["description"]
    head = subprocess.run(
        ["git", "log", "-1", "--format=%H %ct"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    if not head:
        return
    commit, epoch = head
    assert re.fullmatch(rf"{commit}(-dirty)?", labels["revision"])
    assert labels["created"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(epoch)))


def test_nothing_of_when_and_where_it_was_built_is_inside(images):
    image, root = images("amd64")
    assert {member.mtime for member in image.members.values()} == {0}
    for path in ("usr/bin/gpu-sessions", "usr/lib/gpu-sessions/libnvidia-ml.so.1"):
        assert not re.search(rb"(?<!\.\.)/src/", (root / path).read_bytes())


def test_wrong_architecture_is_refused():
    done = subprocess.run(
        ["scripts/image.sh"], cwd=ROOT, env=clean_environment(ARCH="mips"),
        capture_output=True, text=True,
    )
    assert done.returncode == 2
    assert "ARCH=mips; there are: amd64 arm64 both" in done.stderr


# --- what it does ---------------------------------------------------------------------------


def node_mount(node):
    node.directory.chmod(0o755)  # the container's user is another than the test's
    return Mount(node.directory, node.directory)


def test_collect_gives_the_page_of_the_program_outside(contained, simulated):
    node = simulated("default")
    done = contained("collect", *node.flags, mounts=[node_mount(node)]).run()
    assert done.returncode == 0, done.stderr
    assert mask_page(done.stdout.decode(), node) == (GOLDEN / "default.prom").read_text()


def test_list_gives_the_table_of_the_program_outside(contained, simulated):
    node = simulated("default")
    done = contained("list", *node.flags, mounts=[node_mount(node)]).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == (GOLDEN / "default.txt").read_text()


def test_textfile_in_a_folder_of_its_own_group(contained, simulated, tmp_path):
    node, folder = simulated("plain"), tmp_path / "textfiles"
    folder.mkdir()
    os.chown(folder, 0, 65532)
    folder.chmod(0o775)
    done = contained(
        "collect", *node.flags, "--textfile=/textfiles/gpu_sessions.prom",
        mounts=[node_mount(node), Mount(folder, "/textfiles", writable=True)],
    ).run()
    assert done.returncode == 0, done.stderr
    written = folder / "gpu_sessions.prom"
    assert written.stat().st_uid == 65532
    assert mask_page(written.read_text(), node) == (GOLDEN / "plain.prom").read_text()


def test_driver_where_nvidias_runtime_puts_it(contained, simulated):
    """Without any flag about the library: the loader finds what was put in."""
    node = simulated("plain")
    flags = [flag for flag in node.flags if not flag.startswith("--nvml.library")]
    done = contained(
        "collect", *flags,
        mounts=[node_mount(node),
                Mount(node.directory / "libnvidia-ml.so.1",
                      "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1")],
        environment=[f"GPU_SESSIONS_NODE_STATE={node.directory}/node.state"],
    ).run()
    assert done.returncode == 0, done.stderr
    assert mask_page(done.stdout.decode(), node) == (GOLDEN / "plain.prom").read_text()


def test_the_simulated_driver_never_passes_for_a_real_one(contained):
    done = contained("collect").run()
    assert done.returncode == 1
    assert value(samples(done.stdout.decode()), "gpu_session_source_up", source="nvml") == 0


def test_root_is_read_only(contained, simulated):
    node = simulated("plain")
    done = contained(
        "collect", *node.flags, "--textfile=/tmp/gpu_sessions.prom", mounts=[node_mount(node)]
    ).run()
    assert done.returncode == 1
    assert b"/tmp" in done.stderr and b"Read-only file system" in done.stderr


def test_simulates_a_node_inside(contained, tmp_path):
    """A demonstration without a GPU takes nothing but a folder to write to."""
    folder = tmp_path / "demo"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    done = contained(
        "simulate", "/demo/node", "--freeze", mounts=[Mount(folder, "/demo", writable=True)]
    ).run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"--nvml.library=/demo/node/libnvidia-ml.so.1 ")


def test_optional_sources_find_their_library(contained, simulated):
    node = simulated("plain")
    exporter = Exporter(page_answer("# nothing\n"))
    try:
        done = contained("collect", *node.flags, exporter.flag, mounts=[node_mount(node)]).run()
    finally:
        exporter.close()
    assert exporter.requests, done.stderr
    assert b"libcurl" not in done.stdout + done.stderr


def status_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return dict(re.findall(r"^(\w+):[ \t]*(.*)$", status.read(), re.M))


@pytest.fixture
def served(contained, simulated, tmp_path):
    """The daemon in a container: (Daemon whose process is the runtime's, the Container)."""
    node = simulated("default")
    container = contained(
        "serve", *node.flags, "--web.listen-address=127.0.0.1:0", "--collect.interval=200ms",
        mounts=[node_mount(node)],
    )
    log = tmp_path / "serve.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(container.command, stdout=output, stderr=output)
    try:
        yield Daemon(process, log), container
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)  # runc hands it on
            process.wait(timeout=20)


def test_serve_reports_the_sessions(served):
    daemon, _ = served
    page = daemon.wait(lambda page: value(page, "gpu_total_sessions"), "sessions")
    expected = samples((GOLDEN / "default.prom").read_text())
    assert value(page, "gpu_total_sessions") == value(expected, "gpu_total_sessions")
    assert daemon.get("/readyz").status == 200
    assert daemon.stop(timeout=20) == 0


def test_serve_has_no_privilege(served):
    daemon, container = served
    daemon.wait(lambda page: value(page, "gpu_total_sessions"), "sessions")
    processes = container.processes(daemon.process)
    assert len(processes) == 3
    for process in processes:
        status = status_of(process.pid)
        assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
        assert status["Groups"] == ""
        assert {status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


# --- on arm64 -------------------------------------------------------------------------------


@pytest.fixture
def emulated(images, tmp_path):
    """The program of the arm64 image, with the libraries of that image, under an emulator."""
    _, root = images("arm64")
    start = tmp_path / "gpu-sessions-arm64"
    start.write_text(
        f'#!/bin/sh\nexec qemu-aarch64-static -L {root} {root}/usr/bin/gpu-sessions "$@"\n'
    )
    start.chmod(0o755)
    return Program(start, tmp_path)


@pytest.mark.parametrize("scenario", ["default", "mig", "hostile_names"])
def test_arm64_gives_the_same_answers(emulated, scenario):
    expected = SCENARIOS[scenario]
    with tempfile.TemporaryDirectory(prefix="node", dir="/tmp") as folder:
        node = emulated.simulate(folder, scenario)
        page = mask_page(node.page(*expected.flags), node)
        table = node.list(*expected.flags)
    assert page == (GOLDEN / f"{scenario}.prom").read_text()
    assert table.stdout.decode() == (GOLDEN / f"{scenario}.txt").read_text()


def test_arm64_passes_the_unit_tests():
    """In the Dockerfile's stage "check", which does not end when one of them fails."""
    name = "localhost/gpu-sessions-test:check"
    assert name in run_image_script("check", ARCH="arm64", IMAGE=name)
