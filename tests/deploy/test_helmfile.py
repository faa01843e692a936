"""The helmfile in every environment, by the real Helmfile and the real Helm, without a cluster
and without the internet.

The charts of others are stand-ins (charts/README.md), given through the door that clusters
without the internet use: chartsDirectory.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request

import pytest
import yaml

from deploy_script import RECORDER
from harness import Program, ROOT, background, find_build, find_program, free_port, wait_until

ENVIRONMENTS = ("default", "dev", "prod")
COMMON = yaml.safe_load((ROOT / "deploy/environments/common/values.yaml").read_text())
VERSIONS = {
    "kube-prometheus-stack": COMMON["prometheus"]["version"],
    "gpu-operator": COMMON["gpu-operator"]["version"],
}
APPS = {
    "prometheus": ("monitoring", "prometheus-community/kube-prometheus-stack"),
    "gpu-operator": ("gpu-operator", "nvidia/gpu-operator"),
    "gpu-session-monitoring": ("monitoring", "./charts/gpu-session-monitoring"),
}


class Stack:
    def __init__(self, directory):
        self.directory = directory
        self.charts = directory / "charts"
        for chart, version in VERSIONS.items():
            source = ROOT / "tests/deploy/charts" / chart
            shutil.copytree(source, self.charts / f"{chart}-{version}" / chart)

    @property
    def environment(self):
        """Helm's own folders are of the test, and no cluster is known."""
        homes = {
            f"HELM_{name}_HOME": str(self.directory / name.lower())
            for name in ("CACHE", "CONFIG", "DATA")
        }
        path = f"{ROOT / '.tools/bin'}:{os.environ['PATH']}"
        return os.environ | homes | {
            "PATH": path, "KUBECONFIG": "/dev/null", "HELMFILE_UPGRADE_NOTICE_DISABLED": "true",
            "HELMFILE_CACHE_HOME": str(self.directory / "helmfile"),
            "HELMFILE_ENVIRONMENT": "default",
        }

    def tool(self, *words, expect=0, **more):
        done = subprocess.run(
            list(map(str, words)), capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL, **({"env": self.environment} | more),
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def script(self, *words, **more):
        return self.tool(ROOT / "deploy_astrago.sh", *words, **more)

    def helmfile(self, environment, *words, settings=(), **more):
        """SETTINGS are NAME=VALUE."""
        given = [word for each in settings for word in ("--state-values-set", each)]
        return self.tool(
            "helmfile", "-f", ROOT / "deploy/helmfile.yaml.gotmpl", "-e", environment, *given,
            *words, **more,
        )

    def manifests(self, environment, *words):
        text = self.script("template", "-e", environment, "--charts", self.charts, *words)
        return [document for document in yaml.safe_load_all(text) if document]

    def values(self, environment, app, *settings, directory):
        """What Helmfile gives the chart of APP."""
        file = directory / "values.yaml"
        self.helmfile(
            environment, "-l", f"app={app}", "--skip-deps", "write-values",
            f"--output-file-template={file}", settings=settings,
        )
        return yaml.safe_load(file.read_text())


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    return Stack(tmp_path_factory.mktemp("stack"))


def find(manifests, kind, name):
    found, = (m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)
    return found


def node_exporter(manifests):
    daemonset = find(manifests, "DaemonSet", "prometheus-prometheus-node-exporter")
    pod = daemonset["spec"]["template"]["spec"]
    return pod, pod["containers"][0]


# --- every environment --------------------------------------------------------------------


def test_these_are_all_environments():
    shipped = {path.parent.name for path in (ROOT / "deploy/environments").glob("*/values.yaml")}
    assert set(ENVIRONMENTS) | {"common"} <= shipped


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_is_the_full_stack(stack, environment):
    state = yaml.safe_load(stack.helmfile(environment, "build"))
    assert {
        release["name"]: (release["namespace"], release["chart"]) for release in state["releases"]
    } == APPS
    assert {
        release["name"]: release["version"] for release in state["releases"] if "version" in release
    } == {app: COMMON[app]["version"] for app in ("prometheus", "gpu-operator")}
    for release in state["releases"]:
        assert release["labels"]["app"] == release["name"]
        assert release["condition"] == f"{release['name']}.enabled"
    assert {repository["name"]: repository["url"] for repository in state["repositories"]} == {
        "prometheus-community": "https://prometheus-community.github.io/helm-charts",
        "nvidia": "https://helm.ngc.nvidia.com/nvidia",
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_renders_and_lints(stack, environment):
    manifests = stack.manifests(environment)
    assert {"DaemonSet", "Prometheus", "ConfigMap"} <= {m["kind"] for m in manifests}
    stack.script("lint", "-e", environment, "--charts", stack.charts)


def test_an_unknown_environment_is_an_error(stack):
    stack.helmfile("nowhere", "build", expect=1)


@pytest.mark.parametrize("app", APPS)
def test_an_app_alone_is_rendered_alone(stack, app):
    listed = json.loads(stack.helmfile("default", "-l", f"app={app}", "list", "--output", "json"))
    assert [release["name"] for release in listed] == [app]


def test_our_app_alone_wants_nobody_elses_chart(stack):
    stack.script("template", "gpu-session-monitoring")


@pytest.mark.parametrize("app", APPS)
def test_an_app_can_be_switched_off(stack, app):
    settings = [f"{app}.enabled=false"]
    listed = json.loads(stack.helmfile("default", "list", "--output", "json", settings=settings))
    assert {release["name"] for release in listed if release["enabled"]} == set(APPS) - {app}
    # Nor is its repository asked.
    state = yaml.safe_load(stack.helmfile("default", "build", settings=settings))
    names = {APPS[other][1].split("/")[0] for other in set(APPS) - {app}} - {"."}
    assert {repository["name"] for repository in state["repositories"]} == names


def test_an_apps_values_go_to_its_chart(stack, tmp_path):
    values = stack.values(
        "default", "gpu-session-monitoring",
        "gpu-session-monitoring.values.collection.mode=daemonset", directory=tmp_path,
    )
    assert values["collection"] == {"mode": "daemonset"}
    assert values["prometheusRule"] == {
        "enabled": True, "additionalLabels": {"release": "prometheus"}
    }
    assert values["grafanaDashboard"] == {"enabled": True}
    for monitor in ("podMonitor", "serviceMonitor"):
        assert values[monitor] == {"additionalLabels": {"release": "prometheus"}}


def test_a_value_that_a_chart_does_not_know_is_refused(stack):
    """By the stand-in, as a proof that it looks."""
    stack.helmfile(
        "default", "template", expect=1,
        settings=[f"chartsDirectory={stack.charts}", "gpu-operator.values.drivers.enabled=false"],
    )


# --- what goes to whom --------------------------------------------------------------------


def test_one_value_is_the_textfile_directory_of_all(stack, tmp_path):
    pod, container = node_exporter(stack.manifests("prod", "--textfile-dir", "/srv/textfiles"))
    assert pod["volumes"] == [
        {"name": "textfile", "hostPath": {"path": "/srv/textfiles", "type": "DirectoryOrCreate"}}
    ]
    assert container["volumeMounts"] == [{
        "name": "textfile", "mountPath": "/srv/textfiles", "readOnly": True,
        "mountPropagation": "HostToContainer",
    }]
    assert "--collector.textfile.directory=/srv/textfiles" in container["args"]
    ours = stack.values(
        "prod", "gpu-session-monitoring", "textfileDirectory=/srv/textfiles", directory=tmp_path
    )
    assert ours["prometheus"] == {"textfileCollectorPath": "/srv/textfiles"}


def test_the_directory_is_the_charts_own_where_nothing_is_said(stack, tmp_path):
    chart = yaml.safe_load((ROOT / "deploy/charts/gpu-session-monitoring/values.yaml").read_text())
    ours = stack.values("default", "gpu-session-monitoring", directory=tmp_path)
    assert ours["prometheus"].items() <= chart["prometheus"].items()


def test_the_registry_is_that_of_our_image_alone(stack, tmp_path):
    """Nobody has pushed the images of others there who only has somewhere to push ours."""
    _, container = node_exporter(stack.manifests("prod", "--registry", "reg.local:5000/gpu"))
    assert container["image"] == "quay.io/prometheus/node-exporter"
    ours = stack.values(
        "prod", "gpu-session-monitoring", "imageRegistry=reg.local:5000/gpu", directory=tmp_path
    )
    assert ours["image"] == {"registry": "reg.local:5000/gpu"}


def test_a_mirror_of_all_images_reaches_prometheus(stack):
    """As the README says of clusters without the internet."""
    setting = "prometheus.values.global.imageRegistry=mirror.local"
    _, container = node_exporter(stack.manifests("prod", "--", "--state-values-set", setting))
    assert container["image"] == "mirror.local/prometheus/node-exporter"


def test_without_a_registry_none_is_named(stack, tmp_path):
    assert "image" not in stack.values("prod", "gpu-session-monitoring", directory=tmp_path)


def test_prometheus_takes_all_rules_and_monitors(stack):
    spec = find(stack.manifests("default"), "Prometheus", "prometheus")["spec"]
    assert spec == {"ruleSelector": {}, "serviceMonitorSelector": {}, "podMonitorSelector": {}}


def test_prod_keeps_its_data(stack):
    spec = find(stack.manifests("prod"), "Prometheus", "prometheus")["spec"]
    assert spec["retention"] == "30d"
    assert "storage" in spec["storage"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]


@pytest.mark.parametrize("is_there", (True, False))
def test_the_runtime_class_is_named_where_the_operator_makes_it(stack, tmp_path, is_there):
    values = stack.values(
        "default", "gpu-session-monitoring", f"gpu-operator.enabled={str(is_there).lower()}",
        directory=tmp_path,
    )
    assert values.get("runtimeClassName") == ("nvidia" if is_there else None)


def test_node_exporter_understands_its_arguments(stack, tmp_path):
    """The real one, started with exactly these, serves what the program wrote."""
    textfiles = tmp_path / "textfiles"
    textfiles.mkdir()
    program = Program(find_build() / "gpu-sessions", tmp_path)
    node = program.simulate(tmp_path / "node", "default")
    assert node.collect("--textfile", textfiles / "gpu_sessions.prom").returncode == 0

    _, container = node_exporter(stack.manifests("default", "--textfile-dir", textfiles))
    port = free_port()
    command = [
        find_program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}",
        *container["args"],
    ]

    def page():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    with background(command, tmp_path / "node-exporter.log"):
        lines = wait_until(page, "node-exporter answers").splitlines()
    assert "gpu_total_sessions 8" in lines
    assert "node_textfile_scrape_error 0" in lines
    file = textfiles / "gpu_sessions.prom"
    assert any(line.startswith(f'node_textfile_mtime_seconds{{file="{file}"}}') for line in lines)
    log = (tmp_path / "node-exporter.log").read_text()
    for excluded in ("mount-points-exclude", "fs-types-exclude"):
        assert f"Parsed flag --collector.filesystem.{excluded}" in log


# --- sync and destroy ---------------------------------------------------------------------

# Answers for a cluster; everything else goes to the real Helm.
HELM_ON_A_CLUSTER = """
if sys.argv[1] in ("upgrade", "delete", "diff"):
    sys.exit(0)
if sys.argv[1:3] == ["plugin", "list"]:
    print("diff\\t3.9.0\\tPreview helm upgrade changes as a diff")
    sys.exit(0)
if sys.argv[1] == "list":
    # That all releases are there: otherwise nothing would be uninstalled.
    name = next(word for word in sys.argv if word.startswith("^")).strip("^$")
    print(f"NAME\\n{name}\\tmonitoring\\t1\\tnow\\tdeployed\\tchart-1\\t1")
    sys.exit(0)
import os
os.execv(HELM, [HELM, *sys.argv[1:]])
"""


@pytest.fixture
def cluster(stack, tmp_path):
    """cluster(*words) → what the script had helm and kubectl do: [(program, words)]."""
    programs = tmp_path / "bin"
    programs.mkdir()
    helm = shutil.which("helm", path=stack.environment["PATH"])
    write_program(programs / "helm", f"{RECORDER}HELM = {helm!r}\n{HELM_ON_A_CLUSTER}")
    keep = "(me.parent / 'manifest').write_text(sys.stdin.read())"
    write_program(programs / "kubectl", f"{RECORDER}{keep}\n")
    environment = stack.environment | {"PATH": f"{programs}:{stack.environment['PATH']}"}

    def run(*words):
        stack.script(*words, "--charts", stack.charts, env=environment)
        calls = map(json.loads, (programs / "calls").read_text().splitlines())
        return [
            (name, words) for name, *words in calls
            if name == "kubectl" or words[0] in ("upgrade", "delete", "diff")
        ]

    run.manifest = programs / "manifest"
    return run


def write_program(path, text):
    path.write_text(text)
    path.chmod(0o755)


def releases(calls):
    return [next(word for word in words if word in APPS) for name, words in calls if name == "helm"]


def test_sync_brings_up_first_what_ours_builds_on(cluster):
    calls = cluster("sync")
    assert sorted(releases(calls)) == sorted(APPS)
    assert releases(calls)[-1] == "gpu-session-monitoring"
    for name, words in calls:
        if name == "helm":
            assert words[:2] == ["upgrade", "--install"] and "--wait" in words
    # Each namespace is labelled before what goes there is installed.
    assert calls[0][0] == "kubectl"
    assert sum(name == "kubectl" for name, _ in calls) == len(APPS)


def test_sync_of_one_app_touches_no_other(cluster):
    calls = cluster("sync", "gpu-session-monitoring")
    assert releases(calls) == ["gpu-session-monitoring"]
    (kubectl, words), (_, helm) = calls
    assert kubectl == "kubectl" and words == [
        "apply", "--server-side", "--field-manager=gpu-session-monitoring", "-f", "-"
    ]
    assert helm[helm.index("--namespace") + 1] == "monitoring"
    namespace = yaml.safe_load(cluster.manifest.read_text())
    assert (namespace["kind"], namespace["metadata"]["name"]) == ("Namespace", "monitoring")
    assert namespace["metadata"]["labels"] == {
        f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")
    }


def test_namespaces_can_be_left_to_somebody_else(stack):
    state = yaml.safe_load(stack.helmfile("default", "build", settings=["labelNamespaces=false"]))
    assert not any(release.get("hooks") for release in state["releases"])


def test_a_context_that_is_written_down_is_used(stack):
    state = yaml.safe_load(stack.helmfile("default", "build", settings=["kubeContext=seoul-1"]))
    assert state["helmDefaults"]["kubeContext"] == "seoul-1"
    for release in state["releases"]:
        assert release["hooks"][0]["args"][1] == "seoul-1"


def test_diff_counts_the_nodes_as_sync_does(cluster):
    (program, words), = cluster("diff", "gpu-session-monitoring")
    assert program == "helm" and "--dry-run=server" in words


def test_destroy_removes_ours_first(cluster):
    calls = cluster("destroy", "--yes")
    assert sorted(releases(calls)) == sorted(APPS)
    assert releases(calls)[0] == "gpu-session-monitoring"


def test_destroy_of_one_app_touches_no_other(cluster):
    calls = cluster("destroy", "gpu-session-monitoring", "--yes")
    assert releases(calls) == ["gpu-session-monitoring"]


# --- without the internet -----------------------------------------------------------------


@pytest.fixture
def repository(stack, tmp_path):
    """The address of a chart repository on this machine that has the stand-ins."""
    served = tmp_path / "repository"
    for chart, version in VERSIONS.items():
        source = ROOT / "tests/deploy/charts" / chart
        stack.tool("helm", "package", source, "--version", version, "--destination", served)
    stack.tool("helm", "repo", "index", served)
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def answers():
        try:
            return urllib.request.urlopen(f"{url}/index.yaml", timeout=10).status == 200
        except OSError:
            return False

    command = [
        sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", served
    ]
    with background(command, tmp_path / "repository.log"):
        wait_until(answers, "the chart repository answers")
        yield url


def test_the_readmes_commands_lay_out_what_charts_wants(stack, repository, tmp_path):
    readme = (ROOT / "deploy/README.md").read_text()
    commands = re.findall(r"^ +(helm pull .*)$", readme, re.M)
    assert len(commands) == len(VERSIONS)
    for command in commands:
        command = re.sub(r"https://\S+", repository, command)
        stack.tool(*command.split(), cwd=tmp_path, env=stack.environment)
    stack.script("template", "--charts", tmp_path / "charts-of-others")


def test_what_the_readme_says_of_versions_is_so(stack):
    readme = (ROOT / "deploy/README.md").read_text()
    for chart, version in VERSIONS.items():
        assert f"{chart} --version {version} " in readme
