"""A wedged or crashing driver, odd surroundings: the rest is reported, nothing stays behind."""

import json
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness import samples, value, wait_until

EIGHT_GPUS = """
description: "eight GPUs, some of them sick"
gpus:
  - {name: NVIDIA A100-SXM4-40GB, count: 8}
processes:
  - {command: /usr/bin/python3, user: alice, gpu: "{n}", memory: 1GiB, sm: 10, replicate: 8}
users:
  - {name: alice, uid: 1000}
faults:
"""


def scenario(tmp_path, *faults):
    path = tmp_path / "sick.yaml"
    path.write_text(EIGHT_GPUS + "".join(f"  - {{{fault}}}\n" for fault in faults))
    return path


def processes_about(directory):
    """PIDs whose command line names the simulated node: the program, and its workers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(directory).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


@pytest.mark.parametrize("call", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetPowerUsage"])
@pytest.mark.parametrize("action", ["stall", "crash"])
def test_several_sick_gpus_cost_only_themselves(simulated, tmp_path, call, action):
    sick = (1, 4, 6)
    faults = [f"call: {call}, gpu: {gpu}, action: {action}" for gpu in sick]
    node = simulated(scenario(tmp_path, *faults))
    page = samples(node.page("--timeout=3s", expect=1))
    for gpu in range(8):
        expected = None if gpu in sick else 1
        assert value(page, "gpu_session_count", gpu=str(gpu)) == expected
    assert value(page, "gpu_session_source_up", source="nvml") == 0
    reason = "timeout" if action == "stall" else "crashed"
    assert value(page, "gpu_session_collect_errors_total", source="nvml", reason=reason) == 3
    wait_until(lambda: not processes_about(node.directory), "the workers' end")


def test_the_duration_covers_what_was_given_up(simulated, tmp_path):
    node = simulated(scenario(tmp_path, "call: nvmlDeviceGetUUID, gpu: 2, action: stall"))
    page = samples(node.page("--timeout=1s", expect=1))
    # A third of the time went into the call that never returned.
    assert value(page, "gpu_session_collect_duration_seconds") > 0.3


def test_slow_but_healthy_blames_no_gpu(simulated, tmp_path):
    path = scenario(tmp_path)
    path.write_text(path.read_text().replace("faults:\n", "driver: {latency_us: 20000}\n"))
    node = simulated(path)
    done = node.collect("--timeout=1s")
    assert done.returncode == 1
    assert b"raise --timeout" in done.stderr and b"wedged" not in done.stderr


@pytest.mark.parametrize("fd", [0, 1, 2])
def test_a_closed_standard_descriptor(simulated, tmp_path, fd):
    node = simulated("plain")
    target = tmp_path / "out.prom"
    done = node.program.start(
        "collect", *node.flags, "--textfile", target, preexec_fn=lambda: os.close(fd)
    )
    assert done.wait(timeout=30) == 0
    assert value(samples(target.read_text()), "gpu_total_sessions") == 3


def test_a_file_size_limit_is_an_error_with_a_word(simulated, tmp_path):
    node = simulated("plain")
    target = tmp_path / "out.prom"
    assert node.collect("--textfile", target).returncode == 0
    before = target.read_bytes()
    done = node.collect(
        "--node=other", "--textfile", target,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert done.returncode == 1
    assert str(target).encode() in done.stderr and b"limit" in done.stderr
    assert target.read_bytes() == before


@pytest.mark.skipif(os.getuid() != 0, reason="gives up rights it must first have")
def test_no_right_is_needed(simulated):
    """uid 65532, no capability, no way to get one: the same sessions, names and pods."""
    node = simulated("default")
    rights = [shutil.which("setpriv"), "--reuid=65532", "--regid=65532", "--clear-groups",
              "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    node.directory.chmod(0o755)  # the test's own folder is private
    done = subprocess.run(
        [*rights, node.program.path, "list", "--json", *node.flags],
        capture_output=True, timeout=30, env=node.program.environment(),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sessions"] == node.json()["sessions"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ended_between_two_collections(simulated, tmp_path, number):
    node = simulated("plain")
    target = tmp_path / "out.prom"
    run = node.program.start(
        "collect", *node.flags, "--interval=10s", "--count=9", "--textfile", target
    )
    wait_until(target.exists, "the first collection")
    run.send_signal(number)
    assert run.wait(timeout=30) == -number
    wait_until(lambda: not processes_about(node.directory), "the worker's end")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.prom"]


def allow_descriptors(count):
    """For a child to call: no more than COUNT descriptors, ever."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def named_rows(page):
    """Rows of processes, and those of them that have a name."""
    found = [dict(labels) for (name, labels) in page if name == "gpu_process_info"]
    return found, [row for row in found if row["command"] and row["pod"] != "unknown"]


@pytest.mark.parametrize("count", [128, 256])
def test_few_descriptors_cost_no_name(simulated, serve, count):
    node = simulated("dense")
    found, named = named_rows(samples(node.page(preexec_fn=allow_descriptors(count))))
    assert len(found) > count and named == found
    daemon = serve(node, preexec_fn=allow_descriptors(count))
    for _ in range(2):
        found, named = named_rows(daemon.wait_collected())
        assert len(found) > count and named == found
    assert daemon.get("/readyz").status == 200
