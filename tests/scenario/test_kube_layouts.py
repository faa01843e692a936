"""Whose session, who was given the device, who is the user: on every way to run a pod.

The kubelet's two answers come from a real gRPC server and a real TLS server; what differs
from layout to layout is what the kernel and the runtime leave in /proc and in the logs.
"""

import re
from dataclasses import dataclass

import pytest

import kube_server
from kubelet import SOCKET, Kubelet, pod as given, pods as answer
from kube_server import pod

GPU = "nvidia.com/gpu"
MIRROR_UID = "5c0e8e62-0000-4000-8000-000000000001"
KIND_NODE = "fd9d0ea06257a9780827cbc7fd92e3812a54fca26d63e191b73610d5d48b9cbd"
DEAD_CONTAINER = "de" * 32

# Two containers of one pod and a stranger on GPU 0, a static pod on GPU 1.
NODE = """
node: {{{node}}}
gpus:
  - {{name: NVIDIA A100-SXM4-40GB, count: 2}}
pods:
  - {{namespace: team-a, name: train-0, containers: [main, side], qos: guaranteed, log_links: {links}}}
  - {{namespace: team-b, name: stranger, containers: [web], qos: besteffort, log_links: {links}}}
  - {{namespace: kube-system, name: encoder-node-a, static: true, containers: [gpu], log_links: {links}}}
processes:
  - {{command: python3, pod: team-a/train-0, container: main, gpu: 0, memory: 1GiB}}
  - {{command: python3, pod: team-a/train-0, container: side, gpu: 0, memory: 2GiB}}
  - {{command: python3, pod: team-b/stranger, gpu: 0, memory: 3GiB}}
  - {{command: ffmpeg, pod: kube-system/encoder-node-a, gpu: 1, memory: 4GiB}}
  - {{command: cc1, gpu: 1, memory: 5GiB}}
"""

# By GiB of GPU memory: namespace, pod, container, allocated, user, user_from, label_team.
EXPECTED = {
    1: ("team-a", "train-0", "main", True, "jane", "label:user", "llm"),
    2: ("team-a", "train-0", "side", True, "jane", "label:user", "llm"),
    3: ("team-b", "stranger", "web", False, "team-b", "namespace", None),
    4: ("kube-system", "encoder-node-a", "gpu", True, "joe", "label:user", "video"),
    5: (None, None, None, False, "root", "unix", None),
}


# --- what the simulator does not do itself ------------------------------------------------


def rewrite_proc(node, pattern, replacement):
    """In what /proc says of the cgroups of pods."""
    changed = 0
    for path in [*node.directory.glob("proc/*/cgroup"), *node.directory.glob("proc/*/mountinfo")]:
        text = path.read_text()
        if "kubepods" in text:
            path.write_text(re.sub(pattern, replacement, text))
            changed += 1
    assert changed == 8, "two files of each of four processes in pods"


def nest_slices(prefix):
    """A kubelet with its cgroup root in kubelet.slice, as kind starts it."""

    def nest(node):
        rewrite_proc(node, r"\bkubepods(?=[-.])", "kubelet-kubepods")
        rewrite_proc(node, r"/kubelet-kubepods\.slice", rf"{prefix}/kubelet.slice\g<0>")

    return nest


def nest_cgroupfs(prefix):
    return lambda node: rewrite_proc(node, "/kubepods/", f"{prefix}/kubelet/kubepods/")


def restart(node):
    """train-0/main has died and runs anew: the kubelet keeps the dead one's link."""
    folder = node.directory / "rootfs/var/log/containers"
    (now,) = folder.glob("train-0_team-a_main-*.log")
    log = now.readlink()
    assert log.name == "0.log"
    (folder / f"train-0_team-a_main-{DEAD_CONTAINER}.log").symlink_to(log)
    now.unlink()
    now.symlink_to(log.with_name("1.log"))


def restart_unlinked(node):
    """As restart(), but the kubelet has not yet made the new container's link."""
    folder = node.directory / "rootfs/var/log/containers"
    (now,) = folder.glob("train-0_team-a_main-*.log")
    now.rename(folder / f"train-0_team-a_main-{DEAD_CONTAINER}.log")


# --- the layouts --------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    node: str = ""
    change: object = None
    links: bool = True


def plain_layouts():
    return {
        f"{runtime}-{driver}-v{version}": Layout(
            f"runtime: {runtime}, cgroup_driver: {driver}, cgroup_version: {version}")
        for runtime in ("containerd", "crio", "docker")
        for driver in ("systemd", "cgroupfs")
        for version in (2, 1)
    }


KIND_ROOT = f"kubelet_root: /var/lib/docker/volumes/{KIND_NODE}/_data/lib/kubelet"
LAYOUTS = plain_layouts() | {
    "kind-from-the-host": Layout(KIND_ROOT, nest_slices(f"/system.slice/docker-{KIND_NODE}.scope")),
    "kind-from-its-node": Layout(KIND_ROOT, nest_slices("")),
    "kind-v1": Layout(f"{KIND_ROOT}, cgroup_version: 1",
                      nest_slices(f"/system.slice/docker-{KIND_NODE}.scope")),
    "kind-cgroupfs": Layout(f"{KIND_ROOT}, cgroup_driver: cgroupfs",
                            nest_cgroupfs(f"/docker/{KIND_NODE}")),
    "kind-without-links": Layout(
        KIND_ROOT, nest_slices(f"/system.slice/docker-{KIND_NODE}.scope"), links=False),
    "restarted": Layout("", restart),
    "restarted-crio": Layout("runtime: crio", restart),
    "restarted-and-not-yet-linked": Layout("", restart_unlinked),
    "containerd-without-links": Layout(links=False),
    "crio-without-links": Layout("runtime: crio, cgroup_driver: cgroupfs", links=False),
}


def allocations(node):
    """As the kubelet says them: by name, static pods by that of their mirror."""
    uuids = {d["gpu"]: d["uuid"] for d in node.json("--kube.podresources=off")["devices"]}
    return answer(
        given("team-a", "train-0", main=[(GPU, uuids["0"])], side=[(GPU, uuids["0"])]),
        given("team-b", "stranger", web=[]),
        given("kube-system", "encoder-node-a", gpu=[(GPU, uuids["1"])]),
    )


def pod_list(node):
    """A static pod has another UID in it: its processes carry the hash of its manifest."""
    sessions = node.json("--kube.podresources=off")["sessions"]
    uids = {s["gpu_process_memory_used_bytes"] >> 30: s["pod_uid"] for s in sessions}
    assert re.fullmatch("[0-9a-f]{32}", uids[4]) and uids[5] is None
    return [
        pod("team-a", "train-0", uids[1], labels={"user": "jane", "team": "llm"}),
        pod("team-b", "stranger", uids[3]),
        pod("kube-system", "encoder-node-a", MIRROR_UID, labels={"user": "joe", "team": "video"},
            annotations={"kubernetes.io/config.hash": uids[4]}, owner=("Node", kube_server.NODE)),
    ]


def told(session):
    labels = session["labels"] or {}
    fields = ("namespace", "pod", "container", "allocated", "user", "user_from")
    return (*(session[name] for name in fields), labels.get("label_team"))


@pytest.mark.parametrize("mode", ["kubelet", "apiserver"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layout(simulated, certificates, tmp_path, name, mode):
    layout = LAYOUTS[name]
    scenario = tmp_path / "layout.yaml"
    scenario.write_text(NODE.format(node=layout.node, links=str(layout.links).lower()))
    node = simulated(scenario)
    if layout.change:
        layout.change(node)
    with kube_server.running(certificates, tmp_path) as server:
        server.state.pods = pod_list(node)
        kubelet = Kubelet(node, allocations(node))
        try:
            document = node.json(*getattr(server, mode)(
                f"--kube.podresources={node.directory / SOCKET}",
                "--user.from=label:user,namespace,unix", "--kube.label=team"))
        finally:
            kubelet.stop()
    assert kubelet.calls == 1 and len(server.state.lists()) == 1
    assert all(source["gpu_session_source_up"] for source in document["sources"])
    found = {s["gpu_process_memory_used_bytes"] >> 30: told(s) for s in document["sessions"]}
    assert found == EXPECTED
    containers = {s["container_id"] for s in document["sessions"] if s["pod"]}
    assert len(containers) == 4 and KIND_NODE not in containers
    used = {(a["pod"], a["container"]): a["used"]
            for device in document["devices"] for a in device["allocations"]}
    assert used == {("train-0", "main"): True, ("train-0", "side"): True,
                    ("encoder-node-a", "gpu"): True}
