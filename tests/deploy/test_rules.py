"""The chart's rules: valid, each tested by promtool, each documented, and the same without Helm.

The tests that promtool runs are the files in tests/deploy/rules.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from chart_rules import render, rules_file
from harness import ROOT, find_program

TESTS = sorted((Path(__file__).parent / "rules").glob("*.yml"))
PLAIN_FILE = ROOT / "deploy/prometheus/gpu-sessions.rules.yml"
RUNBOOKS = ROOT / "docs/runbooks"
# Every alert is there only where it is known how many GPUs a node should have.
ALL = "gpu.count=8"


def promtool(*arguments):
    done = subprocess.run(
        [find_program("promtool"), *map(str, arguments)], capture_output=True, text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def rules(*settings):
    return [rule for group in yaml.safe_load(rules_file(*settings))["groups"] for rule in group["rules"]]


@pytest.fixture(scope="session")
def all_rules():
    return rules(ALL)


def names(all_rules, kind):
    return [rule[kind] for rule in all_rules if kind in rule]


def alerts(all_rules):
    return {rule["alert"]: rule for rule in all_rules if "alert" in rule}


@pytest.mark.parametrize("settings", [(), (ALL,)], ids=["default", "all"])
def test_promtool_check_rules(settings, tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(rules_file(*settings))
    status, said = promtool("check", "rules", "--lint-fatal", path)
    assert status == 0, said


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtool_test_rules(path, tmp_path):
    (tmp_path / "gpu-sessions.rules.yml").write_text(rules_file(ALL))
    (tmp_path / path.name).write_text(path.read_text())
    status, said = promtool("test", "rules", tmp_path / path.name)
    assert status == 0, said


def test_each_rule_is_tested(all_rules):
    text = "".join(path.read_text() for path in TESTS)
    asked = " ".join(re.findall(r"expr: ?'?(.*)", text))
    for name in names(all_rules, "record"):
        assert re.search(rf"(?<![\w:]){name}(?![\w:])", asked), name
    for name in names(all_rules, "alert"):
        assert f"alertname: {name}\n" in text, name


def test_each_record_is_made_once(all_rules):
    recorded = names(all_rules, "record")
    assert len(recorded) == len(set(recorded))
    assert all(re.fullmatch(r"\w+:\w+:\w+", name) for name in recorded)


# --- what the chart's values do -----------------------------------------------------------


def test_default_is_no_rule():
    chart = ROOT / "deploy/charts/gpu-session-monitoring"
    done = subprocess.run(
        [ROOT / ".tools/bin/helm", "template", "x", chart], capture_output=True, text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "PrometheusRule" not in done.stdout


def test_where_prometheus_looks_for_rules():
    made = yaml.safe_load(render(
        "prometheusRule.namespace=observing",
        "prometheusRule.additionalLabels.release=kube-prometheus-stack",
    ))
    assert made["metadata"]["namespace"] == "observing"
    assert made["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_each_alert_by_itself(all_rules):
    """Switched off, or with another threshold, wait and severity."""
    one = "prometheusRule.alerts.LongRunningGPUProcess"
    assert "LongRunningGPUProcess" not in alerts(rules(f"{one}.enabled=false"))
    alert = alerts(rules(f"{one}.threshold=72", f"{one}.for=1m", f"{one}.severity=critical"))[
        "LongRunningGPUProcess"
    ]
    assert alert["expr"].endswith("> 72 * 3600")
    assert (alert["for"], alert["labels"]) == ("1m", {"severity": "critical"})
    values = yaml.safe_load((ROOT / "deploy/charts/gpu-session-monitoring/values.yaml").read_text())
    assert set(values["prometheusRule"]["alerts"]) == set(alerts(all_rules))


def test_no_alert_at_all():
    off = [f"prometheusRule.alerts.{name}.enabled=false" for name in alerts(rules(ALL))]
    assert [rule for rule in rules(ALL, *off) if "alert" in rule] == []


def test_missing_devices_only_where_it_is_known_how_many():
    assert "GPUDeviceMissing" not in alerts(rules())
    assert "< 4" in alerts(rules("gpu.count=4"))["GPUDeviceMissing"]["expr"]


def test_age_of_rows():
    text = rules_file("prometheusRule.maxAgeSeconds=4000")
    assert text.count("time() - 4000") == 2 and "[6h]) > 4000" in text and "300" not in text


@pytest.mark.parametrize("setting", [
    "alerts.LongRunningGPUProcess.threshold=-1", "alerts.LongRunningGPUProcess.for=soon",
    "alerts.LongRunningProcess={}", "alerts.GPUDeviceMissing.threshold=3",
    "maxAge=5m", "maxAgeSeconds=5m", "runbookUrl=wiki",
])
def test_wrong_values_are_refused(setting):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render(f"prometheusRule.{setting}")
    # Helm names the place with dots or slashes.
    assert setting.split("=")[0].split(".")[-1] in refused.value.stderr


# --- texts --------------------------------------------------------------------------------


def test_texts_of_alerts(all_rules):
    for name, alert in alerts(all_rules).items():
        texts = alert["annotations"]
        assert set(texts) == {"summary", "summary_ko", "description", "description_ko"}, name
        for key, text in texts.items():
            assert text.endswith("."), f"{name}: {key}"
            assert bool(re.search("[가-힣]", text)) == key.endswith("_ko"), f"{name}: {key}"
        assert "$labels" not in texts["summary"] + texts["summary_ko"], name


def test_no_alert_for_each_process(all_rules):
    for name, alert in alerts(all_rules).items():
        assert "$labels.pid" not in str(alert["annotations"]), name
        without_joins = re.sub(r"on \([^)]*\)", "", alert["expr"])
        if "session:" in without_joins:
            assert re.search(r"(sum|max) by \([^)]*\)", without_joins), name


def test_waits_are_two_scrapes_or_more(all_rules):
    """Of the slowest usual scrape interval, a minute."""
    for name, alert in alerts(all_rules).items():
        number, unit = re.fullmatch(r"(\d+)([mh])", alert["for"]).groups()
        assert unit == "h" or int(number) >= 2, name


def test_runbook_of_each_alert(all_rules):
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(alerts(all_rules))
    for name in alerts(all_rules):
        text = (RUNBOOKS / f"{name}.md").read_text()
        assert text.startswith(f"# {name}\n"), name
        assert re.findall(r"^## (.*)", text, re.M) == [
            "Meaning", "Impact", "Diagnosis", "Mitigation"
        ], name
        assert re.search("[가-힣]", text.partition("\n## ")[0]), f"{name}: Korean summary"
        assert "```" in text, f"{name}: commands"


def test_runbook_urls():
    base = "https://example.com/runbooks/"
    for name, alert in alerts(rules(ALL, f"prometheusRule.runbookUrl={base}")).items():
        assert alert["annotations"]["runbook_url"] == f"{base}{name}.md"


def test_documentation_is_complete(all_rules):
    page = (ROOT / "docs/rules.md").read_text()
    # The table of old and new queries is no list of rules.
    text = re.sub(r"\n## The original queries\n.*?(?=\n## )", "", page, flags=re.S)
    documented = re.findall(r"^\| (`[^|]*) \|", text, re.M)
    listed = [name for cell in documented for name in re.findall(r"`([\w:]+)`", cell)]
    assert sorted(listed) == sorted(names(all_rules, "record") + names(all_rules, "alert"))
    for name, alert in alerts(all_rules).items():
        assert re.search(rf"^\| `{name}` .*{alert['labels']['severity']} \|$", page, re.M), name


def test_series_that_pages_name_exist(all_rules):
    for path in (ROOT / "docs/rules.md", *RUNBOOKS.glob("*.md")):
        named = set(re.findall(r"\b[a-z]+:gpu_\w+:\w+", path.read_text()))
        assert named <= set(names(all_rules, "record")), path.name


def test_plain_file_is_what_helm_renders():
    """For Prometheus without the operator; `make golden` writes it."""
    expected = (
        "# Recording rules and alerts, as the chart renders them with its own values.\n"
        "# Written by `make golden`; docs/rules.md explains them.\n" + rules_file()
    )
    if os.environ.get("UPDATE_GOLDEN"):
        PLAIN_FILE.write_text(expected)
    assert PLAIN_FILE.read_text() == expected
