"""How many pods the job gets, with nodes looked up in a cluster; and what the notes say."""

import pytest
import yaml

import kube_api
from chart import CHART, HELM, HELM3, find, helm
from kube_api import node

GPU = {"nvidia.com/gpu.present": "true"}
GPU_TAINT = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}


@pytest.fixture(scope="module")
def cluster():
    with kube_api.running() as made:
        yield made


def ask(cluster, *values, program=HELM):
    """The first install, up to where something would be created."""
    done = helm("install", "gpu-monitoring", CHART, "--namespace=monitoring", "--dry-run=server",
                "--disable-openapi-validation", *values, program=program,
                KUBECONFIG=str(cluster.kubeconfig))
    assert done.returncode == 0, done.stderr
    return done.stdout


def job(output):
    manifest = output.partition("MANIFEST:")[2].partition("\nNOTES:")[0]
    return find([one for one in yaml.safe_load_all(manifest) if one], "CronJob")


def pods(cluster, *values, **more):
    spec = job(ask(cluster, *values, **more))["spec"]["jobTemplate"]["spec"]
    assert spec["completions"] == spec["parallelism"]
    return spec["completions"]


@pytest.mark.parametrize("program", [HELM, HELM3], ids=["helm4", "helm3"])
def test_each_node_with_a_gpu_gets_a_pod(cluster, program):
    cluster.set_nodes(
        node("a", **GPU), node("b", [GPU_TAINT], **GPU), node("c"),
        node("d", **{"nvidia.com/gpu.present": "false"}), node("e", **GPU),
    )
    assert pods(cluster, program=program) == 3


def test_a_node_that_pods_may_not_go_to_gets_none(cluster):
    rented = {"key": "team", "value": "vision", "effect": "NoSchedule"}
    shy = {"key": "team", "value": "vision", "effect": "PreferNoSchedule"}
    cordoned = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    cluster.set_nodes(
        node("a", **GPU), node("b", [rented], **GPU), node("c", [GPU_TAINT, rented], **GPU),
        node("d", [shy], **GPU), node("e", [cordoned], **GPU),
    )
    assert pods(cluster) == 3, "a, d, and e, which comes back"
    toleration = "--set=tolerations[1].key=team,tolerations[1].operator="
    both = f"{toleration}Equal,tolerations[1].value="
    first = "--set=tolerations[0].key=nvidia.com/gpu,tolerations[0].operator=Exists"
    assert pods(cluster, first, f"{toleration}Exists") == 5
    assert pods(cluster, first, f"{both}vision") == 5
    assert pods(cluster, first, f"{both}research") == 3
    assert pods(cluster, first, f"{both}vision,tolerations[1].effect=NoExecute") == 3
    assert pods(cluster, "--set=tolerations[0].operator=Exists") == 5


def test_another_selector_counts_other_nodes(cluster):
    cluster.set_nodes(node("a", **GPU), node("b", pool="gpu", **GPU), node("c", pool="gpu"))
    assert pods(cluster, "--set=nodeSelector.pool=gpu") == 1
    assert pods(cluster, "--set=nodeSelector=null") == 3


def test_who_may_not_list_nodes_gives_their_number(cluster):
    cluster.refuse_nodes()
    with pytest.raises(AssertionError, match="you may not list nodes"):
        ask(cluster)
    output = ask(cluster, "--set=collection.nodes=7")
    assert job(output)["spec"]["jobTemplate"]["spec"]["completions"] == 7
    assert "It has 7 pod(s), one for each node. That is collection.nodes." in output
    assert "kind: DaemonSet" in ask(cluster, "--set=collection.mode=daemonset")


def test_the_notes_say_how_many_and_how_to_change_it(cluster):
    cluster.set_nodes(node("a", **GPU), node("b", **GPU))
    notes = ask(cluster).partition("\nNOTES:")[2]
    assert "It has 2 pod(s), one for each node. So many nodes match" in notes
    assert "--set collection.nodes=N" in notes and "thirty MINUTES" in notes
    assert "kubectl get cronjob gpu-session-metrics-collector -n monitoring" in notes
    assert "kubectl label namespace monitoring pod-security.kubernetes.io/enforce=privileged" in notes


def test_no_node_is_one_pod_and_a_loud_note(cluster):
    cluster.set_nodes(node("a"))
    output = ask(cluster)
    assert job(output)["spec"]["jobTemplate"]["spec"]["completions"] == 1
    assert "NO NODE of the cluster matched nodeSelector and tolerations" in output


def test_the_daemons_notes(cluster):
    notes = ask(cluster, "--set=collection.mode=daemonset").partition("\nNOTES:")[2]
    assert "daemonset/gpu-monitoring-gpu-session-monitoring 10105:10105" in notes
    assert "Nothing scrapes it yet" in notes and "enforce=privileged" in notes
