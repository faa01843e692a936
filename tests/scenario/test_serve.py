"""The daemon: what it serves, and what it says before, during and after each misfortune."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)

import node_state
from harness import (
    ABOUT_GPU_1, EVERYWHERE, has_sessions, http_get, is_up, mask_page, rows, samples, set_fault,
    sleep_again, value, wait_until, wake, without_daemons_own,
)

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


# --- what is served -----------------------------------------------------------------------


def test_page_says_what_collect_says(simulated, serve):
    node = simulated("default")
    daemon = serve(node)
    daemon.wait_collected()
    assert without_daemons_own(mask_page(daemon.get().text, node)) == mask_page(node.page(), node)


@pytest.mark.parametrize("scenario", ["default", "mig", "hostile_names", "dense"])
def test_openmetrics_has_the_same_samples(simulated, serve, scenario):
    daemon = serve(simulated(scenario), "--collect.interval=1h", "--node=n1")
    daemon.wait(has_sessions, "the first collection")
    text = daemon.get().text
    answer = daemon.get(Accept=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith(OPENMETRICS)
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in openmetrics_families(answer.text)
        for sample in family.samples
    }
    assert found == samples(text)


def test_json_agrees_with_list(simulated, serve):
    node = simulated("mig")
    daemon = serve(node)
    daemon.wait_collected()
    once = node.json()
    sessions = json.loads(daemon.get("/api/v1/sessions").body)
    devices = json.loads(daemon.get("/api/v1/devices").body)
    assert sessions["sessions"] == once["sessions"]
    assert devices["devices"] == once["devices"]
    for document in (sessions, devices):
        for name in ("version", "node", "driver_version", "sources", "gpu_total_sessions"):
            assert document[name] == once[name]


def test_probes_and_landing_page(simulated, serve):
    daemon = serve(simulated("default"))
    daemon.wait_collected()
    assert daemon.get("/healthz").status == 200
    assert daemon.get("/readyz").status == 200
    assert "/metrics" in daemon.get("/").text
    assert daemon.get("/nothing").status == 404


def test_a_node_without_driver_is_served_and_not_ready(simulated, serve):
    daemon = serve(simulated("no_driver"))
    page = daemon.wait_collected()
    assert is_up(page) == 0 and not has_sessions(page)
    ready = daemon.get("/readyz")
    assert ready.status == 503 and "nvml" in ready.text
    assert daemon.get("/healthz").status == 200


def test_nothing_is_claimed_before_the_first_collection(dormant, serve):
    node = dormant("stall")
    wake(node, EVERYWHERE)
    daemon = serve(node, "--timeout=60s")
    page = daemon.samples()
    assert is_up(page) == 0
    assert not [key for key in page if key[0].startswith(("gpu_session_count", "gpu_total",
                "gpu_session_last", "gpu_session_collect_duration", "gpu_device", "gpu_process"))]
    ready = daemon.get("/readyz")
    assert ready.status == 503 and "not ended yet" in ready.text


def test_telemetry_path_and_environment(simulated, program, serve):
    node = simulated("default")
    daemon = serve(node, env={"GPU_SESSIONS_NODE": "from-environment"})
    daemon.wait_collected()
    assert value(daemon.samples(), "gpu_total_sessions", node="from-environment") is not None
    other = serve(node, "--web.telemetry-path=/gpu", "--log.format=json")
    assert other.metrics_url.endswith("/gpu")
    wait_until(lambda: http_get(other.metrics_url).status == 200, "the other path")
    lines = [json.loads(line) for line in other.log.splitlines()]
    assert any(line["msg"].startswith("serving http://") for line in lines)


def test_several_addresses_and_ipv6(simulated, serve):
    daemon = serve(
        simulated("default"), "--web.listen-address=127.0.0.1:0,[::1]:0",
    )
    addresses = wait_until(
        lambda: (found := [line for line in daemon.log.splitlines() if "http://" in line])
        and len(found) == 3
        and found, "three addresses",
    )
    assert any("[::1]" in line for line in addresses)
    for line in addresses:
        url = "http://" + line.split("http://")[1].split(",")[0]
        assert http_get(url).status == 200


def test_port_in_use_is_named(simulated, serve, program):
    node = simulated("default")
    daemon = serve(node)
    address = daemon.url.removeprefix("http://")
    done = program.run("serve", *node.flags, f"--web.listen-address={address}")
    assert done.returncode == 1
    assert address.rsplit(":", 1)[1].encode() in done.stderr and b"in use" in done.stderr


# --- misfortunes --------------------------------------------------------------------------


def test_hang_about_the_whole_driver(dormant, serve):
    node = dormant("stall")
    daemon = serve(node, "--timeout=1s", "--collect.interval=1s")
    before = daemon.wait_collected()
    assert is_up(before) == 1 and len(rows(before, "gpu_process_info")) == 3
    wake(node, EVERYWHERE)
    during = daemon.wait(lambda page: is_up(page) == 0, "the source reported down")
    # Said by the parent, which asks nobody: /proc can block as well.
    assert is_up(during, "procfs") is None
    # Its rows stay for at most three intervals, then nothing is claimed any more.
    assert value(during, "gpu_session_collector_restarts_total", reason="timeout") >= 1
    assert daemon.get("/readyz").status == 503
    gone = daemon.wait(lambda page: not has_sessions(page), "stale rows dropped")
    assert is_up(gone) == 0 and not rows(gone, "gpu_device_info")
    stamp = "gpu_session_last_collect_timestamp_seconds"
    assert value(gone, stamp) == value(during, stamp)
    sleep_again(node)
    after = daemon.wait(lambda page: is_up(page) == 1, "the driver back", timeout=60)
    assert rows(after, "gpu_process_info").keys() == rows(before, "gpu_process_info").keys()
    assert value(after, stamp) > value(gone, stamp)
    assert daemon.get("/readyz").status == 200
    assert not daemon.zombies()


def test_answers_do_not_wait_for_a_hung_driver(dormant, serve):
    node = dormant("stall")
    daemon = serve(node, "--timeout=60s", "--collect.interval=1h")
    daemon.wait(has_sessions, "the first collection")
    wake(node, EVERYWHERE)
    daemon.signal(signal.SIGHUP)  # collects anew, into the hang
    wait_until(lambda: "reloading" in daemon.log, "the reload")
    # Each answer has a second; the collection has a minute.
    for path in ("/metrics", "/healthz", "/readyz", "/api/v1/sessions"):
        assert daemon.get(path, timeout=1).status == 200
    began = time.monotonic()
    assert daemon.stop(timeout=5) == 0
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("action", ["stall", "crash"])
def test_one_sick_gpu_costs_only_itself(dormant, serve, action):
    node = dormant(action, gpu=1)
    daemon = serve(node, "--timeout=1s")
    daemon.wait(lambda page: len(rows(page, "gpu_process_info")) == 3, "all three sessions")
    wake(node, ABOUT_GPU_1)
    page = daemon.wait(
        lambda page: len(rows(page, "gpu_process_info")) == 2, "two of three sessions"
    )
    assert is_up(page) == 0
    assert value(page, "gpu_session_count", gpu="1") is None
    assert value(page, "gpu_session_count", gpu="2") == 1
    reason = "timeout" if action == "stall" else "crashed"
    assert value(page, "gpu_session_collector_restarts_total", reason=reason) >= 1
    assert "GPU 1" in daemon.log


def test_collector_killed(simulated, serve):
    daemon = serve(simulated("default"))
    before = daemon.wait_collected()
    (worker,) = daemon.children("gpu-sessions")
    os.kill(worker, signal.SIGKILL)
    page = daemon.wait(
        lambda page: value(page, "gpu_session_collector_restarts_total", reason="crashed") == 1,
        "the restart counted",
    )
    assert rows(page, "gpu_process_info").keys() == rows(before, "gpu_process_info").keys()
    assert is_up(daemon.wait_collected()) == 1
    assert not daemon.zombies()


def test_server_killed(simulated, serve):
    daemon = serve(simulated("default"))
    before = daemon.wait_collected()
    (server,) = daemon.children("gpu-sess-web")
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: daemon.children("gpu-sess-web") not in ([], [server]), "another server")
    page = daemon.wait(
        lambda page: value(page, "gpu_session_server_restarts_total") == 1, "the restart counted"
    )
    assert rows(page, "gpu_process_info").keys() == rows(before, "gpu_process_info").keys()
    assert not daemon.zombies()


def test_parent_stopped_leaves_no_stale_rows(simulated, serve):
    daemon = serve(simulated("default"))
    before = daemon.wait_collected()
    daemon.signal(signal.SIGSTOP)
    try:
        page = daemon.wait(lambda page: not has_sessions(page), "stale rows dropped")
        assert is_up(page) == 0
        stamp = "gpu_session_last_collect_timestamp_seconds"
        assert value(page, stamp) >= value(before, stamp)
        ready = daemon.get("/readyz")
        assert ready.status == 503 and ready.text
        document = json.loads(daemon.get("/api/v1/sessions").body)
        assert document["gpu_total_sessions"] is None and document["sessions"] == []
        assert daemon.get("/healthz").status == 200
    finally:
        daemon.signal(signal.SIGCONT)
    assert daemon.wait(has_sessions, "the rows back")
    wait_until(lambda: daemon.get("/readyz").status == 200, "ready again")


def test_parent_killed_takes_its_children_along(simulated, serve):
    daemon = serve(simulated("default"))
    daemon.wait_collected()
    children = daemon.children()
    assert len(children) == 2
    daemon.process.kill()
    daemon.process.wait()
    wait_until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "no process left"
    )


def test_driver_gone_and_back(simulated, dormant, serve):
    node = dormant("return")
    daemon = serve(node)
    before = daemon.wait_collected()
    library = node.directory / "libnvidia-ml.so.1"
    aside = library.with_suffix(".aside")
    library.rename(aside)
    set_fault(node, "nvmlDevice*", index=1)  # driver not loaded
    gone = daemon.wait(lambda page: is_up(page) == 0 and not has_sessions(page), "no driver")
    assert value(gone, "gpu_total_sessions") is None
    set_fault(node, "nvmlNothing", index=1)
    aside.rename(library)
    after = daemon.wait(has_sessions, "the driver back")
    assert rows(after, "gpu_process_info").keys() == rows(before, "gpu_process_info").keys()


def test_gpu_lost_and_back(dormant, serve):
    node = dormant("return")
    daemon = serve(node)
    daemon.wait_collected()
    state = node_state.live(node.directory / "node.state")
    state.gpus[1].lost = 15
    lost = daemon.wait(lambda page: value(page, "gpu_session_count", gpu="1") is None, "lost")
    assert value(lost, "gpu_session_count", gpu="0") == 1
    assert is_up(lost) == 1
    assert not any(dict(labels)["gpu"] == "1" for _, labels in rows(lost, "gpu_process_info"))
    state = node_state.live(node.directory / "node.state")
    state.gpus[1].lost = 0
    daemon.wait(lambda page: value(page, "gpu_session_count", gpu="1") == 1, "back")


def test_mig_layout_changed(simulated, serve):
    node = simulated("mig")
    daemon = serve(node)
    before = daemon.wait_collected()
    gpus = {dict(labels)["gpu"] for _, labels in rows(before, "gpu_session_count")}
    state = node_state.live(node.directory / "node.state")
    victim = state.migs[0]
    label = f"{victim.gpu}_{victim.gi}_{victim.ci}"
    for process in state.processes:
        if (process.gpu, process.gi, process.ci) == (victim.gpu, victim.gi, victim.ci):
            process.alive = 0
    victim.gi, victim.uuid = 2, b"MIG-11111111-2222-3333-4444-555555555555"
    changed = f"{victim.gpu}_2_{victim.ci}"
    assert label in gpus and changed not in gpus
    after = daemon.wait(
        lambda page: value(page, "gpu_session_count", gpu=changed) == 0, "the new device"
    )
    assert value(after, "gpu_session_count", gpu=label) is None


def test_pid_reused_under_the_running_daemon(simulated, serve):
    node = simulated("default")
    daemon = serve(node)
    before = daemon.wait_collected()
    state = node_state.live(node.directory / "node.state")
    victim = next(process for process in state.processes if process.alive)
    pid = victim.pid
    info = next(
        dict(labels) for _, labels in rows(before, "gpu_process_info")
        if dict(labels)["pid"] == str(pid)
    )
    # Another process of the node takes the place: its files, under the old pid.
    folder = node.directory / "proc" / str(pid)
    stat = (folder / "stat").read_text()
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    fields[19] = str(int(fields[19]) + 5)
    young = folder.with_name("young")
    shutil.copytree(folder, young, symlinks=True)
    (young / "stat").write_text(f"{pid} (other) {' '.join(fields)}\n")
    (young / "cmdline").write_bytes(b"/usr/bin/other\0")
    (young / "cgroup").write_text("0::/user.slice/user-1000.slice/session-1.scope\n")
    folder.rename(folder.with_name("old"))
    young.rename(folder)
    shutil.rmtree(folder.with_name("old"))

    def other(page):
        return [
            dict(labels) for _, labels in rows(page, "gpu_process_info")
            if dict(labels)["pid"] == str(pid) and dict(labels)["command"] == "other"
        ]

    page = daemon.wait(other, "the other process")
    for row in other(page):
        assert row["pod"] == row["namespace"] == "" and info["command"] != "other"


def test_started_and_ended_sessions_are_counted(dormant, serve):
    node = dormant("return")
    daemon = serve(node)
    first = daemon.wait_collected()
    assert value(first, "gpu_sessions_started_total", gpu="0") == 0
    state = node_state.live(node.directory / "node.state")
    state.processes[0].alive = 0
    page = daemon.wait(lambda page: value(page, "gpu_session_count", gpu="0") == 0, "ended")
    assert value(page, "gpu_sessions_ended_total", gpu="0") == 1
    (worker,) = daemon.children("gpu-sessions")
    os.kill(worker, signal.SIGKILL)  # what it remembered must not be lost with it
    state = node_state.live(node.directory / "node.state")
    state.processes[0].alive = 1
    page = daemon.wait(lambda page: value(page, "gpu_session_count", gpu="0") == 1, "started")
    assert value(page, "gpu_sessions_started_total", gpu="0") == 1
    assert value(page, "gpu_sessions_started_total", gpu="1") == 0
    assert value(page, "gpu_sessions_ended_total", gpu="0") == 1


# --- signals and files --------------------------------------------------------------------


def open_handles(node):
    return node_state.read(node.directory / "node.state").header.open_sessions


def test_driver_is_let_go_on_request(simulated, serve):
    node = simulated("default")
    daemon = serve(node)
    daemon.wait_collected()
    assert open_handles(node) == 1
    daemon.signal(signal.SIGUSR1)
    page = daemon.wait(
        lambda page: value(page, "gpu_session_driver_released") == 1, "the driver let go"
    )
    assert open_handles(node) == 0
    assert is_up(page) == 0 and not has_sessions(page)
    calls = node_state.read(node.directory / "node.state").header.total_calls
    ready = daemon.get("/readyz")
    assert ready.status == 503 and "SIGUSR2" in ready.text
    assert node_state.read(node.directory / "node.state").header.total_calls == calls
    daemon.signal(signal.SIGUSR2)
    page = daemon.wait(has_sessions, "the driver taken back")
    assert value(page, "gpu_session_driver_released") == 0
    assert open_handles(node) == 1


def test_driver_is_taken_back_after_a_time(simulated, serve):
    node = simulated("default")
    daemon = serve(node, "--driver.release-time=500ms")
    daemon.wait_collected()
    daemon.signal(signal.SIGUSR1)
    daemon.wait(lambda page: value(page, "gpu_session_driver_released") == 1, "let go")
    daemon.wait(has_sessions, "taken back by itself")


def test_driver_is_not_held_without_sessions(dormant, serve):
    node = dormant("return")
    daemon = serve(node)
    daemon.wait_collected()
    assert open_handles(node) == 1
    state = node_state.live(node.directory / "node.state")
    for process in state.processes:
        process.alive = 0
    daemon.wait(lambda page: value(page, "gpu_total_sessions") == 0, "no session")
    wait_until(lambda: open_handles(node) == 0, "the driver closed")
    state = node_state.live(node.directory / "node.state")
    state.processes[0].alive = 1
    daemon.wait(lambda page: value(page, "gpu_total_sessions") == 1, "a session seen")


def test_driver_hold_always_and_never(simulated, serve):
    node = simulated("plain")
    never = serve(node, "--driver.hold=never")
    page = never.wait_collected()
    assert has_sessions(page)
    wait_until(lambda: open_handles(node) == 0, "closed between collections")
    never.stop()
    always = serve(node, "--driver.hold=always")
    always.wait_collected()
    always.signal(signal.SIGUSR1)
    wait_until(lambda: "no effect" in always.log, "the refusal")
    always.wait_collected()
    assert open_handles(node) == 1


def test_textfile_is_written_and_removed(simulated, serve, tmp_path):
    node = simulated("default")
    textfile = tmp_path / "gpu_sessions.prom"
    daemon = serve(node, f"--textfile={textfile}", "--textfile.remove-on-exit")
    daemon.wait_collected()
    page = wait_until(lambda: textfile.exists() and textfile.read_text(), "the textfile")
    # node-exporter has these of itself.
    assert "gpu_process_info{" in page and "\nprocess_" not in page
    assert not [key for key in samples(page) if key[0].startswith("process_")]
    assert daemon.stop() == 0
    assert not textfile.exists()


def test_textfile_is_kept_by_default(simulated, serve, tmp_path):
    textfile = tmp_path / "gpu_sessions.prom"
    daemon = serve(simulated("default"), f"--textfile={textfile}")
    daemon.wait_collected()
    assert daemon.stop() == 0
    assert textfile.exists()


def test_textfile_that_cannot_be_written(simulated, serve, tmp_path):
    textfile = tmp_path / "missing" / "gpu_sessions.prom"

    def failures(page):
        found = value(
            page, "gpu_session_collect_errors_total", source="textfile", reason="write_failed"
        )
        return found or 0

    daemon = serve(simulated("default"), f"--textfile={textfile}")
    page = daemon.wait(lambda page: failures(page) >= 3, "failures that are counted")
    assert has_sessions(page) and daemon.get("/readyz").status == 200
    assert daemon.log.count(f"cannot write {textfile}: open the directory") == 1
    textfile.parent.mkdir()
    wait_until(lambda: f"{textfile} is written again" in daemon.log, "the good news")
    assert textfile.exists()
    before = failures(daemon.wait_collected())
    assert failures(daemon.wait_collected()) == before
    assert daemon.log.count("is written again") == 1
    textfile.unlink()
    textfile.parent.rmdir()
    wait_until(lambda: daemon.log.count(f"cannot write {textfile}") == 2, "the bad news")


def test_missing_folder_of_the_textfile_is_told_at_the_start(dormant, serve, tmp_path):
    node = dormant("stall")
    wake(node, EVERYWHERE)  # no collection ends
    textfile = tmp_path / "missing" / "gpu_sessions.prom"
    daemon = serve(node, f"--textfile={textfile}", "--timeout=60s")
    wait_until(lambda: f"cannot write {textfile}" in daemon.log, "the path")


def test_log_says_when_it_begins_and_ends(simulated, serve, program):
    version = program.run("--version").stdout.decode().split()[1]
    daemon = serve(simulated("default"))
    daemon.wait_collected()
    assert f'msg="gpu-sessions {version} starting"' in daemon.log.splitlines()[0]
    daemon.signal(signal.SIGUSR2)
    wait_until(lambda: "SIGUSR2 has no effect" in daemon.log, "nothing to take back")
    assert daemon.stop() == 0
    assert 'msg="ending on SIGTERM"' in daemon.log


def test_clean_stop_leaves_nothing(simulated, serve):
    node = simulated("default")
    daemon = serve(node)
    daemon.wait_collected()
    children = daemon.children()
    assert daemon.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert open_handles(node) == 0


def test_interrupt_stops_too(simulated, serve):
    daemon = serve(simulated("default"))
    daemon.wait_collected()
    daemon.signal(signal.SIGINT)
    assert daemon.process.wait(timeout=10) == 0


def test_repeated_trouble_is_logged_once(simulated, serve):
    daemon = serve(simulated("no_driver"))
    daemon.wait_collected()
    daemon.wait_collected()
    assert daemon.log.count("level=warn") == len(
        {line.split("msg=")[1] for line in daemon.log.splitlines() if "level=warn" in line}
    )


# --- what one process may do to another ---------------------------------------------------


def test_server_shares_counters_only(simulated, serve):
    """What it could write elsewhere, the processes outside its sandbox would trust."""
    daemon = serve(simulated("default"))
    daemon.wait_collected()
    for again in (False, True):
        (server,) = daemon.children("gpu-sess-web")
        maps = Path(f"/proc/{server}/maps").read_text().splitlines()
        shared = [line.split()[0] for line in maps if line.split()[1].startswith("rw-s")]
        assert len(shared) == 1, shared
        start, end = (int(address, 16) for address in shared[0].split("-"))
        assert end - start == 4096
        if not again:  # another one is made when the collecting process runs already
            os.kill(server, signal.SIGKILL)
            wait_until(lambda: daemon.children("gpu-sess-web") not in ([], [server]), "another")


def test_killed_collector_is_not_the_drivers_fault(simulated, serve):
    daemon = serve(simulated("default"))
    daemon.wait_collected()
    (worker,) = daemon.children("gpu-sessions")
    os.kill(worker, signal.SIGKILL)
    errors = "gpu_session_collect_errors_total"
    page = daemon.wait(
        lambda page: value(page, errors, source="collector", reason="crashed") == 1, "the count"
    )
    assert value(page, errors, source="nvml", reason="crashed") is None


def test_wedged_server_is_not_the_collectors_fault(simulated, serve):
    daemon = serve(simulated("default"), "--timeout=2s")
    daemon.wait_collected()
    (server,) = daemon.children("gpu-sess-web")
    os.kill(server, signal.SIGSTOP)
    wait_until(lambda: "did not answer" in daemon.log, "the server given up")
    page = daemon.wait(lambda page: value(page, "gpu_session_server_restarts_total") == 1, "new")
    assert value(page, "gpu_session_collector_restarts_total", reason="timeout") == 0


def test_rows_of_slow_collections_stay(simulated, serve):
    node = simulated("plain")
    state = node_state.live(node.directory / "node.state")
    state.header.latency_us = 20000
    daemon = serve(node, "--collect.interval=50ms")
    daemon.wait(has_sessions, "the first collection")
    for _ in range(5):
        seen = value(daemon.samples(), "gpu_session_collections_total")
        daemon.wait(
            lambda page: has_sessions(page)
            and value(page, "gpu_session_collections_total") > seen, "the next one",
        )
        assert has_sessions(daemon.samples())
    assert daemon.log.count("longer than --collect.interval") == 1


def test_release_ends_within_an_interval(simulated, serve):
    daemon = serve(simulated("plain"), "--collect.interval=1h", "--driver.release-time=300ms")
    daemon.wait(has_sessions, "the first collection")
    daemon.signal(signal.SIGUSR1)
    wait_until(lambda: "letting the driver go" in daemon.log, "the release")
    page = daemon.wait(has_sessions, "the driver taken back")
    assert value(page, "gpu_session_driver_released") == 0


def test_left_out_gpu_is_asked_again_after_a_reload(dormant, serve):
    node = dormant("stall", gpu=1)
    daemon = serve(node, "--timeout=1s")
    daemon.wait_collected()
    wake(node, ABOUT_GPU_1)
    daemon.wait(lambda page: value(page, "gpu_session_count", gpu="1") is None, "left out")
    sleep_again(node)
    daemon.signal(signal.SIGHUP)
    # Long before the half minute after which it would be asked again by itself.
    daemon.wait(lambda page: value(page, "gpu_session_count", gpu="1") == 1, "asked", timeout=20)
