"""A process whose /proc files block costs itself, not the collection."""

import json

import pytest

from harness import find_build

pytestmark = pytest.mark.release_only  # the shim cannot be loaded before the sanitizer


@pytest.mark.parametrize("file", ["cmdline", "status", "cgroup"])
def test_one_stuck_process(simulated, file):
    node = simulated("default")
    whole = json.loads(node.list("--json").stdout)
    stuck = whole["sessions"][3]["pid"]
    done = node.program.run(
        "list", "--json", "--timeout=1s", *node.flags,
        env={
            "LD_PRELOAD": str(find_build() / "tests/tools/block_open.so"),
            "BLOCK_OPEN_PID": str(stuck),
            "BLOCK_OPEN_FILE": file,
        },
    )
    page = json.loads(done.stdout)
    assert done.returncode == 0
    assert len(page["sessions"]) == len(whole["sessions"])
    for before, after in zip(whole["sessions"], page["sessions"]):
        assert after["pid"] == before["pid"]
        if after["pid"] == stuck:
            assert after["pod"] is None and not after["command"]
            assert after["gpu_process_memory_used_bytes"] is not None
        else:
            assert after["pod"] == before["pod"] and after["command"] == before["command"]
    timeouts = [e for e in page["errors"] if e["reason"] == "timeout"]
    assert [e["source"] for e in timeouts] == ["procfs"]
    assert all(s["gpu_session_source_up"] == 1 for s in page["sources"])
