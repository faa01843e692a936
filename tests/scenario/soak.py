"""Years of a daemon's life in minutes:  soak.py PROGRAM [COLLECTIONS]

Runs `gpu-sessions serve` on a simulated node that never rests: sessions begin and end, MIG
devices are made anew, a GPU is lost and comes back, the driver's library crashes and hangs,
clients ask for every document. Memory and descriptors are weighed twice, in the same
state: with all sessions there, no connection open, and a worker that was forked in that
state and has lived through as many restless collections since. What has grown by then
grows for ever.
"""

import contextlib
import itertools
import os
import platform
import random
import re
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import node_state
from harness import ROOT, Daemon, Program, http_get, wait_until

REPORT = ROOT / "docs/soak.md"
COMMAND = "make soak"
DIRECTORY_WITH_TMPFS = "/dev/shm"

# No board with GPM: its counters take a tenth of a second at such intervals.
SCENARIO = """
description: a node that never rests
gpus:
  - {name: NVIDIA A100-SXM4-40GB, mig: [2g.10gb, 1g.5gb, 1g.5gb, 1g.5gb]}
  - {name: NVIDIA A100-SXM4-80GB, count: 3}
pods:
  - {namespace: "team", name: "job-{n}", containers: [main], replicate: 20}
processes:
  - {command: /usr/bin/python3, pod: "team/job-{n}", gpu: 0, mig: "{n}", memory: 4GiB,
     sm: 30, replicate: 4}
  - {command: /usr/bin/train, pod: "team/job-{n+4}", gpu: "{n%3+1}", memory: 5GiB,
     sm: 20, replicate: 16}
faults:
  - {call: nvmlNothing, action: crash}
  - {call: nvmlNothing, action: stall}
host_processes: 50
"""
CRASH, STALL = 0, 1
EVERY_COLLECTION = b"nvmlDeviceGetCount_v2"

WORKER_AGE = 1000  # collections, at least, when it is weighed
EARLY_CRASH_AGE = 100  # the same in the first thousand collections
CRASH_AGE = 2000  # collections after which the driver's library crashes in a worker
STALL_EVERY = 20000
ALLOWED_GROWTH = 0.01

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
REQUESTS = [
    ("/metrics", {}),
    ("/metrics", {"Accept_Encoding": "gzip"}),
    ("/metrics", {"Accept": OPENMETRICS}),
    ("/metrics", {"Accept": OPENMETRICS, "Accept_Encoding": "gzip"}),
    ("/api/v1/sessions", {}),
    ("/api/v1/devices", {"Accept_Encoding": "gzip"}),
    ("/readyz", {}),
    ("/", {}),
]


class RestlessNode:
    """Changes the simulated node; knows how it began."""

    def __init__(self, node, seed=1):
        self.proc = node.directory / "proc"
        self.state = node_state.live(node.directory / "node.state")
        self.random = random.Random(seed)
        self.serial = itertools.count(1)
        self.stats = {
            process.pid: (self.proc / str(process.pid) / "stat").read_text()
            for process in self.state.processes
        }

    def begin(self, process):
        """As a new process under its pid: a later start time."""
        directory = self.proc / str(process.pid)
        head, _, tail = self.stats[process.pid].rpartition(")")
        fields = tail.split()
        fields[19] = str(int(fields[19]) + next(self.serial))
        aside = directory.with_name(f"ended-{process.pid}")
        (aside / "stat").write_text(f"{head}) {' '.join(fields)}\n")
        aside.rename(directory)
        process.alive = 1

    def end(self, process):
        directory = self.proc / str(process.pid)
        process.alive = 0
        directory.rename(directory.with_name(f"ended-{process.pid}"))

    def begin_or_end_some(self):
        for process in self.random.sample(list(self.state.processes), 2):
            (self.end if process.alive else self.begin)(process)

    def remake_mig_device(self):
        device = self.random.choice(list(self.state.migs))
        device.uuid = b"MIG-00000000-0000-4000-8000-%012d" % next(self.serial)

    def lose_or_find_gpu(self):
        gpu = self.state.gpus[3]
        gpu.lost = 0 if gpu.lost else 15

    def change(self):
        changes = [self.begin_or_end_some, self.remake_mig_device, self.lose_or_find_gpu]
        self.random.choices(changes, weights=[8, 1, 1])[0]()

    def come_to_rest(self):
        self.state.gpus[3].lost = 0
        for process in self.state.processes:
            if not process.alive:
                self.begin(process)

    def set_fault(self, index, call, after):
        fault = self.state.faults[index]
        fault.after, fault.call = after, call


@dataclass(frozen=True)
class Weight:
    resident: int  # KiB
    unique: int  # KiB that no other process shares
    descriptors: int


def read_weight(pid):
    rollup = dict(re.findall(r"^(\w+): +(\d+) kB$", (Path("/proc") / str(pid) / "smaps_rollup")
                             .read_text(), re.M))
    unique = int(rollup["Private_Clean"]) + int(rollup["Private_Dirty"])
    return Weight(int(rollup["Rss"]), unique, len(os.listdir(f"/proc/{pid}/fd")))


def weigh(pid):
    """The median of many looks: each catches the process in the middle of something."""
    looks = []
    for _ in range(41):
        looks.append(read_weight(pid))
        time.sleep(0.003)
    return Weight(*(round(statistics.median(getattr(look, field) for look in looks))
                    for field in ("resident", "unique", "descriptors")))


class Soak:
    def __init__(self, daemon, node):
        self.daemon, self.node = daemon, RestlessNode(node)
        self.requests = itertools.cycle(REQUESTS)
        self.worker, self.worker_began, self.workers = None, 0, 0
        self.next_stall = 0

    def counter(self, name):
        page = http_get(self.daemon.metrics_url).text
        return int(float(re.search(rf"^{re.escape(name)} (\S+)$", page, re.M)[1]))

    def collections(self):
        return self.counter("gpu_session_collections_total")

    def look(self):
        """Collections so far; notes when the worker is another one."""
        number = self.collections()
        worker = self.daemon.children("gpu-sessions")
        if worker and worker != [self.worker]:
            (self.worker,) = worker
            self.worker_began = number
            self.workers += 1
        return number

    def ask_for_a_document(self):
        path, headers = next(self.requests)
        answer = http_get(self.daemon.url + path, **headers)
        assert answer.status == 200 or path == "/readyz", (path, answer.status)

    def hang_once(self):
        """Not twice in a row, or the daemon would rest: a new worker's first call passes."""
        timeouts = 'gpu_session_collector_restarts_total{reason="timeout"}'
        before = self.counter(timeouts)
        self.node.set_fault(STALL, EVERY_COLLECTION, after=1)
        wait_until(lambda: self.counter(timeouts) > before, "a worker given up")
        self.node.set_fault(STALL, b"nvmlNothing", after=0)

    def run_until(self, goal):
        """Until GOAL collections have been made."""
        while (number := self.look()) < goal:
            if number >= self.next_stall:
                self.hang_once()
                self.next_stall = number + STALL_EVERY
            for _ in range(5):
                self.node.change()
                time.sleep(0.004)
            self.ask_for_a_document()

    def rest(self):
        self.node.come_to_rest()
        before = self.collections()
        wait_until(lambda: self.collections() > before + 20, "collections at rest")

    def replace_worker(self):
        self.rest()
        before = self.worker
        self.daemon.signal(signal.SIGHUP)
        wait_until(lambda: self.look() and self.worker != before, "another worker")

    def weigh_all(self):
        """Return: after how many collections, and the weight of each process."""
        self.next_stall = self.collections() + 2 * CRASH_AGE
        self.replace_worker()
        self.run_until(self.worker_began + WORKER_AGE)
        self.rest()
        for path, headers in REQUESTS:
            http_get(self.daemon.url + path, **headers)
        (server,) = self.daemon.children("gpu-sess-web")
        (worker,) = self.daemon.children("gpu-sessions")
        assert worker == self.worker, "the worker was replaced while it was to be weighed"
        pids = {"parent": self.daemon.process.pid, "worker": worker, "server": server}
        weights = {name: weigh(pid) for name, pid in pids.items()}
        return self.collections(), weights


def soak(daemon, node, collections):
    """Return: what weigh_all() gave at the two times, and the Soak."""
    run = Soak(daemon, node)
    # All that will befall it has befallen it once when it is weighed for the first time.
    run.node.set_fault(CRASH, EVERY_COLLECTION, after=EARLY_CRASH_AGE)
    run.run_until(1000)
    run.node.set_fault(CRASH, EVERY_COLLECTION, after=CRASH_AGE)
    before = run.weigh_all()
    run.run_until(collections)
    return [before, run.weigh_all()], run


def growth(weights):
    """What has grown by more than is allowed, in words; empty: nothing."""
    (_, before), (_, after) = weights
    found = []
    for name in before:
        if after[name].resident > before[name].resident * (1 + ALLOWED_GROWTH):
            found.append(f"{name}: {before[name].resident} KiB, then {after[name].resident} KiB")
        if after[name].descriptors != before[name].descriptors:
            found.append(f"{name}: {before[name].descriptors} descriptors, then "
                         f"{after[name].descriptors}")
    return found


# --- as a program -------------------------------------------------------------------------

TEXT = """\
# Soak

Written by `{command}`, which runs anew and replaces this page.

`gpu-sessions serve --collect.interval=1ms` on a simulated node of 4 GPUs and 20 sessions, while
sessions begin and end, MIG devices are made anew, a GPU is lost and comes back, the driver's
library crashes in every worker's {crash_age:,}st collection and hangs every {stall_every:,}, and a
client asks for every document. Weighed twice in the same state: at rest, all sessions
there, and a worker that was started in that state {worker_age:,} restless collections before
(crashes replace it anyway); medians of 41 looks. The aim: resident memory within 1 %,
descriptors equal.

{machine}
- {last:,} collections in {minutes:.1f} minutes; {workers} workers; {started:,} sessions began

| process | resident after {first:,} | after {last:,} | unique after {first:,} | after {last:,} | descriptors |
| --- | ---: | ---: | ---: | ---: | ---: |
{rows}
"""


def report(weights, run, minutes):
    (first, before), (last, after) = weights
    row = re.compile(r"^gpu_sessions_started_total\{.*\} (\S+)$", re.M)
    started = wait_until(lambda: row.findall(http_get(run.daemon.metrics_url).text), "a page")
    rows = [
        f"| {name} | {before[name].resident:,} KiB | {after[name].resident:,} KiB | "
        f"{before[name].unique:,} KiB | {after[name].unique:,} KiB | "
        f"{before[name].descriptors} / {after[name].descriptors} |"
        for name in before
    ]
    return TEXT.format(
        command=COMMAND, crash_age=CRASH_AGE + 1, stall_every=STALL_EVERY,
        worker_age=WORKER_AGE, machine=f"- Linux {platform.release()}, {os.cpu_count()} cores",
        first=first, last=last, minutes=minutes, workers=run.workers,
        started=sum(int(float(number)) for number in started), rows="\n".join(rows),
    )


FLAGS = ["--collect.interval=1ms", "--timeout=900ms",
         "--web.listen-address=127.0.0.1:0"]


def main():
    path, collections = Path(sys.argv[1]).resolve(), int((sys.argv[2:] or ["100000"])[0])
    with tempfile.TemporaryDirectory(dir=DIRECTORY_WITH_TMPFS) as name:
        directory = Path(name)
        program = Program(path, directory)
        scenario = directory / "restless.yaml"
        scenario.write_text(SCENARIO)
        node = program.simulate(directory / "node", scenario)
        log = directory / "log"
        with open(log, "wb") as output:
            process = program.start("serve", *node.flags, *FLAGS, stderr=output)
        with contextlib.ExitStack() as stack:
            stack.callback(process.kill)
            daemon = Daemon(process, log)
            began = time.monotonic()
            weights, run = soak(daemon, node, collections)
            page = report(weights, run, (time.monotonic() - began) / 60)
            assert not daemon.zombies()
            assert daemon.stop() == 0, daemon.log
    print(page)
    found = growth(weights)
    if found:
        sys.exit("grown: " + "; ".join(found))
    if collections >= 100000:
        REPORT.write_text(page)
        print(f"written to {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
