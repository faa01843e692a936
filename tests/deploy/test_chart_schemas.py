"""Every object of the chart is one that Kubernetes takes, in each of its versions."""

import copy

import pytest

from chart import CHART, HELM3, VALUES, find, helm, render, sets
from kube_schemas import faults

# The chart's oldest; the last without and the first with indexes that fail alone; the first
# with the right for a kubelet's list of pods; the newest known.
VERSIONS = ["1.25.0", "1.28.0", "1.29.0", "1.33.0", "1.37.0"]
MODES = ["cronjob", "daemonset"]


def asks_kubelet(path):
    return "metadata: kubelet" in path.read_text()


MATRIX = [
    (path, mode, version)
    for path in VALUES for mode in MODES for version in VERSIONS
    if not asks_kubelet(path) or version >= "1.33"
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_every_object_is_valid(path, mode, version):
    if (path, mode, version) not in MATRIX:
        return check_kubelet_refused(path, version)
    key = "gpu-session-monitoring.collection.mode"
    objects = render(f"--values={path}", f"--set={key}={mode}", version=version)
    assert len(objects) >= 3
    assert faults(objects, version) == []
    assert ("CronJob" if mode == "cronjob" else "DaemonSet") in [one["kind"] for one in objects]


def check_kubelet_refused(path, version):
    done = helm("template", CHART, f"--values={path}", f"--kube-version={version}")
    assert "needs Kubernetes 1.33" in done.stderr


def spoil(objects, kind, change):
    one = copy.deepcopy(find(objects, kind))
    change(one["spec"])
    return faults([one], "1.33.0")


def test_validation_finds_unknown_fields_types_and_words():
    objects = render("--values", CHART / "ci/podmonitor-values.yaml", *sets(service__enabled="true"))
    pod = "template"
    assert spoil(objects, "DaemonSet", lambda spec: spec[pod]["spec"].update(hostPid=True))
    assert spoil(objects, "DaemonSet", lambda spec: spec.update(revisionHistoryLimit="3"))
    assert spoil(objects, "Service", lambda spec: spec["ports"][0].update(name=None, prot="TCP"))
    assert spoil(objects, "PodMonitor", lambda spec: spec.update(forr="1m"))

    def wrong_action(spec):
        spec["podMetricsEndpoints"][0]["relabelings"][0]["action"] = "shout"

    def wrong_field(spec):
        spec["podMetricsEndpoints"][0]["honorLabel"] = True

    assert spoil(objects, "PodMonitor", wrong_action)
    assert spoil(objects, "PodMonitor", wrong_field)


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_lint_is_strict(path):
    done = helm("lint", "--strict", CHART, f"--values={path}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_helm_3_makes_the_same(path):
    assert render(f"--values={path}", program=HELM3) == render(f"--values={path}")


def test_too_old_kubernetes_is_refused():
    done = helm("template", CHART, "--kube-version=1.24.0")
    assert done.returncode != 0 and "1.25.0" in done.stderr


def test_vendors_versions_are_taken():
    for version in ("v1.29.3-gke.1282000", "v1.31.4+k3s1", "1.27.16-eks-a737599"):
        find(render(version=version), "CronJob")
