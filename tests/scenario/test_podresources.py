"""Kubernetes' allocations, from a real gRPC server on the kubelet's socket, end to end."""

import os
import socket
import time

import grpc
import pytest

from harness import samples, value, wait_until
from kubelet import DATA, Kubelet, claim, pod, pods, raw_kubelet

GPU = "nvidia.com/gpu"

# Two pods of four use their share of GPU 0, a stranger too; two pods on one MIG device.
SHARED = """
gpus:
  - {name: NVIDIA A100-SXM4-40GB, count: 2}
  - {name: NVIDIA H100 80GB HBM3, mig: [3g.40gb, 1g.10gb]}
pods:
  - {namespace: team-a, name: train-0, containers: [main]}
  - {namespace: team-a, name: train-1, containers: [main]}
  - {namespace: team-b, name: waits-0, containers: [main]}
  - {namespace: team-b, name: waits-1, containers: [main]}
  - {namespace: other, name: stranger, containers: [main]}
  - {namespace: team-a, name: static-node-a, containers: [main, side]}
processes:
  - {command: python3, pod: team-a/train-0, gpu: 0, memory: 2GiB, sm: "11"}
  - {command: python3, pod: team-a/train-1, gpu: 0, memory: 3GiB, sm: "22"}
  - {command: python3, pod: other/stranger, gpu: 0, memory: 1GiB, sm: "5"}
  - {command: serve, pod: team-a/train-0, gpu: 2, mig: 0, memory: 4GiB, sm: "30"}
  - {command: serve, pod: team-a/static-node-a, container: side, gpu: 2, mig: 0, memory: 1GiB, sm: "40"}
"""


@pytest.fixture
def kubelet():
    """kubelet(node, answer) → a running Kubelet, ended with the test."""
    running = []

    def start(node, answer=b""):
        running.append(Kubelet(node, answer))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def shared(simulated, tmp_path):
    scenario = tmp_path / "shared.yaml"
    scenario.write_text(SHARED)
    return simulated(scenario)


def devices(node):
    return {device["gpu"]: device for device in node.json()["devices"]}


def uuids(node):
    return {label: device["uuid"] for label, device in devices(node).items()}


def mig_label(node, profile):
    return next(g for g, d in devices(node).items() if d["mig_profile"] == profile)


def states(page, gpu):
    names = ("used", "allocated_unused", "used_unallocated", "free")
    return tuple(value(page, "gpu_device_state", gpu=gpu, state=name) for name in names)


def allocated(page, gpu):
    return {
        tuple(dict(labels)[key] for key in ("namespace", "pod", "container"))
        for (name, labels), _ in page.items()
        if name == "gpu_device_allocated" and dict(labels)["gpu"] == gpu
    }


def source(document):
    return next((s for s in document["sources"] if s["source"] == "podresources"), None)


def error(document, reason):
    return sum(
        e["gpu_session_collect_errors_total"]
        for e in document["errors"]
        if (e["source"], e["reason"]) == ("podresources", reason)
    )


def time_sliced(ids):
    replicas = enumerate(("team-a/train-0", "team-a/train-1", "team-b/waits-0", "team-b/waits-1"))
    return [
        pod(*name.split("/"), main=[(GPU, f"{ids['0']}::{number}")])
        for number, name in replicas
    ]


# --- without a kubelet --------------------------------------------------------------------


def test_without_a_kubelet_nothing_is_said(shared):
    page, document = shared.page(), shared.json()
    assert "allocated" not in page and "gpu_device_state" not in page
    assert "podresources" not in page
    assert source(document) is None
    assert all("allocations" not in device for device in document["devices"])
    assert all("allocated" not in session for session in document["sessions"])
    assert b"alloc" not in shared.list().stdout


def test_off_asks_nobody(shared, kubelet):
    server = kubelet(shared, pods())
    page = shared.page("--kube.podresources=off")
    assert server.calls == 0 and "podresources" not in page


def test_a_socket_that_was_asked_for_and_is_missing_is_down(shared):
    document = shared.json("--kube.podresources=/nowhere/kubelet.sock")
    assert source(document)["gpu_session_source_up"] == 0
    assert "/nowhere/kubelet.sock" in source(document)["reason"]
    assert error(document, "no_socket") == 1
    assert len(document["sessions"]) == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_another_user_learns_that_uid_0_is_needed(shared, kubelet, program):
    server = kubelet(shared, pods())
    for folder in (shared.directory, *shared.directory.rglob("*")):
        if not folder.is_symlink():
            folder.chmod(folder.stat().st_mode | (0o755 if folder.is_dir() else 0o644))
    server.path.chmod(0o700)
    program.findings.chmod(0o777)
    done = shared.list(user=65532, group=65532, extra_groups=[])
    assert done.returncode == 0
    assert b"podresources is down: may not open" in done.stdout and b"uid 0" in done.stdout
    server.path.parent.chmod(0o700)
    done = shared.list(user=65532, group=65532, extra_groups=[])
    assert b"uid 0" in done.stdout and b"5 sessions" in done.stdout


# --- who has what -------------------------------------------------------------------------


def test_time_slicing_with_four_pods_on_one_gpu(shared, kubelet):
    ids = uuids(shared)
    kubelet(shared, pods(*time_sliced(ids)))
    page = samples(shared.page())
    assert allocated(page, "0") == {
        ("team-a", "train-0", "main"),
        ("team-a", "train-1", "main"),
        ("team-b", "waits-0", "main"),
        ("team-b", "waits-1", "main"),
    }
    assert states(page, "0") == (1, 1, 1, 0)
    assert states(page, "1") == (0, 0, 0, 1)

    document = shared.json()
    on_gpu = {s["pod"]: s for s in document["sessions"] if s["gpu"] == "0"}
    assert {name: s["allocated"] for name, s in on_gpu.items()} == {
        "train-0": True, "train-1": True, "stranger": False,
    }
    # Each its own values, never the device's.
    assert {name: s["gpu_process_utilization"] for name, s in on_gpu.items()} == {
        "train-0": 11, "train-1": 22, "stranger": 5,
    }
    assert {name: s["gpu_process_memory_used_bytes"] >> 30 for name, s in on_gpu.items()} == {
        "train-0": 2, "train-1": 3, "stranger": 1,
    }
    used = {a["pod"]: a["used"] for a in devices(shared)["0"]["allocations"]}
    assert used == {"train-0": True, "train-1": True, "waits-0": False, "waits-1": False}


def test_table_names_who_does_not_use_what_they_have(shared, kubelet):
    kubelet(shared, pods(*time_sliced(uuids(shared))))
    table = shared.list().stdout.decode()
    lines = table.splitlines()
    assert "    allocated to  team-b/waits-0/main  unused" in lines
    assert "    allocated to  team-b/waits-1/main  unused" in lines
    marked = [line for line in lines if " ! " in line and "python3" in line]
    assert len(marked) == 1 and "other/stranger" in marked[0]
    assert '"!": used without having been allocated by Kubernetes' in lines
    narrowed = shared.list("--namespace=team-b").stdout.decode()
    assert "waits-0" in narrowed and "train-0" not in narrowed and "GPU 1 " not in narrowed
    assert "waits-0" not in shared.list("--namespace=team-a").stdout.decode()


def test_table_does_not_name_every_idle_replica(shared, kubelet):
    ids = uuids(shared)
    names = [pod("team-b", f"w-{n:02}", main=[(GPU, f"{ids['1']}::{n}")]) for n in range(40)]
    kubelet(shared, pods(*names))
    table = shared.list().stdout.decode()
    assert table.count("unused") == 4 and "and to 37 more containers, unused" in table


def test_two_pods_on_one_mig_device(shared, kubelet):
    ids, big = uuids(shared), mig_label(shared, "3g.40gb")
    small = mig_label(shared, "1g.10gb")
    kubelet(shared, pods(
        pod("team-a", "train-0", main=[("nvidia.com/mig-3g.40gb", f"{ids[big]}::0")]),
        pod("team-a", "static-node-a", main=[], side=[("nvidia.com/mig-3g.40gb", f"{ids[big]}::1")]),
    ))
    page = samples(shared.page())
    assert states(page, big) == (1, 0, 0, 0)
    assert states(page, small) == (0, 0, 0, 1)
    # The GPU itself holds no session: it is in no state.
    assert states(page, "2") == (None, None, None, None)
    on_device = [s for s in shared.json()["sessions"] if s["gpu"] == big]
    assert [s["allocated"] for s in on_device] == [True, True]
    assert len({s["gpu_process_memory_used_bytes"] for s in on_device}) == 2


def test_mps_clients_use_their_share(simulated, kubelet):
    node = simulated("default")
    ids = uuids(node)
    kubelet(node, pods(
        pod("vision", "detector-7d9c6b5f4-x2x9k", server=[(GPU, f"{ids['1']}::0")]),
        pod("vision", "detector-7d9c6b5f4-p8wq2", server=[(GPU, f"{ids['1']}::1")]),
    ))
    page = samples(node.page())
    assert states(page, "1") == (1, 0, 0, 0)


def test_a_container_that_has_a_gpu_and_one_that_uses_it(shared, kubelet):
    """The pod of a session was given the device; which container of it, the row says."""
    ids, big = uuids(shared), mig_label(shared, "3g.40gb")
    kubelet(shared, pods(
        pod("team-a", "static-node-a", main=[(GPU, f"{ids[big]}::0")], side=[(GPU, f"{ids[big]}::1")]),
    ))
    rows = devices(shared)[big]["allocations"]
    assert {row["container"]: row["used"] for row in rows} == {"main": False, "side": True}


def test_two_pods_that_were_given_the_whole_device(shared, kubelet):
    """One has ended (kubelets before 1.34), or has not begun: both stay listed."""
    ids = uuids(shared)
    finished = pod("team-b", "waits-0", main=[(GPU, ids["0"])])
    kubelet(shared, pods(finished, pod("team-a", "train-0", main=[(GPU, ids["0"])])))
    page = samples(shared.page())
    both = {("team-a", "train-0", "main"), ("team-b", "waits-0", "main")}
    assert allocated(page, "0") == both
    assert states(page, "0")[1] is None, "which of them has it nobody says"


def test_two_claims_where_nobody_computes_are_both_shown(shared, kubelet):
    ids = uuids(shared)
    kubelet(shared, pods(
        pod("team-b", "waits-0", main=[(GPU, ids["1"])]),
        pod("team-b", "waits-1", main=[(GPU, ids["1"])]),
    ))
    page = samples(shared.page())
    assert len(allocated(page, "1")) == 2 and states(page, "1") == (0, 1, 0, 0)


def test_ids_repeated_per_numa_node_and_replicas_count_once(shared, kubelet):
    ids = uuids(shared)
    ours = pod("team-a", "train-0", main=[(GPU, ids["0"]), (GPU, ids["0"]), (GPU, ids["0"] + "::3")])
    kubelet(shared, pods(ours, ours))
    page = samples(shared.page())
    assert allocated(page, "0") == {("team-a", "train-0", "main")}


def test_ids_of_gke_and_dra(shared, kubelet):
    small = mig_label(shared, "1g.10gb")
    gi = small.split("_")[1]
    kubelet(shared, pods(
        pod("team-b", "gke", main=[(GPU, f"nvidia2/gi{gi}/vgpu1"), (GPU, "nvidia1")]),
        claim(pod("team-b", "dra"), "main", "gpu-1", "gpu-2-mig-1g10gb-19-4"),
        claim(pod("team-b", "other"), "main", "nic-0", driver="net.example.com"),
    ))
    page = samples(shared.page())
    both = {("team-b", "gke", "main"), ("team-b", "dra", "main")}
    assert allocated(page, "1") == both and allocated(page, small) == both


def test_hami_ids_are_not_believed(shared, kubelet):
    ids = uuids(shared)
    kubelet(shared, pods(pod("team-a", "train-0", main=[(GPU, f"{ids['1']}-0")])))
    document = shared.json()
    assert error(document, "opaque_id") == 1
    sessions = {s["pod"]: s["allocated"] for s in document["sessions"] if s["gpu"] == "0"}
    # Perhaps this is the GPU that train-0 was given.
    assert sessions == {"train-0": None, "train-1": False, "stranger": False}
    state = devices(shared)["1"]["state"]
    assert state["free"] is None and state["allocated_unused"] is None


def test_devices_that_are_not_there_and_foreign_ones(shared, kubelet):
    kubelet(shared, pods(
        pod("a", "gone", main=[(GPU, "GPU-00000000-1111-2222-3333-444444444444")]),
        pod("a", "nic", main=[("nvidia.com/hostdev", "0000:05:00.1"), ("amd.com/gpu", "x")]),
    ))
    document = shared.json()
    assert error(document, "unknown_device") == 1 and error(document, "opaque_id") == 0
    assert states(samples(shared.page()), "1") == (0, 0, 0, 1)


def test_a_session_of_an_unknown_pod_may_be_anybodys(shared, kubelet):
    kubelet(shared, pods(*time_sliced(uuids(shared))))
    links = shared.directory / "rootfs/var/log/containers"
    for link in links.iterdir():
        if link.name.startswith("stranger"):
            link.unlink()
    for mountinfo in shared.directory.glob("proc/*/mountinfo"):
        mountinfo.write_text("")
    document = shared.json()
    stranger = [s for s in document["sessions"] if s["gpu"] == "0" and s["pod"] is None]
    assert [s["allocated"] for s in stranger] == [None]
    # waits-0 or waits-1 may be the one: neither "unused" nor "without allocation" is said.
    assert states(samples(shared.page()), "0") == (1, None, None, 0)


# --- captured answers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, unknown",
    [("v1-api", 4), ("v2-api", 4), ("v1-static", 4), ("after-restart-12s", 4)],
)
def test_answers_of_a_real_kubelet(shared, kubelet, name, unknown):
    kubelet(shared, (DATA / f"{name}.pb").read_bytes())
    document = shared.json()
    assert source(document) == {
        "source": "podresources", "gpu_session_source_up": 1, "reason": None,
    }
    assert error(document, "unknown_device") == unknown


# HTTP/2: an empty gRPC message, the last data on stream 1.
REQUEST_END = b"\0\0\5\0\1\0\0\0\1" + bytes(5)


def answer_bytes(content):
    """Sends CONTENT when the whole request has come, and goes away."""

    def talk(connection):
        seen = b""
        while REQUEST_END not in seen:
            piece = connection.recv(65536)
            if not piece:
                return
            seen += piece
        connection.sendall(content)
        time.sleep(0.2)

    return talk


def test_bytes_of_a_real_kubelet(shared):
    """HTTP/2 frames of grpc-go: PING, Huffman-coded headers, a trailer."""
    with raw_kubelet(shared, answer_bytes((DATA / "list.h2.bin").read_bytes())):
        document = shared.json()
    assert source(document)["gpu_session_source_up"] == 1
    assert error(document, "unknown_device") == 4


def test_a_kubelet_that_has_just_started(shared, kubelet):
    server = kubelet(shared, (DATA / "after-restart-0s.pb").read_bytes())
    document = shared.json()
    assert source(document)["gpu_session_source_up"] == 1
    assert "may not list all of its pods yet" in source(document)["reason"]
    assert all("state" not in device for device in document["devices"])
    assert b"podresources is limited" in shared.list().stdout
    server.set_age(61)
    assert states(samples(shared.page()), "1") == (0, 0, 0, 1)


# --- answers that are none ----------------------------------------------------------------


def refuse(code, words):
    return lambda context: context.abort(code, words)


@pytest.mark.parametrize(
    "code, reason",
    [
        (grpc.StatusCode.UNKNOWN, "grpc_error"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "rate_limit"),
        (grpc.StatusCode.UNIMPLEMENTED, "unimplemented"),
    ],
)
def test_refusals(shared, kubelet, code, reason):
    kubelet(shared, refuse(code, "rejected: \x1b[31m 100 %"))
    document = shared.json()
    assert source(document)["gpu_session_source_up"] == 0
    assert f"gRPC status {code.value[0]}: rejected: ?[31m 100 %" in source(document)["reason"]
    assert error(document, reason) == 1
    assert len(document["sessions"]) == 5


def endless(context):
    time.sleep(30 if context.is_active() else 0)
    return b""


@pytest.mark.parametrize(
    "answer, reason",
    [
        (b"\x0a\xff\xff\xff\xff\x0f", "malformed"),
        (b"\x0b\x0b\x0b", "malformed"),
        (b"\x0a\x00" * (2 << 20), "malformed"),
        (b"\x0a" + b"\x80" * 9 + b"\x01", "malformed"),
        (bytes(64 << 20), "too_large"),
    ],
    ids=["length", "group", "amplified", "varint", "64MiB"],
)
def test_malformed_and_oversized(shared, kubelet, answer, reason):
    kubelet(shared, answer)
    document = shared.json()
    assert source(document)["gpu_session_source_up"] == 0
    assert error(document, reason) == 1, document["errors"]
    assert len(document["sessions"]) == 5


def test_a_slow_kubelet_costs_a_second(shared, kubelet):
    kubelet(shared, endless)
    document = shared.json()
    assert error(document, "timeout") == 1
    assert 0.9 < document["gpu_session_collect_duration_seconds"] < 5
    assert len(document["sessions"]) == 5


def stream_for_ever(connection):
    """Frames that any client skips, without an end."""
    connection.recv(65536)
    connection.sendall(b"\0\0\0\4\0\0\0\0\0")
    while True:
        connection.sendall(b"\0\x20\0\xfa\0\0\0\0\0" + bytes(8192))


@pytest.mark.parametrize(
    "talk, reasons",
    [
        (answer_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), {"bad_answer"}),
        (answer_bytes(b"\x00" * 100), {"bad_answer", "timeout"}),
        (answer_bytes((DATA / "list.h2.bin").read_bytes()[:400]), {"bad_answer", "timeout"}),
        (answer_bytes((DATA / "unimplemented.h2.bin").read_bytes()), {"bad_answer", "unimplemented"}),
        (lambda connection: None, {"bad_answer"}),
        (stream_for_ever, {"timeout", "bad_answer"}),
    ],
    ids=["http1", "zeros", "cut", "unimplemented", "closed", "endless"],
)
def test_what_is_no_grpc_server(shared, talk, reasons):
    with raw_kubelet(shared, talk):
        document = shared.json()
    assert source(document)["gpu_session_source_up"] == 0
    seen = {e["reason"] for e in document["errors"] if e["source"] == "podresources"}
    assert seen and seen <= reasons
    assert len(document["sessions"]) == 5


def test_a_file_where_the_socket_should_be(shared, kubelet):
    server = kubelet(shared)
    server.stop()
    server.path.unlink(missing_ok=True)
    server.path.write_text("")
    assert error(shared.json(), "bad_socket") == 1


# libcurl 7.88 stalls on some answers beyond 64 KiB, if it is let.
@pytest.mark.parametrize("count", [170, 250, 260, 800, 5000])
def test_many_pods(shared, kubelet, count):
    ids = uuids(shared)
    everybody = [
        pod("ns", f"pod-{n:04}", main=[(GPU, f"{ids['1']}::{n}"), ("example.com/nic", f"n{n}")])
        for n in range(count)
    ]
    kubelet(shared, pods(*everybody))
    page = samples(shared.page())
    assert len(allocated(page, "1")) == count


def test_more_devices_than_are_kept(shared, kubelet):
    ids = uuids(shared)
    replicas = [f"{ids['1']}::{n}" for n in range(20000)]
    kubelet(shared, pods(pod("ns", "greedy", main=[(GPU, *replicas)])))
    document = shared.json()
    assert error(document, "too_many_devices") == 20000 - 16384
    assert len(devices(shared)["1"]["allocations"]) == 1


def test_names_that_kubernetes_does_not_allow(shared, kubelet):
    ids = uuids(shared)
    kubelet(shared, pods(
        pod("ns", "n" * 300, main=[(GPU, ids["1"])]),
        pod("ns", "", main=[(GPU, ids["1"])]),
        pod('q"\\\n\x1b', "odd", main=[(GPU, ids["1"])]),
    ))
    document = shared.json()
    assert error(document, "bad_name") == 2
    assert len(allocated(samples(shared.page()), "1")) == 1
    assert b"\x1b" not in shared.list().stdout
    by_pod = {s["pod"]: s["allocated"] for s in document["sessions"] if s["gpu"] == "0"}
    assert by_pod["train-0"] is None, "it may have been left out"


# --- the daemon ---------------------------------------------------------------------------


def is_up(wanted):
    return lambda page: value(page, "gpu_session_source_up", source="podresources") == wanted


def test_daemon_asks_rarely_and_follows_a_restart(shared, kubelet, serve):
    ids = uuids(shared)
    answer = pods(*time_sliced(ids))
    server = kubelet(shared, answer)
    daemon = serve(shared)
    page = daemon.wait(is_up(1), "the kubelet's answer")
    assert len(allocated(page, "0")) == 4
    for _ in range(5):
        daemon.wait_collected()
    assert server.calls == 1

    # The kubelet ends: its last word holds, and the source says that it is down, once the
    # next question is due; a new socket ends that wait.
    server.stop()
    server.path.unlink(missing_ok=True)
    page = daemon.wait(is_up(0), "the socket that is gone")
    assert len(allocated(page, "0")) == 4

    server.answer = (DATA / "after-restart-0s.pb").read_bytes()
    server.start()
    page = daemon.wait(is_up(1), "the new kubelet")
    assert len(allocated(page, "0")) == 4, "an incomplete list takes nothing away"

    server.answer = pods(*time_sliced(ids), pod("z", "new", main=[(GPU, ids["1"])]))
    page = daemon.wait(lambda page: allocated(page, "1"), "the whole list")
    assert len(allocated(page, "0")) == 4


def test_daemon_counts_the_ids_of_a_list_once(shared, kubelet, serve):
    ids = uuids(shared)
    kubelet(shared, pods(
        pod("a", "gone", main=[(GPU, "GPU-00000000-1111-2222-3333-444444444444")]),
        pod("a", "hami", main=[(GPU, f"{ids['1']}-0")]),
    ))
    daemon = serve(shared)
    daemon.wait(is_up(1), "the kubelet's answer")
    for _ in range(3):
        daemon.wait_collected()
    page = daemon.samples()
    for reason in "unknown_device", "opaque_id":
        assert value(page, "gpu_session_collect_errors_total",
                     source="podresources", reason=reason) == 1


def test_daemon_backs_off(shared, kubelet, serve):
    calls = []

    def limited(context):
        calls.append(time.monotonic())
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")

    kubelet(shared, limited)
    daemon = serve(shared)
    wait_until(lambda: len(calls) >= 4, "four questions")
    waits = [later - earlier for earlier, later in zip(calls, calls[1:])]
    assert 0.7 < waits[0] and 1.4 < waits[1] and 2.9 < waits[2], waits
    assert is_up(0)(daemon.samples())
    assert "podresources" in daemon.log and "rate limit" in daemon.log


def test_slow_sources_do_not_cost_the_drivers_sessions(simulated):
    """Three servers that never answer, and little time: the sessions are there all the same."""
    node = simulated("default")
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent, \
            socket.socket(socket.AF_UNIX) as kubelet:
        path = node.directory / "silent.sock"
        kubelet.bind(str(path))
        kubelet.listen(8)
        port = silent.getsockname()[1]
        token = node.directory / "token"
        token.write_text("secret")
        done = node.collect(
            "--timeout=2s", f"--kube.podresources={path}", f"--dcgm.url=http://127.0.0.1:{port}/",
            "--kube.metadata=kubelet", f"--kube.kubelet-address=127.0.0.1:{port}", "--node=n1",
            "--kube.kubelet-send-token-to-unverified-server", f"--kube.token-file={token}",
        )
    assert done.returncode == 0, done.stderr.decode()
    page = samples(done.stdout.decode())
    assert value(page, "gpu_total_sessions", node="n1") == 8
    for source in ("podresources", "kubernetes", "dcgm"):
        assert value(page, "gpu_session_source_up", source=source, node="n1") == 0
