"""The rules in a real Prometheus, over both ways at once: what they record of a node is the same
from its textfile, which a real node-exporter serves, from its daemon, and from both together.

The targets have the labels that kube-prometheus-stack gives them; node-exporter's is scraped
without honor_labels, so that a session's pod is exported_pod there. What must be answered is
computed from `list --json`.
"""

import contextlib
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml

from chart_rules import rules_file
from harness import free_port, wait_until
from kubelet import Kubelet, pod, pods
from real_prometheus import running_prometheus
from real_ways import ORIGINAL_ALERTS, make_node, running_daemon, running_node_exporter

NODE = "gpu-node-1"
TEXTFILE_JOB = """
  - job_name: node-exporter
    static_configs:
      - targets: ["127.0.0.1:{textfile}"]
        labels: {{namespace: monitoring, pod: node-exporter-x, container: node-exporter, node: gpu-node-1}}
"""
DAEMON_JOB = """
  - job_name: monitoring/gpu-sessions
    honor_labels: true
    static_configs:
      - targets: ["127.0.0.1:{daemon}"]
        labels: {{namespace: monitoring, pod: gpu-sessions-x, container: gpu-sessions}}
"""
WAYS = {"textfile": TEXTFILE_JOB, "daemon": DAEMON_JOB, "both": TEXTFILE_JOB + DAEMON_JOB}

ORIGINAL_FIRING = 'count(group by (alertname) (ALERTS{severity="",alertstate="firing"}))'

# What differs from way to way: when the page was made, and by whom.
OF_THE_TARGET = {
    "target:gpu_session_last_collect_timestamp_seconds:max",
    "node:gpu_session_last_collect_timestamp_seconds:max",
    "node:gpu_session_target:topk",
}
OF_DAEMONS = {
    "device:gpu_sessions_started_total:max", "device:gpu_sessions_ended_total:max",
    "node:gpu_session_collectors_stuck:max", "node:gpu_session_driver_released:max",
    "node:gpu_session_collector_restarts:increase1h",
}

# Alerts that the simulated node gives reason for, without their waits.
EAGER = [
    f"prometheusRule.alerts.{name}.for=1s"
    for name in ("LongRunningGPUProcess", "GPUSessionIdleHolder", "GPUDeviceAllocatedUnused",
                 "GPUDeviceUsedUnallocated", "HighGPUUtilization")
] + ["prometheusRule.alerts.HighGPUUtilization.threshold=50"]

# What the old queries answer beside: the volatile label, where it was scraped.
NOT_RECORDED = {"gpu_memory", "instance", "job"}
DAEMONS_POD = {
    ("namespace", "monitoring"), ("pod", "gpu-sessions-x"), ("container", "gpu-sessions")
}

# The queries of old, and the same on what is recorded.
SESSION = "session:gpu_process_info:max"
QUERIES = {
    "gpu_session_count": "device:gpu_session_count:max",
    "gpu_total_sessions": "node:gpu_total_sessions:max",
    'gpu_process_info{gpu="0", status="active"}': SESSION + '{gpu="0", status="active"}',
    'gpu_process_info{status="idle"}': SESSION + '{status="idle"}',
    "sum by (gpu) (gpu_session_count)": "sum by (gpu) (device:gpu_session_count:max)",
    "(sum(gpu_session_count) / count(gpu_session_count)) * 100":
        "(sum(device:gpu_session_count:max) / count(device:gpu_session_count:max)) * 100",
    "count(gpu_session_count == 0)": "count(device:gpu_session_count:max == 0)",
    'sum by (pod, namespace) (gpu_process_info{status="active"} * on(gpu,pid) '
    'group_left(gpu_memory) gpu_process_info{status="active"})':
        f'sum by (pod, namespace) ({SESSION}{{status="active"}} * on(gpu,pid) '
        f'group_left(user) {SESSION}{{status="active"}})',
    'sum by (namespace) (gpu_process_info{status="active"})':
        f'sum by (namespace) ({SESSION}{{status="active"}})',
    # The two original alerts.
    "(count(gpu_session_count > 0) / count(gpu_session_count)) * 100 > 50":
        "100 * cluster:gpu_devices_busy:ratio > 50",
    'gpu_process_info{status="active"} == 1': SESSION + '{status="active"} == 1',
}


def kubelet_of(node):
    """One pod was given the GPU that it uses, another one a GPU that nobody uses."""
    ids = {device["gpu"]: device["uuid"] for device in node.json()["devices"]}
    kubelet = Kubelet(node, pods(
        pod("ml-team", "llm-train-worker-0", pytorch=[("nvidia.com/gpu", ids["0"])]),
        pod("vision", "waiting-0", server=[("nvidia.com/gpu", ids["2"])]),
    ))
    kubelet.set_age(3600)
    return kubelet


def all_rules():
    """The chart's rules, and the original alerts beside them."""
    return rules_file(*EAGER) + ORIGINAL_ALERTS.partition("groups:\n")[2]


def recorded_names():
    groups = yaml.safe_load(rules_file())["groups"]
    return [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """A Prometheus for each of WAYS, all of them scraping the same simulated node."""
    directory = tmp_path_factory.mktemp("ways")
    (directory / "textfiles").mkdir()
    node = make_node(directory)
    node = replace(node, flags=(*node.flags, f"--node={NODE}"))
    ports = {"textfile": free_port(), "daemon": free_port()}
    with contextlib.ExitStack() as stack:
        stack.callback(kubelet_of(node).stop)
        textfile = directory / "textfiles" / "gpu_sessions.prom"
        stack.enter_context(running_node_exporter(node, textfile, ports["textfile"]))
        stack.enter_context(running_daemon(node, ports["daemon"]))
        running = {
            way: stack.enter_context(running_prometheus(
                directory / way, jobs.format(**ports), rules=all_rules()
            ))
            for way, jobs in WAYS.items()
        }
        for way, each in running.items():
            targets = WAYS[way].count("job_name")
            each.wait(f"count(gpu_total_sessions) == {targets}", f"{way}: all is scraped")
            each.wait("cluster:gpu_users:count and on() count(ALERTS) > 0", f"{way}: recorded")
        yield SimpleNamespace(**running, every=running, document=node.json())


def rows(prometheus, expression):
    """{labels: value} with the labels that a recorded row has."""
    return {
        tuple(sorted((k, v) for k, v in labels.items() if k not in ("__name__", "node"))): number
        for labels, number in prometheus.rows(expression)
    }


def answers_of(prometheus, expression):
    return {way: rows(each, expression) for way, each in prometheus.every.items()}


def assert_alike(answers, what):
    assert answers["textfile"], what
    assert answers["textfile"] == pytest.approx(answers["daemon"]), what
    assert answers["both"] == pytest.approx(answers["daemon"]), what


def session_labels(session, *names):
    wanted = {name: session[name] for name in names}
    return tuple(sorted((name, str(text)) for name, text in wanted.items() if text))


def test_each_recorded_series_is_the_same_from_both_ways(prometheus):
    for name in recorded_names():
        if name not in OF_THE_TARGET | OF_DAEMONS:
            assert_alike(answers_of(prometheus, name), name)
    for each in prometheus.every.values():
        everything = each.rows('{__name__=~"(session|device|node):.+"}')
        assert {labels["node"] for labels, _ in everything} == {NODE}
        assert not any(name.startswith("exported_") for labels, _ in everything for name in labels)
    for name in OF_DAEMONS:
        wait_until(lambda: rows(prometheus.daemon, name), f"{name} is recorded")
        assert rows(prometheus.textfile, name) == {}, name


def test_recorded_sessions_are_those_of_the_node(prometheus):
    """Also those outside any pod, whose pod is node-exporter's in the scraped rows."""
    sessions = prometheus.document["sessions"]
    names = ("gpu", "pid", "command", "namespace", "pod", "container", "status", "user")
    expected = {session_labels(session, *names): 1 for session in sessions}
    assert any(not session["pod"] for session in sessions)
    scraped = 'gpu_process_info{pod="node-exporter-x",exported_pod=""} == 1'
    assert len(rows(prometheus.textfile, scraped)) == sum(not s["pod"] for s in sessions)
    for way, found in answers_of(prometheus, f"{SESSION} == 1").items():
        assert found == expected, way
    for way, found in answers_of(prometheus, "device:gpu_device_allocated:max").items():
        assert set(found) == {
            tuple(sorted({"gpu": gpu, "namespace": namespace, "pod": pod, "container": c}.items()))
            for gpu, namespace, pod, c in (
                ("0", "ml-team", "llm-train-worker-0", "pytorch"),
                ("2", "vision", "waiting-0", "server"),
            )
        }, way
    of_users = Counter((("user", session["user"]),) for session in sessions)
    for way, found in answers_of(prometheus, "user:gpu_sessions:sum").items():
        assert found == of_users, way


def test_original_queries(prometheus):
    """On what is recorded all ways agree; on what is scraped each query has an answer still."""
    for original, recorded in QUERIES.items():
        assert_alike(answers_of(prometheus, recorded), recorded)
        assert rows(prometheus.textfile, original), original
        # The daemon's rows are the sessions' own: old and new agree but for what is not recorded.
        old = {
            tuple(pair for pair in labels if pair[0] not in NOT_RECORDED and pair not in DAEMONS_POD):
            number for labels, number in rows(prometheus.daemon, original).items()
        }
        assert old == pytest.approx(rows(prometheus.daemon, recorded)), original


def firing(each):
    """Labels of the chart's alerts that fire; the original ones have no severity."""
    return [
        alert["labels"] for alert in each.get("alerts")["alerts"]
        if alert["state"] == "firing" and "severity" in alert["labels"]
    ]


def test_alerts(prometheus):
    """They fire alike, once for what they speak of, and every rule can be evaluated."""
    sessions = prometheus.document["sessions"]
    holders = {session_labels(s, "user", "namespace", "pod", "container") for s in sessions}
    expected = {
        "HighGPUUtilization": 1,
        "LongRunningGPUProcess": len(holders),
        "GPUSessionIdleHolder": sum(s["status"] == "idle" for s in sessions),
        "GPUDeviceAllocatedUnused": 1,
        "GPUDeviceUsedUnallocated": len({
            s["gpu"] for s in sessions if s["pod"] != "llm-train-worker-0"
        }),
    }
    for way, each in prometheus.every.items():
        wait_until(lambda: Counter(a["alertname"] for a in firing(each)) == expected, way)
        each.wait(f"{ORIGINAL_FIRING} == 2", f"{way}: the original alerts")
        groups = each.get("rules")["groups"]
        assert [r for group in groups for r in group["rules"] if r["health"] != "ok"] == [], way
    alike = {
        frozenset(tuple(sorted(labels.items())) for labels in firing(each))
        for each in prometheus.every.values()
    }
    assert len(alike) == 1
