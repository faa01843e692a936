"""docs/metrics.md names every family that the program can print, and no other."""

import re
import subprocess

from harness import ROOT

# A heading "### `name`" and below it a line "gauge · labels …" or "counter · …".
FAMILY = re.compile(r"^### `(\w+)`\n\n(\w+) · ([^\n]+)\n", re.M)


def documented():
    text = (ROOT / "docs/metrics.md").read_text()
    return {name: (kind, rest) for name, kind, rest in FAMILY.findall(text)}


def printable(build):
    listed = subprocess.run(
        [build / "tests/tools/print_families"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout
    return [line.split("\t") for line in listed.splitlines()]


def labels_of(rest):
    """The labels that the line under the heading names: `a`, `b` before the next dot."""
    return re.findall(r"`(\w+)`", rest.split(" · ")[0])


def test_same_families_same_types_same_order(build):
    assert [(name, kind) for name, (kind, _) in documented().items()] == [
        (name, kind) for name, kind, _ in printable(build)
    ]


def test_help_is_one_sentence(build):
    for name, _, words in printable(build):
        assert words.endswith(".") and "\\" not in words and words.isascii(), name


def test_documented_labels_are_the_printed_ones():
    # A daemon's node with everything that can be missing; one on which all users are known;
    # one of Kubernetes.
    pages = [
        "tests/unit/output/golden/daemon.prom",
        "tests/scenario/golden/plain.prom",
        "tests/unit/output/golden/allocated.prom",
    ]
    page = "".join((ROOT / path).read_text() for path in pages)
    row = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$", re.M)
    families = documented()
    seen = set()
    for name, labels in row.findall(page):
        seen.add(name)
        assert re.findall(r'(\w+)="', labels) == labels_of(families[name][1]), name
    assert seen == set(families)
