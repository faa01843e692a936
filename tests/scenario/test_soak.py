"""Some thousand collections on a restless node; `make soak` makes a hundred thousand."""

import pytest

from soak import FLAGS, SCENARIO, growth, soak


@pytest.mark.release_only  # the sanitizers keep what is freed
def test_nothing_grows(simulated, serve, tmp_path):
    scenario = tmp_path / "restless.yaml"
    scenario.write_text(SCENARIO)
    node = simulated(scenario)
    daemon = serve(node, *FLAGS)
    weights, run = soak(daemon, node, 4000)
    assert run.workers > 1
    assert not growth(weights)
    assert not daemon.zombies()
    assert daemon.stop() == 0
