"""What values do: those that operators have go on working, wrong ones are refused in words."""

import json
import re
import shlex
import shutil

import pytest
import yaml

from chart import (
    CHART, HELM, HELM3, collecting, find, has_value, kinds, original_chart, pod_template, refusal,
    render, sets,
)
from harness import ROOT

KEY = "gpu-session-monitoring"
DAEMONSET = ("--set=collection.mode=daemonset",)


def args_of(*values, kind="CronJob"):
    return collecting(find(render(*values), kind))["args"]


# --- what operators have --------------------------------------------------------------------


def test_documented_command():
    objects = render(f"--set={KEY}.enabled=true")
    assert kinds(objects) == ["CronJob", "Pod", "ServiceAccount"]
    job = find(objects, "CronJob")
    assert job["metadata"]["name"] == "gpu-session-metrics-collector"
    assert job["metadata"]["namespace"] == "monitoring"
    assert job["spec"]["schedule"] == "*/1 * * * *"
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    spec = pod_template(job)["spec"]
    assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert [taint["key"] for taint in spec["tolerations"]] == ["nvidia.com/gpu"]


@pytest.mark.parametrize("switch", ["enabled", f"{KEY}.enabled"])
def test_switched_off_is_nothing(switch):
    assert render(f"--set={switch}=false") == []


@pytest.mark.parametrize("prefix", ["", f"{KEY}."], ids=["top", "key"])
def test_values_of_the_first_system(prefix):
    values = {
        "collection.schedule": "*/5 * * * *", "collection.resources.limits.cpu": "200m",
        "gpu.count": "8", "gpu.devices": "{0,2}", "prometheus.textfileCollectorPath": "/run/prom",
        "nodeSelector.pool": "gpu", "tolerations[0].operator": "Exists",
    }
    job = find(render(*(f"--set={prefix}{key}={value}" for key, value in values.items())), "CronJob")
    container, spec = collecting(job), pod_template(job)["spec"]
    assert job["spec"]["schedule"] == "*/5 * * * *"
    assert container["resources"]["limits"] == {"cpu": "200m", "memory": "128Mi"}
    assert "--gpu.devices=0,2" in container["args"]
    assert "--textfile=/run/prom/gpu_sessions.prom" in container["args"]
    assert spec["nodeSelector"] == {"pool": "gpu", "nvidia.com/gpu.present": "true"}
    assert spec["tolerations"][0]["operator"] == "Exists"


def test_the_key_wins_over_the_top_level():
    both = ("--set=collection.interval=10s", f"--set={KEY}.collection.interval=20s")
    assert "--interval=20s" in args_of(*both)
    off = ("--set=rbac.create=true", "--set=sources.metadata=apiserver", f"--set={KEY}.rbac.create=false")
    assert "ClusterRole" not in kinds(render(*off))


@pytest.mark.parametrize("given", ["{0,GPU-5d}", "0\\,GPU-5d"])
def test_devices_are_a_list_or_a_text(given):
    assert "--gpu.devices=0,GPU-5d" in args_of(f"--set=gpu.devices={given}")


def test_no_device_filter_by_default():
    assert not [word for word in args_of() if word.startswith("--gpu.devices")]


@pytest.mark.parametrize("mode", ["cronjob", "daemonset"])
def test_reuse_values_of_an_earlier_chart(mode, tmp_path):
    """Its values are all that there is; the newer chart's defaults are not there."""
    objects = render(f"--set={KEY}.collection.mode={mode}", chart=original_chart(tmp_path))
    assert objects == render(
        f"--values={CHART / 'ci/cronjob-values.yaml'}", f"--set={KEY}.collection.mode={mode}",
        *OPTIONAL_OFF,
    )


def test_reuse_values_can_switch_on_what_is_newer(tmp_path):
    """The alerts are values: they come with --reset-then-reuse-values."""
    both = sets(prometheusRule__enabled="true", grafanaDashboard__enabled="true")
    objects = render(*both, chart=original_chart(tmp_path))
    groups = find(objects, "PrometheusRule")["spec"]["groups"]
    assert [group["name"] for group in groups] == ["gpu-sessions.normalised", "gpu-sessions.aggregated"]
    assert kinds(objects).count("ConfigMap") == 3


# What a chart without these values does not have at all.
OPTIONAL_OFF = (
    "--set=collection.ttlSecondsAfterFinished=null",
    "--set=collection.successfulJobsHistoryLimit=0", "--set=collection.failedJobsHistoryLimit=0",
    "--set=daemonset.updateStrategy=null", "--set=daemonset.revisionHistoryLimit=null",
)


def test_templates_own_defaults_are_those_of_the_values():
    text = (CHART / "templates/_helpers.tpl").read_text()
    block = re.search(r'define "gpu-session-monitoring.defaults" -}}\n(.*?)\{\{- end', text, re.S)[1]
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def check(defaults, values, path=""):
        for key, default in defaults.items():
            if isinstance(default, dict):
                check(default, values[key], f"{path}{key}.")
            else:
                assert values[key] == default, f"{path}{key}"

    check(yaml.safe_load(block), values)


# --- null ---------------------------------------------------------------------------------


@pytest.mark.parametrize("program", [HELM, HELM3], ids=["helm4", "helm3"])
@pytest.mark.parametrize("prefix", ["", f"{KEY}."], ids=["top", "key"])
def test_null_takes_away(prefix, program):
    gone = ("nodeSelector", "tolerations", "collection.resources")
    job = find(render(*(f"--set={prefix}{key}=null" for key in gone), program=program), "CronJob")
    spec = pod_template(job)["spec"]
    assert "nodeSelector" not in spec and "tolerations" not in spec
    assert "resources" not in collecting(job)


@pytest.mark.parametrize("prefix", ["", f"{KEY}."], ids=["top", "key"])
def test_null_gives_what_cannot_be_missing(prefix):
    keys = ("collection.mode", "collection.interval", "image", "sources", "hostPaths", "log", "user",
            "podSecurityContext", "securityContext")
    flags = [f"--set={prefix}{key}=null" for key in keys]
    assert render(*flags) == render()


OTHERS = ("prometheusRule", "grafanaDashboard")


def leaves(values, path):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield path + key.replace(".", "\\.")


@pytest.mark.parametrize("mode", ["cronjob", "daemonset"])
@pytest.mark.parametrize("depth", ["leaves", "groups"])
def test_each_value_may_be_null(depth, mode):
    """Of the key, where Helm leaves nulls: no template may trip over one."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for key in (KEY, *OTHERS):
        del values[key]
    groups = [f"{KEY}.{key}" for key, value in values.items() if isinstance(value, dict)]
    paths = groups if depth == "groups" else leaves(values, f"{KEY}.")
    nulls = [f"--set={path}=null" for path in paths if path != f"{KEY}.collection"]
    made = render(*nulls, f"--set={KEY}.collection.mode={mode}")
    assert ("DaemonSet" if mode == "daemonset" else "CronJob") in kinds(made)


# --- as a subchart ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parent")
    dependency = {"name": KEY, "version": "~0.1.0", "repository": "", "condition": f"{KEY}.enabled"}
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))
    (folder / "values.yaml").write_text("global: {storageClass: fast}\nother: {key: value}\n")
    shutil.copytree(CHART, folder / "charts" / KEY)
    return folder


@pytest.mark.parametrize("program", [HELM, HELM3], ids=["helm4", "helm3"])
def test_as_a_subchart(parent, program):
    values = (f"--set={KEY}.enabled=true", f"--set={KEY}.collection.interval=10s",
              "--set=global.imageRegistry=mirror.internal")
    container = collecting(find(render(*values, chart=parent, program=program), "CronJob"))
    assert "--interval=10s" in container["args"]
    assert container["image"] == "mirror.internal/gpu-sessions:0.1.0"


def test_as_a_subchart_switched_off(parent):
    assert render(f"--set={KEY}.enabled=false", chart=parent) == []


def test_null_as_a_subchart(parent):
    job = find(render(f"--set={KEY}.nodeSelector=null", chart=parent), "CronJob")
    assert "nodeSelector" not in pod_template(job)["spec"]


def test_alike_as_a_subchart(parent):
    values = [f"--set={KEY}.collection.mode=daemonset", f"--set={KEY}.podMonitor.enabled=true"]
    assert render(*values, chart=parent) == render(*values)


# --- wrong values -------------------------------------------------------------------------

REFUSED = {
    ("colection.mode=cronjob",): "additional properties 'colection' not allowed",
    ("collection.intervall=5s",): "additional properties 'intervall' not allowed",
    ("collection.mode=deployment",): "'/collection/mode': value must be one of 'cronjob', 'daemonset'",
    (f"{KEY}.collection.mode=deployment",): f"'/{KEY}/collection/mode': value must be one of",
    (f"{KEY}.colection.mode=cronjob",): "additional properties 'colection' not allowed",
    ("collection.interval=15",): '"15" is not a duration; write a number with its unit',
    ("collection.interval=15sec",): '"15sec" is not a duration',
    ("collection.interval=2m",): "write it into collection.schedule",
    ("collection.interval=55s",): "55s is not between 1s and 50s",
    ("collection.interval=500ms",): "500ms is not between 1s and 50s",
    ("collection.count=1",): "a pod must stay until those of all nodes were placed",
    ("collection.count=0",): "'/collection/count': minimum: got 0, want 1",
    ("collection.nodes=many",): "'/collection/nodes': got string, want null or integer",
    ("collection.schedule=@every 30s",): "cron cannot express seconds",
    ("collection.schedule=*/30 * * * * *",): "has 6 fields, but cron has five",
    ("collection.schedule=hourly",): "has 1 fields, but cron has five",
    ("collection.startingDeadlineSeconds=5",): "minimum: got 5, want 10",
    ("prometheus.textfileCollectorPath=textfile",): "is not a path of the host",
    ("prometheus.textfileCollectorPath=/a/../b",): "has .. in it",
    ("prometheus.textfileCollectorPath=/",): "is not a path of the host",
    ("prometheus.textfileCollectorPath=",): "prometheus.textfileCollectorPath is empty",
    ("hostPaths.podLogs=/var/log/",): "hostPaths.podLogs",
    ("sources.podLabels={team}",): "sources.podLabels needs sources.metadata",
    ("user.from={label:owner,namespace}",): 'user.from: "label:owner,namespace" wants labels',
    ("user.from=preset:kubeflow",): "needs sources.metadata",
    ("sources.metadata=kublet",): "value must be one of 'off', 'kubelet', 'apiserver'",
    ("sources.metadata=kubelet", "sources.kubelet.insecure=true"): "needs hostNetwork",
    ("image.digest=sha256:12",): "does not match pattern '^(sha256:[0-9a-f]{64})?$'",
    ("gpu.devices=all",): "leave it empty for all GPUs",
    ("gpu.devices={0,MIG-5d}",): "\"MIG-5d\" is neither the index nor the UUID",
    ("gpu.devices[0]=-1",): "'/gpu/devices/0': minimum: got -1, want 0",
    ("driver.hold=sometimes",): "value must be one of 'auto', 'always', 'never'",
    ("log.level=trace",): "value must be one of 'debug', 'info'",
    ("collection.mode=daemonset", "podMonitor.enabled=true", "serviceMonitor.enabled=true"):
        "each session counted twice",
    ("collection.mode=daemonset", "serviceMonitor.enabled=true", "service.enabled=false"):
        "serviceMonitor.enabled needs service.enabled",
    ("collection.mode=daemonset", "service.internalTrafficPolicy=Local"):
        'set service.clusterIP to "" as well',
    ("daemonset.port=70000",): "maximum: got 70,000, want 65,535",
    ("daemonset.idleWindow=soon",): "daemonset.idleWindow",
    ("tolerations=all",): "'/tolerations': got string, want null or array",
    ("sources.metadata=apiserver", "serviceAccount.create=false"):
        "serviceAccount.name to one of its own",
    ("namespaceOverride=my space",): "at '/namespaceOverride'",
    (f"{KEY}.{KEY}.enabled=true",): f"'/{KEY}'",
}


@pytest.mark.parametrize("values", REFUSED, ids=" ".join)
def test_wrong_values_are_refused_in_words(values):
    assert REFUSED[values] in refusal(*(f"--set={value}" for value in values))


def texts_in(thing):
    """All texts at any depth, keys included."""
    if isinstance(thing, dict):
        thing = [*thing.keys(), *thing.values()]
    if isinstance(thing, list):
        return {text for one in thing for text in texts_in(one)}
    return {thing} if isinstance(thing, str) else set()


def with_texts(text, mode):
    """Values with TEXT wherever a value is a free text."""
    return {
        "collection": {"mode": mode, "timeZone": text}, "nodeSelector": {text: text},
        "priorityClassName": text, "runtimeClassName": text, "imagePullSecrets": [text],
        "serviceAccount": {"name": text}, "image": {"repository": text, "tag": text},
        "sources": {
            "metadata": "kubelet", "podLabels": [text], "dcgm": {"url": text},
            "kubelet": {"address": text, "serverName": text},
        },
        "user": {"from": [text]}, "service": {"clusterIP": text},
        "daemonset": {"webConfig": {"secret": text, "key": text}},
        "podMonitor": {"enabled": True, "interval": text, "scrapeTimeout": text},
        "prometheusRule": {
            "enabled": True, "alerts": {"HighGPUUtilization": {"severity": text}},
        },
        "grafanaDashboard": {"enabled": True, "label": text},
    }


@pytest.mark.parametrize("mode", ["cronjob", "daemonset"])
@pytest.mark.parametrize(
    "text", ["x\nprivileged: true", "x #y", "x: y", 'x"y', "x'y", "007", "true", "*x", "{x}"])
def test_a_text_stays_a_text(text, mode, tmp_path):
    """Whatever YAML would make of it: nothing that is given as a name can say more."""
    def made(of):
        path = tmp_path / f"{of}.json"
        path.write_text(json.dumps(with_texts({"plain": "PLAIN", "odd": text}[of], mode)))
        return render(f"--values={path}")

    expected = {found.replace("PLAIN", text) for found in texts_in(made("plain"))}
    assert texts_in(made("odd")) == expected


def test_kubelet_metadata_needs_its_right():
    message = refusal("--set=sources.metadata=kubelet", version="1.32.4")
    assert "needs Kubernetes 1.33" in message and "set it to apiserver" in message


def test_every_value_is_in_the_schema_and_every_key_of_it_is_a_value():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def resolve(part):
        while "$ref" in part and part["$ref"] != "#":
            part = schema["definitions"][part["$ref"].rpartition("/")[2]]
        return part

    def check(values, part, path):
        part = resolve(part)
        if "properties" not in part:
            return
        assert set(values) == set(part["properties"]), path
        assert part.get("additionalProperties") is False or path == "global."
        for key, value in values.items():
            if isinstance(value, dict) and key not in (KEY, *OTHERS):
                check(value, part["properties"][key], f"{path}{key}.")

    check(values, schema, "")


# --- one by one ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "count", "stay"),
    [("1s", 51, 50), ("5s", 11, 50), ("7s", 8, 49), ("10s", 6, 50), ("15s", 4, 45), ("20s", 3, 40),
     ("30s", 2, 30), ("45s", 2, 45), ("50s", 2, 50), ("2500ms", 21, 50)],
)
def test_collections_fill_a_minute_and_leave_time_for_the_next_job(interval, count, stay):
    job = find(render(f"--set=collection.interval={interval}"), "CronJob")
    assert f"--count={count}" in collecting(job)["args"]
    assert job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == stay + 60


def test_long_runs_are_asked_for_by_count():
    job = find(render(*sets(collection__interval="2m", collection__count=5)), "CronJob")
    assert {"--interval=2m", "--count=5"} <= set(collecting(job)["args"])
    assert job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 8 * 60 + 60


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "gpu-sessions:0.1.0"),
        ({"image.registry": "r.io", "image.tag": "v2"}, "r.io/gpu-sessions:v2"),
        ({"image.registry": "r.io", "global.imageRegistry": "mirror:5000/x"},
         "mirror:5000/x/gpu-sessions:0.1.0"),
        ({"image.digest": "sha256:" + "a" * 64, "image.tag": "v2"},
         "gpu-sessions@sha256:" + "a" * 64),
    ],
)
def test_image(values, image):
    for mode in ("cronjob", "daemonset"):
        objects = render(*(f"--set={key}={value}" for key, value in values.items()),
                         f"--set=collection.mode={mode}", "--set=daemonset.textfile=true")
        for one in objects:
            if one["kind"] in ("CronJob", "DaemonSet", "Pod"):
                spec = pod_template(one)["spec"]
                used = [c["image"] for c in spec["containers"] + spec.get("initContainers", [])]
                assert set(used) == {image}


def test_pull_secrets_are_names_or_maps():
    spec = pod_template(find(render(
        "--set=global.imagePullSecrets={one}", "--set=imagePullSecrets[0].name=two",
        "--set=imagePullSecrets[1]=three"), "CronJob"))["spec"]
    assert spec["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}, {"name": "three"}]


def test_names():
    def name(*values):
        return find(render(*values, *DAEMONSET), "DaemonSet")["metadata"]["name"]

    assert name() == "gpu-monitoring-gpu-session-monitoring"
    assert name("--set=fullnameOverride=gpus") == "gpus"
    assert name("--set=nameOverride=monitoring") == "gpu-monitoring"
    assert name(f"--set=nameOverride={'x' * 47}-y") == "gpu-monitoring-" + "x" * 47


def test_namespace_override_is_everywhere():
    objects = render(f"--values={CHART / 'ci/daemonset-values.yaml'}")
    for one in objects:
        if not one["kind"].startswith("ClusterRole") and not one["metadata"]["name"].endswith("-more"):
            assert one["metadata"]["namespace"] == "observability", one["kind"]
    (subject,) = find(objects, "ClusterRoleBinding")["subjects"]
    assert subject["namespace"] == "observability"


@pytest.mark.parametrize("mode", ["cronjob", "daemonset"])
def test_no_label_of_the_operator_changes_what_is_selected(mode):
    selected = {"app.kubernetes.io/name": "mine", "app.kubernetes.io/instance": "mine",
                "app.kubernetes.io/component": "mine", "team": "platform"}
    values = [f"--set-string={where}.{key.replace('.', chr(92) + '.')}={value}"
              for where in ("podLabels", "commonLabels") for key, value in selected.items()]
    objects = render(*values, f"--set=collection.mode={mode}")
    one = find(objects, "CronJob" if mode == "cronjob" else "DaemonSet")
    labels = pod_template(one)["metadata"]["labels"]
    assert labels["team"] == "platform" and "mine" not in labels.values()
    if mode == "daemonset":
        for selector in (one["spec"]["selector"]["matchLabels"],
                         find(objects, "Service")["spec"]["selector"]):
            assert selector.items() <= labels.items()
    else:
        (term,) = pod_template(one)["spec"]["affinity"]["podAntiAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["labelSelector"]["matchLabels"].items() <= labels.items()


def test_the_job_keeps_off_its_own_pods_only():
    objects = render(*DAEMONSET) + render()
    (term,) = pod_template(find(objects, "CronJob"))["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"]
    wanted = term["labelSelector"]["matchLabels"].items()
    pods = [one for one in objects if one["kind"] in ("CronJob", "DaemonSet", "Pod")]
    hit = [one["kind"] for one in pods if wanted <= pod_template(one)["metadata"]["labels"].items()]
    assert hit == ["CronJob"] and term["topologyKey"] == "kubernetes.io/hostname"


def test_the_operators_affinity_stays():
    job = find(render(f"--values={CHART / 'ci/sources-values.yaml'}"), "CronJob")
    terms = pod_template(job)["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"]
    assert [term["labelSelector"]["matchLabels"].get("app") for term in terms] == ["trainer", None]


def test_a_failing_node_fails_alone():
    new = find(render("--set=collection.nodes=5"), "CronJob")["spec"]["jobTemplate"]["spec"]
    assert (new["completionMode"], new["backoffLimitPerIndex"]) == ("Indexed", 0)
    old = find(render("--set=collection.nodes=5", version="1.28.0"), "CronJob")
    old = old["spec"]["jobTemplate"]["spec"]
    assert old["backoffLimit"] == 5 and "completionMode" not in old
    assert new["completions"] == new["parallelism"] == old["completions"] == 5


# --- privileges ---------------------------------------------------------------------------

WORKLOADS = ("CronJob", "DaemonSet", "Pod")


@pytest.mark.parametrize("mode", ["cronjob", "daemonset"])
@pytest.mark.parametrize("more", [(), ("--set=sources.podResources=true",)], ids=["plain", "root"])
def test_no_container_has_a_capability_or_a_writable_root(mode, more):
    objects = render(f"--set=collection.mode={mode}", "--set=daemonset.textfile=true", *more)
    for one in objects:
        if one["kind"] not in WORKLOADS:
            continue
        spec = pod_template(one)["spec"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False and spec["hostPID"] is True
        assert "hostNetwork" not in spec
        for container in spec["containers"] + spec.get("initContainers", []):
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert not any("nvidia.com" in key for key in container["resources"]["limits"])


def user_of(one):
    spec = pod_template(one)["spec"]
    return (spec["securityContext"] | collecting(one)["securityContext"])["runAsUser"]


def test_only_the_kubelets_socket_wants_root():
    assert user_of(find(render(), "CronJob")) == 65532
    job = find(render("--set=sources.podResources=true"), "CronJob")
    assert user_of(job) == 0 and "initContainers" not in pod_template(job)["spec"]


def test_the_directory_is_prepared_for_the_collectors_group():
    job = find(render("--set=podSecurityContext.runAsGroup=2000"), "CronJob")
    (init,) = pod_template(job)["spec"]["initContainers"]
    assert init["args"][:2] == ["prepare-textfile", "--group=2000"]
    context = init["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (0, 2000)
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in init["env"]
    job = find(render("--set=prometheus.prepareDirectory=false"), "CronJob")
    assert "initContainers" not in pod_template(job)["spec"]
    daemon = find(render(*DAEMONSET), "DaemonSet")
    assert "initContainers" not in pod_template(daemon)["spec"]


def host_paths(one):
    return {volume["hostPath"]["path"] for volume in pod_template(one)["spec"]["volumes"]
            if "hostPath" in volume}


@pytest.mark.parametrize("mode", ["cronjob", "daemonset"])
def test_only_the_needed_host_paths_are_mounted_and_one_is_writable(mode):
    def workload(*values):
        kind = "CronJob" if mode == "cronjob" else "DaemonSet"
        return find(render(f"--set=collection.mode={mode}", *values), kind)

    textfile = {"/var/lib/node_exporter/textfile_collector"} if mode == "cronjob" else set()
    plain = {"/var/log/containers", "/etc/passwd"}
    assert host_paths(workload()) == plain | textfile
    nothing = sets(hostPaths__podLogs="", hostPaths__passwd="", prometheus__prepareDirectory="true")
    assert {v.get("hostPath", {}).get("path") for v in
            pod_template(workload(*nothing))["spec"].get("volumes", [])} == textfile
    more = host_paths(workload("--set=sources.podResources=true"))
    assert more == plain | textfile | {"/var/lib/kubelet/pod-resources"}
    ca = sets(sources__metadata="kubelet", sources__kubelet__caFile="/pki/kubelet.crt")
    assert host_paths(workload(*ca)) == plain | textfile | {"/pki/kubelet.crt"}
    for mount in collecting(workload(*ca))["volumeMounts"]:
        assert mount.get("readOnly") or mount["name"] == "textfile"


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        ("off", None),
        ("kubelet", [{"apiGroups": [""], "resources": ["nodes/pods"], "verbs": ["get"]}]),
        ("apiserver", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]),
    ],
)
def test_each_source_of_metadata_gets_its_right_and_a_token(source, rules):
    objects = render(f"--set=sources.metadata={source}", *DAEMONSET)
    volumes = pod_template(find(objects, "DaemonSet"))["spec"]["volumes"]
    tokens = [v for v in volumes if "projected" in v]
    assert find(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    if rules is None:
        assert not tokens and "ClusterRole" not in kinds(objects)
        return
    assert len(tokens) == 1
    assert find(objects, "ClusterRole")["rules"] == rules
    binding = find(objects, "ClusterRoleBinding")
    account = find(objects, "ServiceAccount")["metadata"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["name"],
                                    "namespace": account["namespace"]}]


def test_a_bare_off_is_off(tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text("sources: {metadata: off}\n")
    assert render(f"--values={values}") == render()


def egress_ports(*values):
    policy = find(render("--set=networkPolicy.enabled=true", *values), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    return [port["port"] for rule in policy.get("egress", []) for port in rule["ports"]]


def test_network_policy_lets_out_only_what_is_switched_on():
    assert egress_ports() == []
    assert egress_ports("--set=sources.metadata=kubelet") == [10250]
    assert egress_ports("--set=sources.metadata=apiserver") == [443, 6443]
    assert egress_ports("--set=sources.dcgm.url=http://$(HOST_IP):9400/metrics") == [9400]
    assert egress_ports("--set=sources.dcgm.url=http://dcgm.gpu-operator:9400/metrics") == [9400, 53, 53]
    assert egress_ports("--set=sources.dcgm.url=https://dcgm/metrics") == [443, 53, 53]


def test_network_policy_lets_in_only_scrapers():
    def ingress(*values):
        return find(render("--set=networkPolicy.enabled=true", *values), "NetworkPolicy")["spec"].get("ingress")

    assert ingress() is None
    assert ingress(*DAEMONSET) == [{"ports": [{"port": "metrics", "protocol": "TCP"}]}]
    (rule,) = ingress(*DAEMONSET, "--set=networkPolicy.from[0].ipBlock.cidr=10.0.0.0/8")
    assert rule["from"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


# --- the daemon ---------------------------------------------------------------------------


def test_probes_ask_what_a_probe_can_see():
    def probes(*values):
        container = collecting(find(render(*DAEMONSET, *values), "DaemonSet"))
        return container["livenessProbe"], container["readinessProbe"]

    health = {"path": "/healthz", "port": "metrics"}
    assert [probe["httpGet"] for probe in probes()] == [health, health]
    open_port = {"port": "metrics"}
    secret = "--set=daemonset.webConfig.secret=web"
    assert [probe["tcpSocket"] for probe in probes(secret)] == [open_port, open_port]
    own = sets(daemonset__readinessProbe__httpGet__path="/readyz",
               daemonset__readinessProbe__httpGet__port="metrics")
    liveness, readiness = probes(*own)
    assert readiness["httpGet"]["path"] == "/readyz" and "tcpSocket" not in readiness
    assert liveness["httpGet"] == health


def test_the_port_has_one_name_everywhere():
    objects = render(*DAEMONSET, "--set=daemonset.port=9999", "--set=podMonitor.enabled=true")
    container = collecting(find(objects, "DaemonSet"))
    assert container["ports"] == [{"name": "metrics", "containerPort": 9999, "protocol": "TCP"}]
    assert "--web.listen-address=:9999" in container["args"]
    (port,) = find(objects, "Service")["spec"]["ports"]
    assert (port["name"], port["targetPort"], port["port"]) == ("metrics", "metrics", 10105)
    (endpoint,) = find(objects, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "metrics"


@pytest.mark.parametrize("kind", ["podMonitor", "serviceMonitor"])
def test_monitors_keep_the_labels_of_the_page(kind):
    objects = render(*DAEMONSET, f"--set={kind}.enabled=true", f"--set={kind}.additionalLabels.release=kps")
    monitor = find(objects, kind[0].upper() + kind[1:])
    assert monitor["metadata"]["labels"]["release"] == "kps"
    (endpoint,) = monitor["spec"].get("podMetricsEndpoints") or monitor["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    by_action = {(r["action"], r.get("targetLabel") or r["regex"]) for r in endpoint["relabelings"]}
    assert by_action == {("replace", "instance"), ("replace", "node"), ("labeldrop", "pod|container")}
    labels = find(objects, "Service")["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_without_honored_labels_no_target_label_clashes_with_the_page():
    monitor = find(render(*DAEMONSET, *sets(podMonitor__enabled="true", podMonitor__honorLabels="false")),
                   "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert [r["targetLabel"] for r in endpoint["relabelings"]] == ["instance"]


def test_nothing_is_scraped_or_served_in_cronjob_mode():
    objects = render("--set=podMonitor.enabled=true")
    assert kinds(objects) == ["CronJob", "Pod", "ServiceAccount"]


def test_web_config_is_a_mounted_secret():
    values = sets(daemonset__webConfig__secret="web", daemonset__webConfig__tls="true",
                  podMonitor__enabled="true")
    objects = render(*DAEMONSET, *values)
    daemon = find(objects, "DaemonSet")
    assert "--web.config.file=/etc/gpu-sessions/web/web-config.yml" in collecting(daemon)["args"]
    (volume,) = [v for v in pod_template(daemon)["spec"]["volumes"] if "secret" in v]
    assert volume["secret"] == {"secretName": "web", "defaultMode": 0o440}
    (endpoint,) = find(objects, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["scheme"] == "https"
    test = find(objects, "Pod")
    assert not [v for v in pod_template(test)["spec"]["volumes"] if "secret" in v]


# --- what lies beside the templates -------------------------------------------------------


def test_the_license_is_the_projects():
    assert (CHART / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def readme_commands():
    """The `helm upgrade` commands of the README, as flags."""
    text = (CHART / "README.md").read_text()
    joined = re.sub(r"\\\n\s*", "", text)
    return [shlex.split(line)[5:] for line in re.findall(r"^    (helm upgrade --install .*)$", joined, re.M)]


def test_commands_of_the_readme_render():
    commands = readme_commands()
    assert len(commands) == 3
    made = [kinds(render(*flags)) for flags in commands]
    assert "CronJob" in made[0] and "DaemonSet" in made[1] and "DaemonSet" in made[2]
    assert {"PodMonitor", "PrometheusRule", "ConfigMap"} <= set(made[1])


# Maps whose keys are Kubernetes' or the operator's.
FREE = ("securityContext", "daemonset.readinessProbe", "podMonitor.additionalLabels",
        "prometheusRule.additionalLabels")


def test_values_that_the_readme_names_exist():
    text = (CHART / "README.md").read_text()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    words = set(re.findall(r"[` ]([a-z][A-Za-z]+(?:\.[A-Za-z]+)+)(?==|`)", text))
    paths = {word for word in words if word.split(".")[0] in values and not word.startswith(FREE)}
    assert len(paths) > 15
    assert [path for path in paths if not has_value(values, path)] == []
