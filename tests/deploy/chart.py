"""Rendering the chart with a real Helm, and finding things in what came out."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import yaml

from harness import ROOT

CHART = ROOT / "deploy/charts/gpu-session-monitoring"
HELM = ROOT / ".tools/bin/helm"
HELM3 = ROOT / ".tools/bin/helm3"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
NEWEST = "1.37.0"


def helm(*args, program=HELM, **more):
    """A run of Helm that knows no cluster and no settings of this machine."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "HELM_CACHE_HOME": "/tmp",
                   "KUBECONFIG": "/nonexistent"}
    return subprocess.run(
        [program, *map(str, args)], capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, env=environment | more,
    )


@functools.cache
def render_text(*args, program=HELM, chart=CHART, version=NEWEST):
    """What `helm template` makes of the chart as release gpu-monitoring in monitoring."""
    done = helm("template", "gpu-monitoring", chart, "--namespace=monitoring",
                f"--kube-version={version}", *args, program=program)
    assert done.returncode == 0, f"{args}: {done.stderr}"
    return done.stdout


def render(*args, **more):
    """The same as a list of objects, which the caller may change."""
    return [found for found in yaml.load_all(render_text(*args, **more), yaml.CSafeLoader) if found]


def refusal(*args, program=HELM, version=NEWEST):
    """The message with which the chart refuses values."""
    done = helm("template", "gpu-monitoring", CHART, f"--kube-version={version}", *args,
                program=program)
    assert done.returncode != 0, f"{args} was not refused"
    return done.stderr


def sets(**values):
    """Flags for Helm of values by key, with __ for a dot."""
    return tuple(f"--set={key.replace('__', '.')}={value}" for key, value in values.items())


def find(objects, kind, suffix=""):
    """The one object of a kind (whose name ends in SUFFIX)."""
    found = [one for one in objects
             if one["kind"] == kind and one["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, f"{len(found)} of {kind} in {[one['kind'] for one in objects]}"
    return found[0]


def has_value(values, key):
    """Whether the words of KEY, with dots between, lead to one of VALUES, or into a map of the
    operator's own."""
    for word in key.split("."):
        if values == {}:
            return True
        if word not in values:
            return False
        values = values[word]
    return True


def kinds(objects):
    return sorted(one["kind"] for one in objects)


def pod_template(one):
    """The pod of a CronJob, DaemonSet or Pod."""
    if one["kind"] == "CronJob":
        one = one["spec"]["jobTemplate"]
    return one if one.get("kind") == "Pod" else one["spec"]["template"]


def collecting(one):
    """The collecting container of a CronJob, DaemonSet or Pod."""
    (container,) = pod_template(one)["spec"]["containers"]
    return container


def original_chart(folder):
    """A copy of the chart whose defaults are only those that the first system had: what
    --reuse-values gives the templates."""
    copy = Path(folder) / "gpu-session-monitoring"
    shutil.copytree(CHART, copy)
    (copy / "values.yaml").write_text((CHART / "ci/cronjob-values.yaml").read_text())
    return copy
