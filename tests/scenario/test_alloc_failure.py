"""Memory runs out at the n-th allocation, for every n: no crash, no torn file, a word why."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import find_build, mask_page, samples

pytestmark = pytest.mark.release_only

LIMIT = 50000  # a run that needs more allocations than this would be another bug


def run_failing_at(node, n, directory, args):
    log = directory / f"failed{n}"
    done = node.program.run(
        *args,
        env={
            "LD_PRELOAD": str(find_build() / "tests/tools/fail_alloc.so"),
            "FAIL_ALLOC_AT": str(n),
            "FAIL_ALLOC_LOG": str(log),
        },
    )
    has_failed = log.exists()
    log.unlink(missing_ok=True)
    return n, has_failed, done


def check(n, done):
    text = (done.stdout + done.stderr).decode()
    assert done.returncode in (0, 1), f"allocation {n}: exit {done.returncode}\n{text}"
    assert text.strip() or done.returncode == 0, f"allocation {n}: failed without a word"


def admits_a_loss(page):
    """A page that is not complete says so: a source is down, or an error was counted."""
    return re.search(r"^gpu_session_(source_up\{.*\} 0|collect_errors_total\{)", page, re.M)


def until_clean_run(node, directory, make_args, examine):
    """Calls EXAMINE for n = 1, 2, 3 … until a run has fewer allocations than n."""
    with ThreadPoolExecutor(4) as pool:
        for start in range(1, LIMIT, 32):
            runs = pool.map(
                lambda n: run_failing_at(node, n, directory, make_args(n)),
                range(start, start + 32),
            )
            for n, has_failed, done in runs:
                if not has_failed:
                    assert done.returncode == 0 and n > 10
                    return n
                examine(n, done)
    raise AssertionError(f"still allocating after {LIMIT} allocations")


def test_collect_to_a_textfile(simulated, tmp_path):
    node = simulated("default")
    whole = {name: mask_page(node.page(f"--node={name}")) for name in ("old", "new")}
    directory = tmp_path / "textfiles"
    directory.mkdir()

    def make_args(n):
        path = directory / str(n)
        path.mkdir()
        assert node.collect("--node=old", "--textfile", path / "gpu.prom").returncode == 0
        return ["collect", *node.flags, "--node=new", "--textfile", path / "gpu.prom"]

    def examine(n, done):
        check(n, done)
        page = mask_page((directory / str(n) / "gpu.prom").read_text())
        is_whole = page == whole["new"] or (done.returncode == 1 and page == whole["old"])
        assert is_whole or admits_a_loss(page), f"allocation {n}:\n{page}"
        samples(page)

    until_clean_run(node, tmp_path, make_args, examine)


@pytest.mark.parametrize("args", [(), ("--json",)], ids=["table", "json"])
def test_list(args, simulated, tmp_path):
    node = simulated("default")

    def examine(n, done):
        check(n, done)

    until_clean_run(node, tmp_path, lambda n: ["list", *node.flags, *args], examine)


def test_simulate(simulated, tmp_path):
    node = simulated("plain")

    def examine(n, done):
        check(n, done)
        assert done.returncode == 1 or done.stdout.count(b"\n") == 1

    until_clean_run(
        node, tmp_path,
        lambda n: ["simulate", tmp_path / f"made{n}", "--scenario=plain", "--freeze"],
        examine,
    )
