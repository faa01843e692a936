"""The paths that the product is for, to a real Prometheus: collect → textfile →
node-exporter, the real one, and from the daemon itself.

The original queries and alerts are evaluated through
Prometheus' HTTP API; what they must answer is computed from `list --json`, which takes
another way through the program than the page does.
"""

import subprocess
from collections import Counter
from types import SimpleNamespace

import pytest

from harness import find_program, free_port, mask_page, samples, wait_until
from real_prometheus import running_prometheus
from real_ways import ORIGINAL_ALERTS, get, make_node, running_daemon, running_node_exporter

JOB = """
  - job_name: node
    honor_labels: true
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@pytest.fixture(scope="module", params=["textfile", "daemon"])
def readers(request, tmp_path_factory):
    """A simulated node read by a real Prometheus, in one of the two ways."""
    directory = tmp_path_factory.mktemp("readers")
    (directory / "textfiles").mkdir()
    textfile = directory / "textfiles" / "gpu_sessions.prom"
    node, port = make_node(directory), free_port()
    is_daemon = request.param == "daemon"
    way = running_daemon(node, port) if is_daemon else running_node_exporter(node, textfile, port)
    job = JOB.format(port=port)
    with way, running_prometheus(directory / "prometheus", job, rules=ORIGINAL_ALERTS) as prometheus:
        prometheus.wait("gpu_total_sessions and on() up == 1", "Prometheus has scraped")
        yield SimpleNamespace(
            node=node, textfile=None if is_daemon else textfile, prometheus=prometheus,
            exporter_url=f"http://127.0.0.1:{port}/metrics",
            sessions=node.json()["sessions"], devices=node.json()["devices"],
        )


of_the_textfile = pytest.mark.parametrize("readers", ["textfile"], indirect=True)


def query(readers, expression):
    return readers.prometheus.query(expression)


def by(*names, **fixed):
    return tuple(sorted({**dict(zip(names[::2], names[1::2])), **fixed}.items()))


def device_counts(readers):
    return {
        device["gpu"]: device["gpu_session_count"]
        for device in readers.devices
        if device.get("gpu_session_count") is not None
    }


def info_labels(session):
    return by(
        gpu=session["gpu"], pid=str(session["pid"]), command=session["command"],
        status=session["status"], gpu_memory=memory_label(session),
        **{name: session[name] for name in ("pod", "namespace", "container", "user") if session[name]},
    )


def memory_label(session):
    return f"{session['gpu_process_memory_used_bytes'] // 2**20}MiB"


def active(readers):
    return [session for session in readers.sessions if session["status"] == "active"]


@of_the_textfile
def test_node_exporter_serves_what_collect_wrote(readers):
    """node-exporter parses the file and prints it anew: the same rows, in its own order."""
    served = samples(get(readers.exporter_url))
    assert served[("node_textfile_scrape_error", ())] == 0
    written = samples(readers.textfile.read_text())
    assert written.items() <= served.items()


def test_session_count(readers):
    expected = {by(gpu=gpu): count for gpu, count in device_counts(readers).items()}
    assert query(readers, "gpu_session_count") == expected
    assert query(readers, "sum by (gpu) (gpu_session_count)") == expected
    assert 0 in expected.values() and max(expected.values()) > 1


def test_total_sessions(readers):
    assert query(readers, "gpu_total_sessions") == {(): len(readers.sessions)}


def test_active_on_one_gpu(readers):
    expected = {info_labels(s): 1 for s in active(readers) if s["gpu"] == "0"}
    assert expected
    assert query(readers, 'gpu_process_info{gpu="0", status="active"}') == expected


def test_idle_sessions_and_empty_devices(readers):
    expected = {info_labels(s): 1 for s in readers.sessions if s["status"] == "idle"}
    assert expected
    for gpu, count in device_counts(readers).items():
        if count == 0:
            expected[by(gpu=gpu, status="idle", gpu_memory="0MiB")] = 0
    assert query(readers, 'gpu_process_info{status="idle"}') == expected


def test_sessions_per_device(readers):
    counts = device_counts(readers).values()
    expression = "(sum(gpu_session_count) / count(gpu_session_count)) * 100"
    assert query(readers, expression) == {(): pytest.approx(sum(counts) / len(counts) * 100)}


def test_devices_without_a_session(readers):
    expected = sum(count == 0 for count in device_counts(readers).values())
    assert query(readers, "count(gpu_session_count == 0)") == {(): expected}


def test_mig_devices_are_selected_by_their_label(readers):
    expected = {gpu for gpu in device_counts(readers) if gpu.count("_") == 2}
    found = query(readers, 'gpu_session_count{gpu=~".*_.*_.*"}')
    assert expected and {dict(labels)["gpu"] for labels in found} == expected


def test_join_of_active_sessions_with_themselves(readers):
    expression = (
        'sum by (pod, namespace) (gpu_process_info{status="active"} * on(gpu,pid) '
        'group_left(gpu_memory) gpu_process_info{status="active"})'
    )
    expected = Counter(
        by(**{name: s[name] for name in ("pod", "namespace") if s[name]}) for s in active(readers)
    )
    assert query(readers, expression) == expected


def test_active_sessions_by_namespace(readers):
    expression = 'sum by (namespace) (gpu_process_info{status="active"})'
    expected = Counter(
        by(namespace=s["namespace"]) if s["namespace"] else () for s in active(readers)
    )
    assert query(readers, expression) == expected


def test_original_alerts(readers):
    def alerts():
        rows = readers.prometheus.get("alerts")["alerts"]
        firing = [row["labels"] for row in rows if row["state"] == "firing"]
        names = Counter(labels["alertname"] for labels in firing)
        return names if len(names) >= 2 else None

    names = wait_until(alerts, "both alerts fire", timeout=30)
    assert names == {"HighGPUUtilization": 1, "LongRunningGPUProcess": len(active(readers))}
    groups = readers.prometheus.get("rules")["groups"]
    assert all(rule["health"] == "ok" for group in groups for rule in group["rules"])


def test_rules_are_valid(tmp_path):
    rules = tmp_path / "rules.yml"
    rules.write_text(ORIGINAL_ALERTS)
    done = subprocess.run(
        [find_program("promtool"), "check", "rules", rules], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@of_the_textfile
def test_second_collection_replaces_the_first(readers):
    before = mask_page(readers.textfile.read_text())
    assert readers.node.collect("--textfile", readers.textfile).returncode == 0
    assert mask_page(readers.textfile.read_text()) == before
    assert samples(get(readers.exporter_url))[("node_textfile_scrape_error", ())] == 0
