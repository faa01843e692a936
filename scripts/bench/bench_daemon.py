"""The benchmark's daemon: memory, CPU time, answers under load and beside a hung driver."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/scenario"))

import node_state  # noqa: E402  the folder is known only now

SERVER_CORE, CLIENT_CORE = "0", "1"
CLIENTS = 50
GZIP = {"Accept-Encoding": "gzip"}


def wait_until(condition, what):
    deadline = time.monotonic() + 60
    while not (found := condition()):
        if time.monotonic() > deadline:
            sys.exit(f"not within a minute: {what}")
        time.sleep(0.02)
    return found


def fetch(url, headers=None):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})) as answer:
        return answer.read()


@contextlib.contextmanager
def running(command, **more):
    process = subprocess.Popen(list(map(str, command)), **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Daemon:
    def __init__(self, process, url):
        self.process, self.url = process, url

    def page(self):
        return fetch(self.url).decode()

    def collections(self):
        return int(re.search(r"^gpu_session_collections_total\S* (\d+)$", self.page(), re.M)[1])

    def pids(self):
        task = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [self.process.pid, *map(int, Path(task).read_text().split())]


@contextlib.contextmanager
def serving(program, node, log, *flags, prefix=()):
    """A daemon whose first collection is shown."""
    command = [*prefix, program, "serve", *node.flags, "--web.listen-address=127.0.0.1:0", *flags]
    with open(log, "wb") as output, running(command, stderr=output) as process:
        found = wait_until(lambda: re.search(r"serving (http://[^\s,]+),",
                                             Path(log).read_text()), "the address")
        daemon = Daemon(process, found[1])
        wait_until(lambda: "gpu_process_info{" in daemon.page(), "the first collection")
        yield daemon


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, round(len(values) * percent / 100))]


# --- memory -------------------------------------------------------------------------------


def memory_of(pids):
    """(unique, proportional, resident) KiB of processes together."""
    sums = [0, 0, 0]
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        field = dict(re.findall(r"^(\w+): +(\d+) kB$", text, re.M))
        unique = int(field["Private_Clean"]) + int(field["Private_Dirty"])
        sums = [a + b for a, b in zip(sums, (unique, int(field["Pss"]), int(field["Rss"])))]
    return sums


def bench_memory(program, loaded, nodes, log):
    """After scrapes of all forms; a library's pages count as unique where nobody else has
    the library in use."""
    lines = [
        "| node | sessions | unique (USS) | of them beyond the loaded library | PSS | RSS |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, node in nodes.items():
        with running([loaded, node.library], stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            floor, _, _ = memory_of([process.pid])
        with serving(program, node, log, "--collect.interval=1s") as daemon:
            looks = []
            for _ in range(12):
                page = daemon.page()
                fetch(daemon.url, GZIP)
                time.sleep(0.3)
                looks.append(memory_of(daemon.pids()))
        unique, pss, rss = (statistics.median(look[i] for look in looks) for i in range(3))
        sessions = len(re.findall(r"^gpu_process_info\{.* 1$", page, re.M))
        lines.append(f"| {name} | {sessions} | {unique:,.0f} KiB | {unique - floor:,.0f} KiB | "
                     f"{pss:,.0f} KiB | {rss:,.0f} KiB |")
    return lines


# --- CPU time -----------------------------------------------------------------------------


def cpu_ns(pids):
    return [int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids]


def collection_cpu(daemon, seconds):
    """CPU microseconds of parent, server and worker for one collection."""
    pids = daemon.pids()
    began, before = daemon.collections(), cpu_ns(pids)
    time.sleep(seconds)
    after, ended = cpu_ns(pids), daemon.collections()
    if daemon.pids() != pids or ended - began < 3:
        sys.exit("the daemon did not collect in peace")
    return [(b - a) / (ended - began) / 1000 for a, b in zip(before, after)]


def bench_cpu(program, nodes, log, rounds, seconds):
    lines = [
        "| node | interval | parent | server | worker | together |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, (node, interval) in nodes.items():
        flag = f"--collect.interval={interval}"
        with serving(program, node, log, flag) as daemon:
            looks = [collection_cpu(daemon, seconds) for _ in range(rounds)]
        parent, server, worker = (statistics.median(look[i] for look in looks) for i in range(3))
        together = statistics.median(sum(look) for look in looks)
        lines.append(f"| {name} | {interval} | {parent:.0f} µs | {server:.0f} µs | "
                     f"{worker:.0f} µs | {together:.0f} µs |")
    return lines


# --- answers ------------------------------------------------------------------------------


def wrk(url, seconds):
    """(answers a second, 99th percentile in ms, answers with an error)"""
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s",
               "--timeout", "60s", "--latency", "-H", "Accept-Encoding: gzip", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", text).groups()
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    bad = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    return rate, float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit], bad


@contextlib.contextmanager
def node_exporter(page, directory, port=19111):
    """node-exporter that serves PAGE as a textfile, and nothing else, on the server's core."""
    path = shutil.which("prometheus-node-exporter") or shutil.which(
        "prometheus-node-exporter", path=ROOT / ".tools/usr/bin")
    if not path:
        yield None
        return
    directory.mkdir(exist_ok=True)
    (directory / "gpu.prom").write_text(page)
    command = ["taskset", "-c", SERVER_CORE, path, "--collector.disable-defaults",
               "--collector.textfile", f"--collector.textfile.directory={directory}",
               "--web.disable-exporter-metrics", "--web.max-requests=0",
               f"--web.listen-address=127.0.0.1:{port}"]
    url = f"http://127.0.0.1:{port}/metrics"

    def answers():
        with contextlib.suppress(OSError):
            return b"gpu_process_info" in fetch(url)

    with running(command, stderr=subprocess.DEVNULL) as process:
        wait_until(answers, "node-exporter")
        assert process.poll() is None
        yield url


def bench_load(program, node, directory, rounds, seconds):
    if not shutil.which("wrk") or os.cpu_count() < 2:
        return ["Not measured: that needs two cores and the Debian package wrk."]
    ours, theirs = [], []
    pinned = ("taskset", "-c", SERVER_CORE)
    with serving(program, node, directory / "load.log", "--collect.interval=1h",
                 prefix=pinned) as daemon:
        # What a textfile may hold: the process families are node-exporter's own business.
        page = re.sub(r"^(# (HELP|TYPE) )?process_.*\n", "", daemon.page(), flags=re.M)
        with node_exporter(page, directory / "load") as peer:
            for _ in range(rounds):
                ours.append(wrk(daemon.url, seconds))
                if peer:
                    theirs.append(wrk(peer, 2 * seconds))
        size = len(fetch(daemon.url, GZIP))
    lines = [
        f"A page of {len(page):,} bytes, {size:,} compressed; `wrk -t1 -c{CLIENTS}` on the other "
        f"core; medians of {rounds} runs of {seconds} s.", "",
        "| server | answers/s | 99th percentile | refused or failed | ratio |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    middle = [statistics.median(run[i] for run in ours) for i in range(2)]
    for name, runs in (("`gpu-sessions serve`", ours), ("node-exporter, as a textfile", theirs)):
        if runs:
            rate, p99 = (statistics.median(run[i] for run in runs) for i in range(2))
            lines.append(f"| {name} | {rate:,.1f} | {p99:,.1f} ms | {sum(r[2] for r in runs)} | "
                         f"{middle[0] / rate:,.0f} |")
    if not theirs:
        lines.append("\nnode-exporter is not installed here.")
    return lines


def answer_times(daemon, count):
    """Milliseconds of COUNT answers, one after the other on one connection."""
    host, path = re.match(r"http://([^/]+)(.*)", daemon.url).groups()
    connection, times = http.client.HTTPConnection(host), []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", path, headers=GZIP)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            sys.exit(f"status {answer.status}")
    return times


DORMANT = """
faults:
  - {call: nvmlNothing, action: stall}
"""


def bench_hang(program, make_node, directory, count):
    scenario = directory / "dense_dormant.yaml"
    scenario.write_text((ROOT / "sim/scenarios/dense.yaml").read_text() + DORMANT)
    node = make_node(directory / "dormant", scenario)
    state = node_state.live(node.directory / "node.state")
    log = directory / "hang.log"
    lines = ["| the driver | median | 99th percentile | longest |", "| --- | ---: | ---: | ---: |"]
    with serving(program, node, log, "--collect.interval=1h", "--timeout=1h") as daemon:
        for name in ("answers", "hangs, during the same collection"):
            if name != "answers":
                calls = state.header.total_calls
                state.faults[0].call = b"nvmlDeviceGetCount_v2"
                daemon.process.send_signal(signal.SIGHUP)  # collects anew
                wait_until(lambda: state.header.total_calls > calls, "a call that hangs")
            times = answer_times(daemon, count)
            lines.append(f"| {name} | {statistics.median(times):.2f} ms | "
                         f"{percentile(times, 99):.2f} ms | {max(times):.2f} ms |")
    return lines
