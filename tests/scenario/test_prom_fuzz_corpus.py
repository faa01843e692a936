"""Pages of hostile nodes, read by the official parser: corpus and random bytes."""

import random
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import ROOT, find_program

CORPUS = sorted((ROOT / "tests/fuzz/corpus/prom").iterdir())
ALLOWED_FINDINGS = ("gpu_session_count ", "gpu_user_count ")


def render(build, data):
    done = subprocess.run(
        [build / "tests/tools/render_bytes"], input=data, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", errors="strict")


def check(page):
    """Every row is read, as itself, and no series is there twice."""
    rows = [line for line in page.split("\n") if line and not line.startswith("#")]
    read = [s for family in text_string_to_metric_families(page) for s in family.samples]
    assert len(read) == len(rows)
    assert len({(s.name, frozenset(s.labels.items())) for s in read}) == len(rows)
    for sample in read:
        for text in sample.labels.values():
            assert len(text.encode()) <= 256
            assert not any(c != "\n" and (c < " " or "\x7f" <= c <= "\x9f") for c in text)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_corpus(build, path):
    check(render(build, path.read_bytes()))


def test_labels_come_back_as_they_went_in(build):
    page = render(build, (ROOT / "tests/fuzz/corpus/prom/quotes").read_bytes())
    samples = [s for f in text_string_to_metric_families(page) for s in f.samples]
    labels = next(s.labels for s in samples if s.name == "gpu_process_info")
    assert labels["command"] == 'sh "-c" \\n\n{}=,'
    assert (labels["pod"], labels["namespace"], labels["container"]) == ('"', "\\", "\n")
    assert labels["node"] == 'n"o\\d\ne'


def test_random_bytes(build):
    source = random.Random(20260101)
    for size in (0, 1, 40, 400, 1000, 2000, 3000, 4000):
        for _ in range(8):
            check(render(build, source.randbytes(size)))


def test_promtool_reads_the_corpus(build):
    for path in CORPUS:
        done = subprocess.run(
            [find_program("promtool"), "check", "metrics"],
            input=render(build, path.read_bytes()), capture_output=True, text=True, timeout=60,
        )
        findings = (done.stdout + done.stderr).splitlines()
        assert all(line.startswith(ALLOWED_FINDINGS) for line in findings), (path, findings)
