"""The rules as Helm renders them from the chart, for Prometheus without the operator."""

import subprocess

from harness import ROOT

CHART = ROOT / "deploy/charts/gpu-session-monitoring"
TEMPLATE = "templates/prometheusrule.yaml"


def render(*settings):
    """The PrometheusRule; SETTINGS as for --set."""
    values = [word for setting in settings for word in ("--set", setting)]
    return subprocess.run(
        [ROOT / ".tools/bin/helm", "template", "gpu-monitoring", CHART, "--show-only", TEMPLATE,
         "--set", "prometheusRule.enabled=true", *values],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout


def rules_file(*settings):
    """What stands under `spec:`, which is what a rules file of Prometheus holds."""
    lines = render(*settings).partition("\nspec:\n")[2].splitlines()
    return "".join(line.removeprefix("  ") + "\n" for line in lines)
