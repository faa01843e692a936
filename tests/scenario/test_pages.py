"""Every golden page, read by the official parser, by promtool, and for sense."""

import re
import subprocess

import pytest

from harness import GOLDEN, SCENARIOS, find_program, samples, value

# Label order of the original families; further labels may only follow.
SESSION_LABELS = ["gpu", "pid", "command", "pod", "namespace", "container"]
LABELS = {
    "gpu_session_count": ["gpu"],
    "gpu_total_sessions": [],
    "gpu_process_info": [*SESSION_LABELS, "status", "gpu_memory", "user"],
    "gpu_process_utilization": SESSION_LABELS,
    "gpu_process_memory_utilization": SESSION_LABELS,
    "gpu_process_memory_used_bytes": SESSION_LABELS,
    "gpu_process_memory_bandwidth_utilization": SESSION_LABELS,
    "gpu_process_encoder_utilization": SESSION_LABELS,
    "gpu_process_decoder_utilization": SESSION_LABELS,
    "gpu_process_start_time_seconds": SESSION_LABELS,
}
PERCENT = re.compile(r"_utilization$")
ROW = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')

# promtool dislikes a gauge that ends in _count. The name is fixed by dashboards that exist;
# gpu_user_count follows it.
ALLOWED_FINDINGS = {
    f'{name} non-histogram and non-summary metrics should not have "_count" suffix'
    for name in ("gpu_session_count", "gpu_user_count")
}


@pytest.fixture(params=SCENARIOS)
def page(request):
    return (GOLDEN / f"{request.param}.prom").read_text()


def rows_of(page):
    """(name, [label names in order], {label: value}, text of the value) of each row."""
    for line in page.splitlines():
        if not line.startswith("#"):
            match = ROW.match(line)
            assert match, line
            pairs = LABEL.findall(match[2] or "")
            yield match[1], [name for name, _ in pairs], dict(pairs), match[3]


def test_official_parser_reads_every_row(page):
    rows = [line for line in page.splitlines() if not line.startswith("#")]
    assert len(samples(page)) == len(rows)


def test_promtool_has_nothing_to_say(page):
    done = subprocess.run(
        [find_program("promtool"), "check", "metrics"],
        input=page, capture_output=True, text=True, timeout=60,
    )
    findings = {line for line in (done.stdout + done.stderr).splitlines() if line}
    assert findings <= ALLOWED_FINDINGS


def test_help_and_type_stand_once_before_their_rows(page):
    described, typed, finished, current = set(), set(), set(), None
    for line in page.splitlines():
        word = line.split()
        name = word[2] if line.startswith("#") else re.split(r"[{ ]", line)[0]
        if name != current:
            assert name not in finished, f"rows of {name} are scattered"
            finished.add(current)
            current = name
        if line.startswith("# HELP"):
            assert name not in described and len(word) > 3
            described.add(name)
        elif line.startswith("# TYPE"):
            assert name not in typed and word[3] in ("gauge", "counter")
            typed.add(name)
        else:
            assert name in described and name in typed
    assert page.endswith("\n")


def test_labels_are_in_the_fixed_order(page):
    for name, labels, _, _ in rows_of(page):
        if name in LABELS:
            assert labels[: len(LABELS[name])] == LABELS[name]


def test_values_are_possible(page):
    for name, _, labels, text in rows_of(page):
        assert text not in ("NaN", "+Inf", "-Inf"), (name, labels)
        assert float(text) >= 0, (name, labels)
        if PERCENT.search(name):
            assert float(text) <= 100, (name, labels)
        if name == "gpu_process_info":
            assert labels["status"] in ("active", "idle", "")
            assert re.fullmatch(r"(\d+MiB)?", labels["gpu_memory"])


def test_counts_agree_with_rows(page):
    found = samples(page)
    counts = {
        dict(labels)["gpu"]: number
        for (name, labels), number in found.items()
        if name == "gpu_session_count"
    }
    infos = [
        (dict(labels), number)
        for (name, labels), number in found.items()
        if name == "gpu_process_info"
    ]
    total = value(found, "gpu_total_sessions")
    assert total is None or total == sum(counts.values())
    for gpu, count in counts.items():
        rows = [(labels, number) for labels, number in infos if labels["gpu"] == gpu]
        if count == 0:
            empty = dict.fromkeys(SESSION_LABELS[1:], "")
            placeholder = {"gpu": gpu, **empty, "status": "idle", "gpu_memory": "0MiB", "user": ""}
            assert rows == [(placeholder, 0)]
        else:
            assert len(rows) == count
            assert all(number == 1 and labels["pid"] for labels, number in rows)
    assert {labels["gpu"] for labels, _ in infos} == set(counts)


def test_no_session_row_without_its_info_row(page):
    sessions = {
        (labels["gpu"], labels["pid"])
        for name, _, labels, _ in rows_of(page)
        if name == "gpu_process_info"
    }
    for name, _, labels, _ in rows_of(page):
        if name in LABELS and "pid" in labels:
            assert (labels["gpu"], labels["pid"]) in sessions


def test_devices_with_mig_have_no_session_rows_of_their_own(page):
    parents = {
        labels["gpu"].split("_")[0]
        for _, _, labels, _ in rows_of(page)
        if re.fullmatch(r"\d+_\d+_\d+", labels.get("gpu", ""))
    }
    for name, _, labels, _ in rows_of(page):
        if name in LABELS and "gpu" in labels:
            assert labels["gpu"] not in parents
