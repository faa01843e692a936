"""The benchmark's Kubernetes sources: what asking the kubelet costs, and how rarely it is done.

    bench_kube.py DIRECTORY [quick]

Prints its part of docs/benchmarks.md. A program of its own, because the kubelet is the gRPC
server of tests/scenario: its module grpc is in .venv alone, with which bench.py starts this.
"""

import contextlib
import copy
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import bench
import bench_daemon
from bench_daemon import wait_until

PODS, MANY_PODS = 250, 5000
COMPLETE_AFTER_S = 120  # a kubelet younger than a minute is asked more often

SCENARIO = f"""
gpus:
  - {{name: NVIDIA A100-SXM4-80GB, count: 8}}
pods:
  - {{namespace: "team-{{n%12}}", name: "worker-{{n}}", replicate: {PODS}}}
processes:
  - {{command: python3, pod: "team-{{n%12}}/worker-{{n}}", gpu: "{{n%8}}", memory: 300MiB,
     sm: "{{n%10}}", replicate: {PODS}}}
"""


# --- the kubelet --------------------------------------------------------------------------


def session_pods(node):
    """(namespace, name, UID) of the pods that compute, and the GPUs' UUIDs."""
    text = subprocess.run([bench.PROGRAM, "list", "--json", *node.flags], check=True,
                          capture_output=True).stdout
    document = json.loads(text)
    pods = sorted((s["namespace"], s["pod"], s["pod_uid"]) for s in document["sessions"])
    return pods, [device["uuid"] for device in document["devices"]]


def some_pods(known, count):
    """The first COUNT pods; beyond those that compute, some that do not."""
    more = [(f"team-{n % 12}", f"other-{n}", f"00000000-0000-4000-8000-{n:012}")
            for n in range(count - len(known))]
    return (known + more)[:count]


def allocations(kubelet, pods, uuids):
    """PodResources: each pod has a time-slicing replica of a GPU."""
    devices = [("nvidia.com/gpu", f"{uuids[n % len(uuids)]}::{n}") for n in range(len(pods))]
    return kubelet.pods(*(kubelet.pod(namespace, name, main=[device])
                          for (namespace, name, _), device in zip(pods, devices)))


def pod_list(pods):
    """The kubelet's /pods: a real kubelet's pod under other names."""
    captured = json.loads((bench.ROOT / "tests/data/kube/kubelet-pods.json").read_text())
    items = []
    for namespace, name, uid in pods:
        item = copy.deepcopy(captured["items"][0])
        item["metadata"].update(namespace=namespace, name=name, uid=uid)
        items.append(item)
    return json.dumps(captured | {"items": items}, separators=(",", ":")).encode()


class Cluster:
    """Both servers of the kubelet of one node."""

    def __init__(self, node, kubelet_module, kubelet, http, node_name):
        self.module, self.kubelet, self.http = kubelet_module, kubelet, http
        self.known, self.uuids = session_pods(node)
        # The node's name is a label of all rows: in all variants, or in none.
        self.none = ("--kube.podresources=off", f"--node={node_name}")
        self.podresources = (f"--kube.podresources={kubelet.path}", self.none[1])
        self.both = (*self.podresources, *http.kubelet("--user.from=label:app,namespace"))
        kubelet.set_age(COMPLETE_AFTER_S)

    def set_pods(self, count):
        pods = some_pods(self.known, count)
        self.kubelet.answer = allocations(self.module, pods, self.uuids)
        self.http.state.body = pod_list(pods)
        self.kubelet.calls = 0
        self.http.state.requests.clear()

    def answer_bytes(self):
        return len(self.kubelet.answer), len(self.http.state.body)

    def requests(self):
        return self.kubelet.calls, len(self.http.state.requests)


@contextlib.contextmanager
def cluster(node, directory, kubelet_module, kube_server):
    certificates = directory / "certificates"
    certificates.mkdir()
    kube_server.make_certificates(certificates)
    kubelet = kubelet_module.Kubelet(node)
    try:
        with kube_server.running(certificates, directory) as http:
            yield Cluster(node, kubelet_module, kubelet, http, kube_server.NODE)
    finally:
        kubelet.stop()


def is_up(page, flags):
    """Every source that FLAGS ask for has answered."""
    up = re.findall(r'^gpu_session_source_up\{.*source="(podresources|kubernetes)".* 1$', page,
                    re.M)
    wanted = [flag for flag in flags
              if re.match(r"--kube\.(podresources|metadata)=(?!off$)", flag)]
    return len(up) == len(wanted)


@contextlib.contextmanager
def serving(node, directory, interval, flags):
    """A daemon that has what the kubelet says."""
    with bench_daemon.serving(bench.PROGRAM, node, directory / "kube.log",
                              f"--collect.interval={interval}", *flags) as daemon:
        wait_until(lambda: is_up(daemon.page(), flags), "an answer of the kubelet")
        yield daemon


# --- CPU time -----------------------------------------------------------------------------


def bench_cost(node, servers, rounds):
    """One whole run with and without the kubelet, in turns."""
    variants = {  # name: flags, pods, questions to PodResources and to /pods
        "nobody": (servers.none, PODS, (0, 0)),
        "PodResources": (servers.podresources, PODS, (1, 0)),
        "PodResources and /pods": (servers.both, PODS, (1, 1)),
        "both, without a pod in their answers": (servers.both, 0, (1, 1)),
    }
    times = {name: [] for name in variants}
    for turn in range(rounds):
        for name in list(variants)[::1 if turn % 2 == 0 else -1]:
            flags, pods, questions = variants[name]
            servers.set_pods(pods)
            times[name].append(bench.cpu_of([bench.PROGRAM, "collect", *node.flags, *flags]) * 1e6)
            if servers.requests() != questions:
                sys.exit(f"{name}: asked {servers.requests()} times, not {questions}")
    middle = {name: statistics.median(row) for name, row in times.items()}
    lines = ["| asked | CPU time of one run | beyond nobody |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {cpu:,.0f} µs | {cpu - middle['nobody']:,.0f} µs |"
              for name, cpu in middle.items()]
    return lines


def bench_steady(node, servers, directory, rounds, seconds):
    """The daemon between two questions; and how many there were."""
    variants = {"none": servers.none, "PodResources and /pods": servers.both}
    looks = {name: [] for name in variants}
    seen = []
    for turn in range(rounds):
        for name in list(variants)[::1 if turn % 2 == 0 else -1]:
            servers.set_pods(PODS)
            with serving(node, directory, "100ms", variants[name]) as daemon:
                looks[name].append(sum(bench_daemon.collection_cpu(daemon, seconds)))
                if name != "none":
                    seen.append((daemon.collections(), *servers.requests()))
    lines = ["| sources | CPU time of a collection |", "| --- | ---: |"]
    lines += [f"| {name} | {statistics.median(row):,.0f} µs |" for name, row in looks.items()]
    return lines, seen


def told_requests(servers, seen):
    sizes = servers.answer_bytes()
    lines = ["| collections | PodResources: questions, bytes | /pods: questions, bytes |",
             "| ---: | ---: | ---: |"]
    for collections, *counts in seen:
        cells = (f"{count}, {count * size:,}" for count, size in zip(counts, sizes))
        lines.append(f"| {collections} | {' | '.join(cells)} |")
    return lines


# --- memory -------------------------------------------------------------------------------


def worker_memory(daemon):
    """(peak, now) resident KiB of the collecting process."""
    for pid in daemon.pids()[1:]:
        proc = Path(f"/proc/{pid}")
        if (proc / "comm").read_text() != "gpu-sess-web\n":
            status = (proc / "status").read_text()
            return [int(re.search(rf"^{name}:\s+(\d+) kB$", status, re.M)[1])
                    for name in ("VmHWM", "VmRSS")]
    sys.exit("the daemon has no collecting process")


def bench_memory(node, servers, directory):
    lines = ["| pods in each answer | bytes: PodResources, /pods | peak RSS | after it |",
             "| ---: | ---: | ---: | ---: |"]
    rows = [("sources off", 0, servers.none)]
    rows += [(f"{n:,}", n, servers.both) for n in (0, PODS, MANY_PODS)]
    for name, count, flags in rows:
        servers.set_pods(count)
        sizes = "none"
        if flags == servers.both:
            sizes = ", ".join(f"{size:,}" for size in servers.answer_bytes())
        with serving(node, directory, "200ms", flags) as daemon:
            after = daemon.collections() + 3
            wait_until(lambda: daemon.collections() >= after, "three more collections")
            peak, now = worker_memory(daemon)
        lines.append(f"| {name} | {sizes} | {peak:,} KiB | {now:,} KiB |")
    return lines


# --- the page -----------------------------------------------------------------------------

TEXT = """\
8 A100, {pods} pods with a session each, and a kubelet of the tests: a real gRPC server on a unix
socket, a TLS server; each pod is the size of a real kubelet's. `collect` asks once, with the
connections, the TLS handshake and the loading of libcurl that this takes;
the last row shows what of it is not due to the pods:

{cost}

The daemon asks for allocations every 10 s and for metadata every 30 s. A collection in
between, all three processes; with the sources each page has a row more per allocation:

{steady}

Nothing is read again in between: what the two servers counted from the start to the end of
each daemon of the last row.

{requests}

Resident memory of the collecting process in the daemon, libraries included:

{memory}"""


def measure(directory, quick):
    import kube_server  # here, because without grpc there is nothing to measure
    import kubelet

    scenario = directory / "kube.yaml"
    scenario.write_text(SCENARIO)
    node = bench.Node(directory / "kube", scenario)
    with cluster(node, directory, kubelet, kube_server) as servers:
        cost = bench_cost(node, servers, 3 if quick else 21)
        steady, seen = bench_steady(node, servers, directory, *((1, 2) if quick else (3, 4)))
        requests = told_requests(servers, seen)
        memory = bench_memory(node, servers, directory)
    parts = {"cost": cost, "steady": steady, "requests": requests, "memory": memory}
    return TEXT.format(pods=PODS, **{name: "\n".join(part) for name, part in parts.items()})


if __name__ == "__main__":
    print(measure(Path(sys.argv[1]), sys.argv[2:] == ["quick"]))
