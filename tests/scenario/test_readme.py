"""The examples that the READMEs show are what the program prints of the default scenario.

`make golden` rewrites them together with the golden files.
"""

import os
import re

import pytest

from harness import ROOT

GOLDEN = ROOT / "tests/scenario/golden"
BLOCK = re.compile(r"^```\n(.*?)^```$", re.M | re.S)
# The series that the READMEs show a row of.
SHOWN = [
    'gpu_session_count{gpu="0"}',
    'gpu_session_count{gpu="2"}',
    'gpu_session_count{gpu="3_2_0"}',
    "gpu_total_sessions",
    'gpu_process_info{gpu="0",pid="10000"',
    'gpu_process_info{gpu="3_2_0"',
    'gpu_process_utilization{gpu="0",pid="10000"',
    'gpu_process_memory_utilization{gpu="0",pid="10000"',
    'gpu_process_start_time_seconds{gpu="0",pid="10000"',
]


def expected_blocks():
    page = (GOLDEN / "default.prom").read_text().splitlines()
    rows = [next(line for line in page if line.startswith(start)) for start in SHOWN]
    return (GOLDEN / "default.txt").read_text(), "".join(f"{row}\n" for row in rows)


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_examples_are_real(name):
    path = ROOT / name
    text = path.read_text()
    table, rows = expected_blocks()
    blocks = BLOCK.findall(text)
    assert len(blocks) == 2, "a table and some metrics"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text.replace(blocks[0], table).replace(blocks[1], rows))
    else:
        assert blocks == [table, rows]
