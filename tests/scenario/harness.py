"""What the whole-program tests share: running programs, simulated nodes, waiting, pages."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

import node_state

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).resolve().parent / "golden"


@dataclass(frozen=True)
class Scenario:
    """A shipped scenario and what one collection on it must end with."""

    exit_code: int = 0
    flags: tuple[str, ...] = ()


# A stalled call is given up after a third of the time-out: short, so that tests are quick,
# but long enough for a sanitized program on a busy machine.
SCENARIOS = {
    "default": Scenario(),
    "plain": Scenario(),
    "plain8": Scenario(),
    "mig": Scenario(),
    "dense": Scenario(),
    "old_driver": Scenario(),
    "gpu_lost": Scenario(),
    "hang": Scenario(exit_code=1, flags=("--timeout=3s",)),
    "crash": Scenario(exit_code=1, flags=("--timeout=3s",)),
    "no_driver": Scenario(exit_code=1),
    "no_gpu": Scenario(exit_code=1),
    "version_mismatch": Scenario(exit_code=1),
    "pid_reused": Scenario(),
    "hostile_names": Scenario(),
    "hopper_mig": Scenario(),
    "no_hostpid": Scenario(exit_code=1),
}


def find_build():
    named = os.environ.get("GPU_SESSIONS_BUILD")
    candidates = [ROOT / named] if named else [ROOT / "build-check", ROOT / "build"]
    for directory in candidates:
        if (directory / "gpu-sessions").exists():
            return directory
    raise FileNotFoundError(f"no gpu-sessions in {candidates}: run 'make build' first")


def find_program(name):
    """Path of a program that setup.sh installed or unpacked."""
    path = shutil.which(name) or shutil.which(name, path=ROOT / ".tools/usr/bin")
    assert path, f"{name} is missing: run scripts/setup.sh test"
    return path


def clean_environment(**more):
    """An environment in which nothing configures the program by accident."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GPU_SESSIONS_") and name not in ("NODE_NAME", "NO_COLOR")
    }
    return environment | {"LC_ALL": "C.UTF-8", "TZ": "UTC"} | more


@dataclass(frozen=True)
class Program:
    path: Path
    findings: Path

    def environment(self, **more):
        # The collecting process has no standard error: findings go to files. A crash is for
        # the program to survive where a scenario asks for one; elsewhere it shows as a
        # signal or a missing answer.
        options = f"log_path={self.findings}/report:exitcode=99:handle_segv=0"
        sanitizers = {
            "ASAN_OPTIONS": options,
            "UBSAN_OPTIONS": f"{options}:print_stacktrace=1",
        }
        return clean_environment(**(sanitizers | more))

    def run(self, *args, timeout=30, env=None, **more):
        """Runs to the end and captures both outputs as bytes."""
        return subprocess.run(
            [self.path, *map(str, args)],
            capture_output=True,
            timeout=timeout,
            env=self.environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            **more,
        )

    def start(self, *args, env=None, prefix=(), stdin=subprocess.DEVNULL, **more):
        """PREFIX is a command that becomes the program by exec, under the same pid."""
        return subprocess.Popen(
            [*map(str, prefix), self.path, *map(str, args)],
            env=self.environment(**(env or {})),
            stdin=stdin,
            **more,
        )

    def simulate(self, directory, scenario, *flags):
        done = self.run("simulate", directory, "--scenario", scenario, "--freeze", *flags)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        assert done.stdout.endswith(b"\n") and done.stdout.count(b"\n") == 1
        return Node(self, Path(directory), tuple(done.stdout.decode().split()))


@dataclass(frozen=True)
class Node:
    """A simulated node; FLAGS make the other commands use it."""

    program: Program
    directory: Path
    flags: tuple[str, ...]

    def collect(self, *args, **more):
        return self.program.run("collect", *self.flags, *args, **more)

    def list(self, *args, **more):
        return self.program.run("list", *self.flags, *args, **more)

    def json(self, *args, expect=0):
        done = self.list("--json", *args)
        assert done.returncode == expect, done.stderr.decode(errors="replace")
        return json.loads(done.stdout)

    def page(self, *args, expect=0, **more):
        done = self.collect(*args, **more)
        assert done.returncode == expect, done.stderr.decode(errors="replace")
        return done.stdout.decode()


# --- the daemon ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode()


def http_get(url, timeout=10, **headers):
    """GET; an answer that refuses is an answer too. Header names with _ for -."""
    request = urllib.request.Request(
        url, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as refusal:
        return Answer(refusal.code, dict(refusal.headers), refusal.read())


class Daemon:
    """A running `gpu-sessions serve`; `stop` ends it and returns its exit status."""

    def __init__(self, process, log):
        self.process, self.log_path = process, Path(log)
        self.metrics_url = wait_until(self._listening, "the line that names the address")
        self.url = re.match(r"https?://[^/]+", self.metrics_url)[0]

    def _listening(self):
        assert self.process.poll() is None, self.log
        found = re.search(r"serving (https?://[^\s,]+),", self.log)
        return found and found[1]

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def get(self, path="/metrics", **more):
        return http_get(self.url + path, **more)

    def samples(self):
        answer = self.get()
        assert answer.status == 200, answer.text
        return samples(answer.text)

    def wait(self, condition, what, timeout=30.0):
        """Polls /metrics until CONDITION(samples) holds; returns these samples."""

        def look():
            found = self.samples()
            return found if condition(found) else None

        return wait_until(look, what, timeout)

    def wait_collected(self):
        """Until a collection that began after now has been shown."""
        family = "gpu_session_last_collect_timestamp_seconds"
        before = time.time()

        def is_newer(page):
            return any(
                number > before + 0.05 for (name, _), number in page.items() if name == family
            )

        return self.wait(is_newer, "a collection")

    def children(self, name=None):
        """PIDs of living (not zombie) children, those of process NAME only."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                head, _, tail = stat.read_text(errors="replace").rpartition(")")
            except OSError:
                continue
            pid, comm = head.split(" (", 1)
            state, parent = tail.split()[:2]
            if int(parent) == self.process.pid and state != "Z":
                if name in (None, comm):
                    found.append(int(pid))
        return found

    def zombies(self):
        status = [
            path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            for path in Path("/proc").glob("[0-9]*/stat")
            if path.exists()
        ]
        return sum(fields == ["Z", str(self.process.pid)] for fields in status)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=10):
        self.process.terminate()
        return self.process.wait(timeout=timeout)


class LineProgram:
    """A program of the tests that is told what to do, and answers, line by line."""

    process: subprocess.Popen  # with text pipes

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line):
        self.tell(line)
        return self.process.stdout.readline().strip()


# A node with a fault for a test to switch on while the daemon runs, and a second one for
# a driver that is gone; both wait under a name that nobody calls.
DORMANT = """
description: a fault that a test wakes
gpus:
  - {name: NVIDIA A100-SXM4-40GB, count: 3}
processes:
  - {command: /usr/bin/python3, user: alice, gpu: "{n}", memory: 1GiB, sm: 10, replicate: 3}
users:
  - {name: alice, uid: 1000}
faults:
  - {call: nvmlNothing, action: ACTION}
  - {call: nvmlNothing, action: return, code: 9}
"""


EVERYWHERE = "nvmlDeviceGetCount_v2"  # asked once per collection, about no GPU
ABOUT_GPU_1 = "nvmlDeviceGetComputeRunningProcesses*"


def set_fault(node, call, index=0):
    state = node_state.live(node.directory / "node.state")
    state.faults[index].call = call.encode()


def wake(node, call):
    set_fault(node, call)


def sleep_again(node):
    set_fault(node, "nvmlNothing")


# --- pages --------------------------------------------------------------------------------

MASKED_FAMILIES = (
    "gpu_session_collect_duration_seconds",
    "gpu_session_last_collect_timestamp_seconds",
)
MASKED_LINES = re.compile(rf"^({'|'.join(MASKED_FAMILIES)})(\{{[^}}]*\}})? \S+$", re.M)
MASKED_VERSION = re.compile(r'^(gpu_session_build_info\{(?:.*,)?version=)"[^"]*"', re.M)
MASKED_FIELDS = re.compile(rf'("(?:{"|".join(MASKED_FAMILIES)}|version)"): [^,\n]+')


def mask_page(text, node=None):
    """A Prometheus page without what differs from run to run: durations, clock, version."""
    text = MASKED_LINES.sub(r"\1\2 0", text)
    text = MASKED_VERSION.sub(r'\1"MASKED"', text)
    return mask_directory(text, node)


def mask_json(text, node=None):
    return mask_directory(MASKED_FIELDS.sub(r'\1: "MASKED"', text), node)


def mask_directory(text, node=None):
    """Messages name the simulated library by path; the path is the test's own."""
    return text.replace(str(node.directory), "NODE") if node else text


def samples(page):
    """{(name, labels): value} of a page, by the official parser; refuses repeated rows."""
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"two rows for {key}"
            found[key] = sample.value
    return found


def value(page_samples, name, **labels):
    return page_samples.get((name, tuple(sorted(labels.items()))))


DAEMONS_OWN = (
    "process_", "gpu_session_collector", "gpu_session_collections", "gpu_session_server",
    "gpu_session_http",
    "gpu_session_driver", "gpu_sessions_started", "gpu_sessions_ended",
)


def without_daemons_own(text):
    """A page of the daemon without the families that a single collection does not have."""

    def is_own(line):
        words = line.split()
        return (words[2] if line.startswith("#") else words[0]).startswith(DAEMONS_OWN)

    return "".join(line for line in text.splitlines(keepends=True) if not is_own(line))


def rows(page, family):
    return {key: number for key, number in page.items() if key[0] == family}


def has_sessions(page):
    return bool(rows(page, "gpu_process_info"))


def is_up(page, source="nvml"):
    return value(page, "gpu_session_source_up", source=source)


# --- waiting and background programs ------------------------------------------------------


def wait_until(condition, what, timeout=30.0):
    """Polls CONDITION until it gives something true, which is returned."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.02)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def end(process):
    """Asks a program to end, and kills it when it does not."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def background(command, log, **more):
    """Runs COMMAND until the end of the block, then ends it by its PID."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            list(map(str, command)), stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, **more,
        )
    try:
        yield process
    finally:
        end(process)
