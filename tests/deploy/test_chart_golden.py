"""What the chart makes of each set of values, line by line; rewritten by `make golden`.

Rules and dashboards have tests of their own, and would make these files long.
"""

import os

import pytest

from chart import VALUES, render_text
from harness import ROOT

GOLDEN = ROOT / "tests/deploy/golden"


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_render_is_as_recorded(path):
    golden = GOLDEN / f"{path.stem.removesuffix('-values')}.yaml"
    off = ("--set=prometheusRule.enabled=false", "--set=grafanaDashboard.enabled=false")
    made = render_text(f"--values={path}", *off, version="1.35.0")
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(made)
    assert made == golden.read_text(), "if that is meant: make golden"


def test_every_golden_file_has_its_values():
    named = {f"{path.stem.removesuffix('-values')}.yaml" for path in VALUES}
    assert {path.name for path in GOLDEN.iterdir()} == named
