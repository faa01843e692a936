"""The frame of the whole-program tests: the program under test and its simulated nodes.

The program comes from the folder named by GPU_SESSIONS_BUILD (default: build-check, or
build). A program built with sanitizers is tested by the same tests: its findings are
written to files, and any such file fails the test that caused it.
"""

import contextlib
import os
import tempfile

import pytest

# Before anything imports grpc: its handlers of fork() would run in every program that a test
# starts with a hook of its own, and end some of them.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from harness import DORMANT, Daemon, Program, end, find_build


@pytest.fixture(scope="session")
def build():
    return find_build()


@pytest.fixture(scope="session")
def is_sanitized(build):
    return b"__asan_init" in (build / "gpu-sessions").read_bytes()


@pytest.fixture
def program(build, tmp_path):
    """The program; fails the test when a sanitizer had something to say."""
    findings = tmp_path / "sanitizer"
    findings.mkdir()
    yield Program(build / "gpu-sessions", findings)
    reports = [path.read_text(errors="replace") for path in sorted(findings.iterdir())]
    assert not reports, "\n".join(reports)


@pytest.fixture
def simulated(program):
    """simulated(scenario, *flags) → a simulated node, frozen at its beginning.

    Its folder's name has the same length everywhere: messages name it, and are bounded.
    """
    with contextlib.ExitStack() as stack:

        def make(scenario, *flags):
            folder = tempfile.TemporaryDirectory(prefix="node", dir="/tmp")
            return program.simulate(stack.enter_context(folder), scenario, *flags)

        yield make


@pytest.fixture
def dormant(simulated, tmp_path):
    """dormant(action, gpu=None) → a node with a fault that wake() switches on."""

    def make(action, gpu=None):
        words = "return, code: 9" if action == "return" else action
        if gpu is not None:
            words += f", gpu: {gpu}"
        path = tmp_path / "dormant.yaml"
        path.write_text(DORMANT.replace("ACTION", words))
        return simulated(path)

    return make


@pytest.fixture
def start_daemon(program, tmp_path, is_sanitized):
    """start_daemon(*flags) → a running `gpu-sessions serve`, ended with the test."""
    running = []
    # The sanitizers look for leaks by calls, and write to a file, that the server's
    # sandbox refuses; it is in force where the same tests run without them.
    unlocked = {"GPU_SESSIONS_SANDBOX": "off"} if is_sanitized else {}

    def start(*flags, env=None, **more):
        log = tmp_path / f"serve{len(running)}.log"
        with open(log, "wb") as output:
            process = program.start(
                "serve", *flags, stderr=output, env=unlocked | (env or {}), **more
            )
        running.append(process)
        return Daemon(process, log)

    yield start
    for process in running:
        end(process)


@pytest.fixture
def serve(start_daemon):
    """serve(node, *flags) → a daemon for NODE on a free port."""

    def start(node, *flags, **more):
        return start_daemon(
            *node.flags, "--web.listen-address=127.0.0.1:0", "--collect.interval=200ms",
            *flags, **more,
        )

    return start


def pytest_configure(config):
    config.addinivalue_line("markers", "release_only: needs the program without sanitizers")


@pytest.fixture(autouse=True)
def skip_without_release_build(request):
    if request.node.get_closest_marker("release_only"):
        if request.getfixturevalue("is_sanitized"):
            pytest.skip("needs the program without sanitizers")
