#!/usr/bin/python3
"""Measures what docs/architecture.md promises, and writes docs/benchmarks.md:  bench.py [quick]

All measurements compare programs on the same simulated node in the same run, in
alternating order, and report medians; "quick" makes fewer rounds and writes nothing.
"""

import ctypes
import os
import platform
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_daemon
from bench_daemon import percentile

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-bench"
PROGRAM = BUILD / "gpu-sessions"
FLOOR = BUILD / "tests/bench/floor"
LOADED = BUILD / "tests/bench/loaded"
REPLACED = ROOT / "scripts/bench/replaced.sh"
REPORT = ROOT / "docs/benchmarks.md"
COMMAND = "make bench"

HOST_PROCESSES = (500, 5000, 50000)
# The program uses a sample of a MIG instance's counters again when it is a second old, and
# the first collection, which has none, takes that second itself.
PAUSE_MS = 2100
FLOOR_PAUSE_MS = 200  # long enough for caches to go cold
TOTAL_CALLS_OFFSET = 136  # of total_calls in struct node_state, sim/node_state.h
DIRECTORY_WITH_TMPFS = "/dev/shm"


class Node:
    """A simulated node on tmpfs."""

    def __init__(self, directory, scenario):
        self.directory = Path(directory)
        line = subprocess.run(
            [PROGRAM, "simulate", directory, "--scenario", scenario, "--freeze"],
            check=True, capture_output=True, text=True,
        ).stdout
        self.flags = line.split()
        self.library = self.directory / "libnvidia-ml.so.1"
        self.procfs = self.directory / "proc"

    def total_calls(self):
        with open(self.directory / "node.state", "rb") as state:
            state.seek(TOTAL_CALLS_OFFSET)
            return struct.unpack("<Q", state.read(8))[0]


def cpu_of(command):
    """CPU seconds, user and system, of a program and the children it waited for."""
    pid = os.posix_spawn(
        str(command[0]), [str(word) for word in command], dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return usage.ru_utime + usage.ru_stime


def steady_cpu(node, passes):
    """CPU microseconds and driver calls of one collection after the first, by difference."""
    command = [PROGRAM, "collect", *node.flags, f"--interval={PAUSE_MS}ms"]
    before = node.total_calls()
    short = cpu_of([*command, "--count=2"])
    between = node.total_calls()
    long = cpu_of([*command, f"--count={2 + passes}"])
    calls = (node.total_calls() - between) - (between - before)
    return (long - short) / passes * 1e6, calls / passes


def floor_cpu(node, passes, *procfs):
    done = subprocess.run(
        [FLOOR, node.library, str(passes), str(FLOOR_PAUSE_MS), *procfs],
        check=True, capture_output=True, text=True,
    )
    microseconds, calls = done.stdout.split()
    return float(microseconds), float(calls)


def replaced_command(node, output):
    return [REPLACED, node.directory / "bin/nvidia-smi", node.procfs,
            node.directory / "rootfs/var/log/containers", output]


class RenameWatch:
    """Tells when a file was renamed into a directory."""

    IN_MOVED_TO = 0x80

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC)
        if libc.inotify_add_watch(self.fd, str(directory).encode(), self.IN_MOVED_TO) < 0:
            sys.exit("no inotify here")

    def wait(self):
        os.read(self.fd, 4096)


def exec_to_rename(command, watch):
    """Milliseconds from starting COMMAND to its file's rename, and to its end."""
    words = [str(word) for word in command]
    began = time.perf_counter()
    pid = os.posix_spawn(words[0], words, dict(os.environ))
    watch.wait()
    renamed = time.perf_counter()
    _, status = os.waitpid(pid, 0)
    ended = time.perf_counter()
    if status != 0:
        sys.exit(f"failed: {' '.join(words)}")
    return (renamed - began) * 1000, (ended - began) * 1000


# --- the rows -----------------------------------------------------------------------------


def dense_with(host_processes, directory):
    text = (ROOT / "sim/scenarios/dense.yaml").read_text()
    text, count = re.subn(r"^host_processes:.*$", f"host_processes: {host_processes}", text,
                          flags=re.M)
    if count != 1:
        sys.exit("sim/scenarios/dense.yaml has no line 'host_processes:'")
    path = Path(directory) / f"dense_{host_processes}.yaml"
    path.write_text(text)
    return path


def bench_collection(directory, rounds, passes):
    nodes = {n: Node(Path(directory) / f"dense{n}", dense_with(n, directory))
             for n in HOST_PROCESSES}
    measured = {n: {"program": [], "floor": [], "floor_new": [], "first": [], "calls": []}
                for n in HOST_PROCESSES}
    for turn in range(rounds):
        order = list(HOST_PROCESSES) if turn % 2 == 0 else list(reversed(HOST_PROCESSES))
        for n in order:
            node, row = nodes[n], measured[n]
            steps = [
                lambda: row["floor"].append(floor_cpu(node, passes)),
                lambda: row["program"].append(steady_cpu(node, passes)),
                lambda: row["floor_new"].append(floor_cpu(node, 2, str(node.procfs))),
                lambda: row["first"].append(cpu_of([PROGRAM, "collect", *node.flags]) * 1e6),
            ]
            for step in steps if turn % 2 == 0 else reversed(steps):
                step()
    lines = [
        "| other host processes | program, steady | floor | ratio | driver calls, program / "
        "floor | first collection with start and exit | floor with the reads for new processes |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for n, row in measured.items():
        program = statistics.median(cpu for cpu, _ in row["program"])
        floor = statistics.median(cpu for cpu, _ in row["floor"])
        calls = [statistics.median(calls for _, calls in row[key]) for key in ("program", "floor")]
        new = statistics.median(cpu for cpu, _ in row["floor_new"])
        lines.append(
            f"| {n:,} | {program:.0f} µs | {floor:.0f} µs | {program / floor:.2f} | "
            f"{calls[0]:.0f} / {calls[1]:.0f} | {statistics.median(row['first']):.0f} µs | "
            f"{new:.0f} µs |"
        )
    return lines, nodes[5000]


def bench_one_run(directory, rounds, replaced_rounds):
    node = Node(Path(directory) / "plain8", "plain8")
    output = Path(directory) / "textfiles"
    output.mkdir()
    watch = RenameWatch(output)
    ours = [PROGRAM, "collect", *node.flags, "--textfile", output / "gpu.prom"]
    theirs = replaced_command(node, output / "replaced.prom")
    times = {"ours": [], "theirs": []}
    every = max(1, rounds // replaced_rounds)
    for turn in range(rounds):
        times["ours"].append(exec_to_rename(ours, watch))
        if turn % every == 0:
            times["theirs"].append(exec_to_rename(theirs, watch))
    lines = [
        "| program | runs | to the renamed file: median | 95th percentile | to the exit: median |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for key, name in (("ours", "`gpu-sessions collect`"), ("theirs", "the script it replaces")):
        renamed = [renamed for renamed, _ in times[key]]
        ended = statistics.median(ended for _, ended in times[key])
        lines.append(
            f"| {name} | {len(renamed)} | {statistics.median(renamed):.2f} ms | "
            f"{percentile(renamed, 95):.2f} ms | {ended:.2f} ms |"
        )
    return lines


def bench_replaced(node, directory, rounds):
    """One whole run, CPU time, on the dense node."""
    output = Path(directory) / "replaced.prom"
    times = {"ours": [], "theirs": []}
    for _ in range(rounds):
        times["theirs"].append(cpu_of(replaced_command(node, output)))
        times["ours"].append(cpu_of([PROGRAM, "collect", *node.flags, "--textfile", output]))
    ours, theirs = (statistics.median(times[key]) * 1000 for key in ("ours", "theirs"))
    return [
        "| program | CPU time of one run | ratio |",
        "| --- | ---: | ---: |",
        f"| `gpu-sessions collect` | {ours:.1f} ms | 1 |",
        f"| the script it replaces | {theirs:.0f} ms | {theirs / ours:.0f} |",
    ]


def bench_size(directory):
    stripped = Path(directory) / "stripped"
    subprocess.run(["strip", "-o", stripped, PROGRAM], check=True)
    return [f"{stripped.stat().st_size / 1024:.0f} KiB"]


def bench_the_daemon(directory, dense, quick, answers):
    log = directory / "serve.log"
    plain = Node(directory / "plain8_daemon", "plain8")
    cpu = {"plain8": (plain, "100ms"), "dense": (dense, "1100ms")}
    rounds, seconds = (1, 4) if quick else (5, 6)
    return {
        "daemon_cpu": bench_daemon.bench_cpu(PROGRAM, cpu, log, rounds, seconds),
        "daemon_memory": bench_daemon.bench_memory(
            PROGRAM, LOADED, {"plain8": plain, "dense": dense}, log),
        "daemon_load": bench_daemon.bench_load(
            PROGRAM, dense, directory, 1 if quick else 3, 2 if quick else 4),
        "daemon_hang": bench_daemon.bench_hang(PROGRAM, Node, directory, answers),
    }


def bench_by_venv(part, modules, directory, quick):
    """The PART that a script of its own measures, by .venv's Python: it needs MODULES that
    only that one has."""
    python, folder = ROOT / ".venv/bin/python", Path(directory) / part
    has_modules = python.exists() and subprocess.run(
        [python, "-c", f"import {modules}"], capture_output=True).returncode == 0
    if not has_modules:
        return [f"Not measured: that needs {modules} in `.venv` (`scripts/setup.sh test`)."]
    folder.mkdir()
    command = [python, ROOT / f"scripts/bench/bench_{part}.py", folder, *(["quick"] if quick else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()


def bench_image(quick):
    """On disk, not in tmpfs: two images and what is unpacked of them."""
    missing = [name for name in ("buildah", "runc") if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        return ["Not measured: that needs root, buildah and runc (`scripts/setup.sh bench image`)."]
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        return bench_by_venv("image", "psutil, prometheus_client, yaml", directory, quick)


def machine():
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout
    return [
        f"- {os.cpu_count()} cores of {model[1] if model else platform.machine()}, "
        f"{memory / 2**20:.0f} GiB of memory",
        f"- Linux {platform.release()}, {compiler.splitlines()[0] if compiler else ''}",
    ]


TEXT = """\
# Benchmarks

Written by `{command}`, which measures anew and replaces this page. All figures are taken
on simulated nodes, whose driver calls cost no time of their own unless said otherwise, so
that what is seen is this program's own cost.

{machine}

## CPU time of a collection

The dense node: 8 GPUs with 7 MIG devices each, 500 sessions. "Steady" is a collection
after the first in one run (`collect --interval {pause}ms`), from the difference of two runs
of different length. The floor is a bare loop of the same driver calls, with rests
(`tests/bench/floor.c`).
The aim is a ratio of at most 1.5, independent of the number of other host processes.

{collection}

Beyond the calls, a steady collection confirms each known process by one call on its `/proc`
directory (a quarter of the time in a profile: `perf record gpu-sessions collect
--interval 1ms --count 150 --textfile …`), joins, renders a page of
312 kB and hands it on to the textfile. Real driver calls enter the kernel, which the simulated
ones do not: on a real node the floor is higher.

## One whole run

From starting the program to the textfile's rename, on tmpfs: 8 plain GPUs, 20 sessions.
The aim is at most 5 ms. `scripts/bench/replaced.sh` is what a CronJob around `nvidia-smi`
does today; here it calls the simulated `nvidia-smi`, which starts faster than the real one.

{one_run}

The program is linked with the libraries of its HTTP server, which `collect` does not use;
loading them is part of this time.

## Against the script, on the dense node

{replaced}

## The daemon: CPU time of a collection

Of all three processes, from their `/proc/<pid>/schedstat`: collecting, rendering all
documents (text, OpenMetrics, JSON), handing them to the server. The worker's part compares
with "program, steady" above, which renders the text alone. Where a GPU has GPM, a
collection less than a second after the last waits 100 ms for its counters, hence the intervals.

{daemon_cpu}

## The daemon: memory

All three processes together, while clients ask for plain and compressed pages; medians.
"The loaded library" is a program that does nothing but load and initialise the simulated
driver (`tests/bench/loaded.c`). Aims: at most 3 MiB with 20 sessions, 8 MiB on the dense node.
That nothing grows: [soak.md](soak.md).

{daemon_memory}

## The daemon: answers under load

The dense node, the daemon pinned to one core, {clients} clients that ask for compressed pages
without a pause. Aims: at least 5,000 answers a second, 99th percentile at most 20 ms, 300 times
what node-exporter gives on the same core for the same page.

{daemon_load}

## The daemon: answers while the driver hangs

One client on one connection, compressed pages of the dense node, {answers:,} answers each.

{daemon_hang}

## Asking the kubelet

{kube}

## The image

Built by `make image`: the program, its libraries and their licences, on nothing. The aim is
25 MB. In a container as the chart's pods have it (`serve`, a scrape at each collection), all
three processes together:

{image}

## Size

The stripped binary without its shared libraries: {size}. The aim is at most 500 KiB.
"""


def main():
    quick = sys.argv[1:] == ["quick"]
    rounds, runs, replaced_runs = (1, 20, 2) if quick else (3, 300, 20)
    answers = 200 if quick else 5000
    with tempfile.TemporaryDirectory(dir=DIRECTORY_WITH_TMPFS) as directory:
        collection, dense = bench_collection(directory, rounds, 3 if quick else 5)
        one_run = bench_one_run(directory, runs, replaced_runs)
        replaced = bench_replaced(dense, directory, 1 if quick else 5)
        size = bench_size(directory)
        daemon = bench_the_daemon(Path(directory), dense, quick, answers)
        kube = bench_by_venv("kube", "grpc, grpc_tools", directory, quick)
        image = bench_image(quick)
    page = TEXT.format(
        command=COMMAND,
        pause=PAUSE_MS,
        machine="\n".join(machine()),
        collection="\n".join(collection),
        one_run="\n".join(one_run),
        replaced="\n".join(replaced),
        size="\n".join(size),
        kube="\n".join(kube),
        image="\n".join(image),
        clients=bench_daemon.CLIENTS,
        answers=answers,
        **{name: "\n".join(lines) for name, lines in daemon.items()},
    )
    print(page)
    if not quick:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(page)
        print(f"written to {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
