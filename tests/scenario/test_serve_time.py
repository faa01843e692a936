"""Time that jumps or stands still under the running daemon."""

import json
import os
import signal
import struct
import time
from pathlib import Path

import pytest

from harness import find_build, has_sessions, is_up, rows, value, wait_until

DAY = 86400
STAMP = "gpu_session_last_collect_timestamp_seconds"


@pytest.fixture
def clock(tmp_path):
    """Sets the daemon's wall clock: set(seconds) from the true time."""
    path = tmp_path / "shift"
    path.write_bytes(struct.pack("q", 0))

    def set_clock(seconds):
        with open(path, "r+b") as file:
            file.write(struct.pack("q", seconds))

    set_clock.environment = {
        "LD_PRELOAD": str(find_build() / "tests/tools/shift_clock.so"),
        "SHIFT_CLOCK_FILE": str(path),
    }
    return set_clock


LASTING = (
    "gpu_process_", "gpu_session_count", "gpu_total_", "gpu_device_", "gpu_sessions_",
    "gpu_session_source_up", "gpu_session_collector_restarts", "gpu_session_server_restarts",
    "gpu_session_collect_errors",
)


def lasting(page):
    """What does not change from one collection to the next: sessions, since when, how much."""
    return {key: number for key, number in page.items() if key[0].startswith(LASTING)}


def watch_collections(daemon, count, is_expected):
    """COUNT collections in a row by the new clock; every page on the way is a whole one."""
    stamps = []
    expected = lasting(daemon.samples())

    def look():
        page = daemon.samples()
        assert lasting(page) == expected
        stamp = value(page, STAMP)
        if is_expected(stamp) and stamp not in stamps:
            stamps.append(stamp)
        return len(stamps) >= count

    wait_until(look, f"{count} collections")
    return stamps


@pytest.mark.release_only  # the shim cannot be loaded before the sanitizer
@pytest.mark.parametrize("scenario", ["default", "mig"])
def test_wall_clock_is_set(simulated, serve, clock, scenario):
    node = simulated(scenario)
    daemon = serve(node, env=clock.environment)
    daemon.wait_collected()
    sessions = json.loads(daemon.get("/api/v1/sessions").body)["sessions"]
    for days in (1, -1, 0):
        before = time.time()
        clock(days * DAY)
        stamps = watch_collections(
            daemon, 5, lambda stamp: abs(stamp - before - days * DAY) < DAY / 4
        )
        assert stamps == sorted(stamps)
        assert daemon.get("/readyz").status == 200
        assert json.loads(daemon.get("/api/v1/sessions").body)["sessions"] == sessions
    assert is_up(daemon.samples()) == 1
    assert "level=error" not in daemon.log


def test_worker_stands_still(simulated, serve):
    """A worker that somebody stopped is one that hangs."""
    daemon = serve(simulated("default"), "--timeout=1s")
    before = daemon.wait_collected()
    (worker,) = daemon.children("gpu-sessions")
    os.kill(worker, signal.SIGSTOP)
    daemon.wait(
        lambda page: value(page, "gpu_session_collector_restarts_total", reason="timeout") >= 1,
        "the worker replaced",
    )
    after = daemon.wait(lambda page: is_up(page) == 1, "the sessions back")
    assert rows(after, "gpu_process_info").keys() == rows(before, "gpu_process_info").keys()
    assert not Path(f"/proc/{worker}").exists() and not daemon.zombies()


def test_everything_stands_still(simulated, serve):
    """Stopped and continued as a whole: old rows are not shown, and nothing is replaced."""
    daemon = serve(simulated("default"), "--timeout=60s")
    before = daemon.wait_collected()
    children = daemon.children()
    (server,) = daemon.children("gpu-sess-web")
    everything = [daemon.process.pid, *children]
    for pid in everything:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(1)  # longer than the rows may be shown: three intervals
        os.kill(server, signal.SIGCONT)
        page = daemon.samples()
        assert not has_sessions(page) and is_up(page) == 0
    finally:
        for pid in everything:
            os.kill(pid, signal.SIGCONT)
    after = daemon.wait(has_sessions, "the sessions back")
    assert lasting(after) == lasting(before)
    assert daemon.children() == children
