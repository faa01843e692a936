"""One collection on each shipped scenario, compared byte for byte with what was reviewed.

`make golden` rewrites the files; the difference is to be read before it is committed.
"""

import os

import pytest

from harness import GOLDEN, SCENARIOS, mask_directory, mask_json, mask_page


def compare(path, actual):
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(actual)
    assert path.exists(), f"{path} is missing: run 'make golden'"
    assert actual == path.read_text()


@pytest.mark.parametrize("name", SCENARIOS)
def test_golden(name, simulated):
    node = simulated(name)
    expected = SCENARIOS[name]

    page = node.collect(*expected.flags)
    assert page.returncode == expected.exit_code, page.stderr
    compare(GOLDEN / f"{name}.prom", mask_page(page.stdout.decode(), node))

    document = node.list("--json", *expected.flags)
    assert document.returncode == expected.exit_code, document.stderr
    compare(GOLDEN / f"{name}.json", mask_json(document.stdout.decode(), node))

    table = node.list(*expected.flags)
    assert table.returncode == expected.exit_code, table.stderr
    compare(GOLDEN / f"{name}.txt", mask_directory(table.stdout.decode(), node))


def test_textfile_is_what_standard_output_gets(simulated, tmp_path):
    node = simulated("default")
    path = tmp_path / "gpu_sessions.prom"
    written = node.collect("--textfile", path)
    assert (written.returncode, written.stdout) == (0, b"")
    assert mask_page(path.read_text()) == mask_page(node.collect().stdout.decode())
    assert path.stat().st_mode & 0o777 == 0o644
    leftovers = [other.name for other in tmp_path.iterdir() if other.name.startswith("gpu")]
    assert leftovers == [path.name]


def test_every_shipped_scenario_has_golden_files(program):
    listed = program.run("simulate", "--list")
    assert listed.returncode == 0
    names = {line.split()[0] for line in listed.stdout.decode().splitlines() if line.strip()}
    assert names == set(SCENARIOS)


def test_no_golden_file_is_left_over():
    expected = {f"{name}.{kind}" for name in SCENARIOS for kind in ("prom", "json", "txt")}
    assert {path.name for path in GOLDEN.iterdir()} == expected
