#!/usr/bin/env python3
"""Builds and runs the test suites and counts what passed:  run_tests.py [unit|scenario|deploy|asan|tsan]

Without an argument everything runs. The last line is "N passed, N failed"; the exit status
is 1 when anything failed. Reports lie in the folder reports of each build.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUMMARY = ROOT / "build-check/reports/summary"  # the last line, for .ci/run
MESON = "/usr/bin/meson" if Path("/usr/bin/meson").exists() else "meson"


@dataclass
class Count:
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)

    def add_failure(self, name):
        self.failed += 1
        self.failures.append(name)


def count_junit(name, path, exit_code):
    """Counts of a JUnit file; a runner that failed without saying where counts as one."""
    count = Count(name)
    try:
        cases = list(ElementTree.parse(path).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        cases = []
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            count.add_failure(f"{case.get('classname')}: {case.get('name')}")
        elif case.find("skipped") is not None:
            count.skipped += 1
        else:
            count.passed += 1
    if (exit_code != 0 and not count.failed) or not cases:
        count.add_failure(f"the runner itself (exit status {exit_code})")
    return count


def run_meson(name, build, *tests):
    report = ROOT / build / "meson-logs/testlog.junit.xml"
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [MESON, "test", "-C", build, "--no-rebuild", "--print-errorlogs", "--quiet",
         *tests],
        cwd=ROOT, env=os.environ | {"ASAN_OPTIONS": "detect_leaks=1"},
    )
    return count_junit(name, report, done.returncode)


def run_pytest(name, build, *paths):
    report = ROOT / build / "reports" / f"{name.split()[0]}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "4", "--dist=worksteal",
         f"--junit-xml={report}", *paths],
        cwd=ROOT, env=os.environ | {"GPU_SESSIONS_BUILD": build},
    )
    return count_junit(name, report, done.returncode)


def run_lint():
    """One test per check: lint.sh prints "ok NAME" or "FAIL NAME"."""
    count = Count("lint")
    done = subprocess.run(["scripts/lint.sh"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        word, _, check = line.partition(" ")
        if word == "ok":
            count.passed += 1
        else:
            print(line)
            if word == "FAIL":
                count.add_failure(check)
    if done.returncode != 0 and not count.failed:
        count.add_failure(f"lint.sh itself (exit status {done.returncode})")
    return count


def build(variant):
    count = Count(f"build {variant}")
    if subprocess.run(["scripts/build.sh", variant], cwd=ROOT).returncode == 0:
        count.passed = 1
    else:
        count.add_failure("does not compile")
    return count


SCENARIO = "tests/scenario"
DEPLOY = "tests/deploy"
# The sanitizers see the whole program once per scenario and through every fault, and the
# daemon through its misfortunes; what only exercises other programs or timing runs without
# them.
SANITIZED = [
    f"{SCENARIO}/test_{name}.py"
    for name in (
        "golden", "cli", "supervision", "serve", "serve_flags", "serve_signals", "serve_systemd"
    )
]
# Where threads are: the server's check of passwords.
WEB = f"{SCENARIO}/test_web_config.py"
THREADED = ["test_auth", "test_password_checker", "test_tls", "test_web_config"]
FAULTS = f"{SCENARIO}/test_faults.py"

SUITES = {
    "unit": [
        lambda: build("check"),
        lambda: run_meson("unit and corpus", "build-check"),
    ],
    "scenario": [
        lambda: build("check"),
        lambda: run_pytest("scenario", "build-check", SCENARIO),
    ],
    "deploy": [
        lambda: build("check"),
        lambda: run_pytest("deploy", "build-check", DEPLOY),
    ],
    "asan": [
        lambda: build("asan"),
        lambda: run_meson("unit and corpus, sanitized", "build-asan"),
        lambda: run_pytest("scenario, sanitized", "build-asan", *SANITIZED, FAULTS, WEB),
    ],
    "tsan": [
        lambda: build("tsan"),
        lambda: run_meson("unit, thread sanitizer", "build-tsan", *THREADED),
        lambda: run_pytest("threads, thread sanitizer", "build-tsan", WEB),
    ],
}
EVERYTHING = [
    *SUITES["unit"],
    lambda: run_pytest("scenario", "build-check", SCENARIO, f"--ignore={FAULTS}"),
    lambda: run_pytest("deploy", "build-check", DEPLOY),
    *SUITES["asan"],
    *SUITES["tsan"],
    run_lint,
]


def summarize(counts, seconds):
    print(f"\n{'suite':32} {'passed':>7} {'failed':>7} {'skipped':>7} {'seconds':>8}")
    for count, spent in zip(counts, seconds):
        print(f"{count.name:32} {count.passed:7} {count.failed:7} {count.skipped:7} {spent:8.1f}")
    for count in counts:
        for failure in count.failures:
            print(f"FAILED {count.name}: {failure}")
    failed = sum(count.failed for count in counts)
    line = f"{sum(count.passed for count in counts)} passed, {failed} failed"
    SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    SUMMARY.write_text(f"{line}\n")
    print(line, flush=True)
    return 1 if failed else 0


def main():
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and sys.argv[1] not in SUITES):
        print(__doc__, file=sys.stderr)
        return 2
    steps = SUITES[sys.argv[1]] if len(sys.argv) == 2 else EVERYTHING
    counts, seconds = [], []
    for step in steps:
        began = time.monotonic()
        counts.append(step())
        seconds.append(time.monotonic() - began)
        if counts[-1].name.startswith("build") and counts[-1].failed:
            break
    return summarize(counts, seconds)


if __name__ == "__main__":
    sys.exit(main())
