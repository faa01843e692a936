"""A textfile is the old one or the new one, whole, whenever its writer is killed."""

import random
import signal
import time

import pytest

from harness import mask_page

KILLS = 1000


@pytest.mark.release_only
def test_thousand_kills(simulated, tmp_path):
    """Writers with two different contents take turns, each killed at a random moment."""
    node = simulated("plain")
    directory = tmp_path / "textfiles"
    directory.mkdir()
    path = directory / "gpu.prom"
    whole = {name: mask_page(node.page(f"--node={name}")) for name in ("a", "b")}
    assert whole["a"] != whole["b"]
    longest = 0
    for _ in range(5):
        began = time.monotonic()
        assert node.collect("--node=a", "--textfile", path).returncode == 0
        longest = max(longest, 1.5 * (time.monotonic() - began))

    moments = random.Random(20260101)  # reproducible
    seen = []
    for i in range(KILLS):
        writer = node.program.start(
            "collect", *node.flags, f"--node={'ab'[i % 2]}", "--textfile", path
        )
        time.sleep(moments.uniform(0, longest))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        content = mask_page(path.read_text())
        names = [name for name, expected in whole.items() if content == expected]
        assert names, f"torn after kill {i}:\n{content}"
        seen += names
    # The content changed hands now and then, so writers did get as far as writing; how often
    # depends on the machine.
    changes = sum(before != after for before, after in zip(seen, seen[1:]))
    assert changes > KILLS / 100

    # The next run clears away what the killed ones left behind.
    assert node.collect("--node=a", "--textfile", path).returncode == 0
    assert [other.name for other in directory.iterdir()] == ["gpu.prom"]
