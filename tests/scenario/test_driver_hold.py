"""Whether the driver stays open between two collections, by its own count of open sessions."""

import contextlib

import pytest

import node_state
from harness import mask_page, wait_until

EMPTY_NODE = """
description: "two GPUs that nobody uses"
gpus:
  - {name: NVIDIA A100-SXM4-40GB, count: 2}
"""


def open_sessions(node):
    return node_state.read(node.directory / "node.state").header.open_sessions


@pytest.fixture
def node(simulated, tmp_path):
    """node(is_used) → a simulated node, on which there are sessions or none."""

    def make(is_used):
        path = tmp_path / "empty.yaml"
        path.write_text(EMPTY_NODE)
        return simulated("plain" if is_used else path)

    return make


@contextlib.contextmanager
def collecting(node, page, *flags):
    run = node.program.start("collect", *node.flags, "--textfile", page, *flags)
    try:
        wait_until(page.exists, "the first page")
        yield
    finally:
        run.terminate()
        run.wait(timeout=30)


def next_page(page):
    before = page.stat().st_ino, page.stat().st_mtime_ns
    wait_until(
        lambda: (page.stat().st_ino, page.stat().st_mtime_ns) != before, "another page"
    )


@pytest.mark.parametrize("hold, is_used", [("never", True), ("never", False), ("auto", False)])
def test_let_go(node, tmp_path, hold, is_used):
    page = tmp_path / "out.prom"
    node = node(is_used)
    with collecting(node, page, f"--driver.hold={hold}", "--interval=60s", "--count=2"):
        wait_until(lambda: open_sessions(node) == 0, "the driver's closing")


@pytest.mark.parametrize("hold, is_used", [("always", True), ("always", False), ("auto", True)])
def test_held(node, tmp_path, hold, is_used):
    page = tmp_path / "out.prom"
    node = node(is_used)
    with collecting(node, page, f"--driver.hold={hold}", "--interval=50ms", "--count=10000"):
        for _ in range(5):
            assert open_sessions(node) == 1
            next_page(page)


@pytest.mark.parametrize("scenario", ["default", "hopper_mig"])
def test_opened_anew_it_measures_as_a_single_run_does(simulated, scenario):
    node = simulated(scenario)
    single = mask_page(node.page())
    start = single.split(" ", 3)[2]
    pages = node.page("--driver.hold=never", "--interval=50ms", "--count=3")
    pages = [f"# HELP {start} " + page for page in pages.split(f"# HELP {start} ")[1:]]
    assert [mask_page(page) for page in pages] == [single] * 3
