"""Every query of the dashboards, on a real Prometheus that has the chart's recording rules and
has scraped the simulated node in one of the two ways; and what Grafana makes of the answers."""

import contextlib
import json
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from chart_rules import CHART, rules_file
from harness import ROOT, free_port
from kubelet import Kubelet, pod, pods
from real_prometheus import running_prometheus
from real_ways import make_node, running_daemon, running_node_exporter
from test_metrics_doc import documented, labels_of

FOLDER = CHART / "dashboards"
TOOL = ROOT / "tests/deploy/tools/grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
NAMES = ("gpu-sessions-node", "gpu-sessions-overview", "gpu-sessions-users")

# What the simulated node has nothing of: (panel, legend) and why, in one way or both.
TOLD = ("Devices", "activity not known"), "its driver tells of every session"
WITHOUT_DATA = {
    "daemon": dict([TOLD]),
    "textfile": dict([
        TOLD,
        (("Sessions begun and ended", "begun"), "only the daemon counts"),
        (("Sessions begun and ended", "ended"), "only the daemon counts"),
    ]),
}


def all_panels(dashboard):
    """Those of collapsed rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def drawn(dashboard):
    return [panel for panel in all_panels(dashboard) if panel["type"] != "row"]


def targets(dashboard):
    return [(panel, target) for panel in drawn(dashboard) for target in panel["targets"]]


def variables(dashboard):
    return [each for each in dashboard["templating"]["list"] if each["type"] == "query"]


def expressions(dashboard):
    """All PromQL: of panels, variables and annotations."""
    yield from (target["expr"] for _, target in targets(dashboard))
    yield from (label_values(each)[0] for each in variables(dashboard))
    yield from (each["expr"] for each in dashboard["annotations"].get("list", []))


def label_values(variable):
    """(series, label) of a query label_values(series, label)."""
    return re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()


# --- what was scraped ---------------------------------------------------------------------


def allocations(node):
    """GPU 2 and a MIG device were given to pods that do not use them; GPU 0 is used by others
    than its pod too."""
    uuid = {device["gpu"]: device["uuid"] for device in node.json()["devices"]}

    def given(namespace, name, container, *gpus):
        return pod(namespace, name, **{container: [("nvidia.com/gpu", *(uuid[g] for g in gpus))]})

    return pods(
        given("ml-team", "llm-train-worker-0", "pytorch", "0"),
        given("vision", "detector-7d9c6b5f4-x2x9k", "server", "1"),
        given("vision", "detector-7d9c6b5f4-p8wq2", "server", "1"),
        given("ml-team", "waits-0", "main", "2"),
        given("ml-team", "notebook-0", "notebook", "3_2_0"),
        given("research", "sweep-3-abcde", "trial", "3_3_0"),
        given("research", "waits-1", "main", "3_9_0"),
    )


# As in a cluster: the target has labels of the pod that was scraped.
JOB = """
  - job_name: node
    honor_labels: {honor}
    static_configs:
      - targets: ["127.0.0.1:{port}"]
        labels: {{namespace: monitoring, pod: exporter-x, container: exporter}}
"""


@pytest.fixture(scope="module", params=["textfile", "daemon"])
def scraped(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("scraped")
    (directory / "textfiles").mkdir()
    node, port = make_node(directory), free_port()
    node = replace(node, flags=(*node.flags, "--node=gpu-1"))
    kubelet = Kubelet(node, allocations(node))
    is_daemon = request.param == "daemon"
    way = (
        running_daemon(node, port) if is_daemon else
        running_node_exporter(node, directory / "textfiles/gpu_sessions.prom", port)
    )
    job = JOB.format(port=port, honor=str(is_daemon).lower())
    with contextlib.ExitStack() as stack:
        stack.callback(kubelet.stop)
        stack.enter_context(way)
        prometheus = stack.enter_context(
            running_prometheus(directory / "prometheus", job, rules=rules_file())
        )
        prometheus.wait(
            "count(session:gpu_process_info:max == 1) == 8 and on () node:gpu_session_source_up:min",
            "the rules have run, to the last one",
        )
        if is_daemon:
            prometheus.wait("count_over_time(device:gpu_sessions_started_total:max[5m]) > 1", "two evaluations")
        yield SimpleNamespace(
            prometheus=prometheus, way=request.param, sessions=node.json()["sessions"]
        )


def filled_in(expression, **chosen):
    """The variables as Grafana fills them in: all, unless CHOSEN."""
    expression = expression.replace("$__rate_interval", "5m")
    return re.sub(r"\$([a-z]+)", lambda match: chosen.get(match[1], ".*"), expression)


def ask(prometheus, target, **chosen):
    """The answer's rows without those that stand for "n/a"."""
    query = filled_in(target["expr"], **chosen)
    if target["instant"]:
        rows = prometheus.get("query", query=query)["result"]
        return [row for row in rows if not math.isnan(float(row["value"][1]))]
    end = time.time()
    return prometheus.get("query_range", query=query, start=end - 30, end=end, step=1)["result"]


@pytest.mark.parametrize("name", NAMES)
def test_every_query_has_data(scraped, name):
    asked = {
        (panel["title"], target.get("legendFormat", target["refId"])):
            ask(scraped.prometheus, target)
        for panel, target in targets(DASHBOARDS[name])
    }
    empty = {query for query, rows in asked.items() if not rows}
    assert empty == set(WITHOUT_DATA[scraped.way]) & set(asked)


@pytest.mark.parametrize("name", NAMES)
def test_every_query_with_a_choice(scraped, name):
    """What is chosen in the variables is all that is shown."""
    chosen = {"node": "gpu-1", "gpu": "3_3_0|1", "namespace": "research", "user": "research"}
    for panel, target in targets(DASHBOARDS[name]):
        for row in ask(scraped.prometheus, target, **chosen):
            labels = row["metric"]
            assert labels.get("gpu", "1") in ("1", "3_3_0"), panel["title"]
            if "namespace=~" in target["expr"]:
                assert labels.get("namespace", "research") == "research", panel["title"]
                assert labels.get("user", "research") == "research", panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_has_values(scraped, name):
    for variable in variables(DASHBOARDS[name]):
        series, label = label_values(variable)
        found = scraped.prometheus.query(f"group by ({label}) ({filled_in(series)})")
        assert found, variable["name"]
        # A Prometheus without external labels knows of no cluster.
        assert (found != {(): 1}) == (variable["name"] != "cluster"), variable["name"]


# --- what Grafana shows of it -------------------------------------------------------------


def shown(prometheus, panels, **chosen):
    """What Grafana shows of each panel; see shown.cjs."""
    now = time.time()
    asked = [
        {"panel": panel, "answers": {
            target["refId"]: prometheus.get(
                "query", query=filled_in(target["expr"], **chosen), time=now)["result"]
            for target in panel["targets"]
        }}
        for panel in panels
    ]
    done = subprocess.run(
        ["node", TOOL / "shown.cjs"], input=json.dumps(asked),
        env=os.environ | {"NODE_PATH": str(ROOT / ".tools/grafana/node_modules")},
        capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def of_type(name, kind):
    return [panel for panel in drawn(DASHBOARDS[name]) if panel["type"] == kind]


def table(prometheus, name, title):
    """[{column: text}], as Grafana shows the table."""
    (panel,) = (panel for panel in of_type(name, "table") if panel["title"] == title)
    ((titles, *rows),) = shown(prometheus, [panel])
    return [dict(zip(titles, row)) for row in rows]


def test_the_table_of_sessions(scraped):
    """All that `list` shows, as a person reads it."""
    rows = table(scraped.prometheus, "gpu-sessions-overview", "Sessions")
    assert list(rows[0]) == [
        "Node", "Device", "User", "Namespace", "Pod", "Container", "Command", "PID", "Status",
        "Since", "Memory", "Memory %", "SM %",
    ]
    by_session = {(row["Device"], row["PID"]): row for row in rows}
    assert len(rows) == len(by_session) == len(scraped.sessions)
    for session in scraped.sessions:
        row = by_session[session["gpu"], str(session["pid"])]
        assert row["Node"] == "gpu-1" and row["Since"].endswith(" ago")
        for column in ("User", "Namespace", "Pod", "Container", "Command", "Status"):
            assert row[column] == (session[column.lower()] or "-")
        assert float(row["Memory"].removesuffix(" GiB")) == pytest.approx(
            session["gpu_process_memory_used_bytes"] / 2**30, abs=0.01
        )
        for column, name in (
            ("SM %", "gpu_process_utilization"), ("Memory %", "gpu_process_memory_utilization"),
        ):
            assert float(row[column].removesuffix("%")) == pytest.approx(session[name], abs=0.1)


def test_the_device_map(scraped):
    """MIG devices beside their profile; what has no number says so, and is not 0."""
    rows = table(scraped.prometheus, "gpu-sessions-node", "Device map")
    columns = ("Device", "MIG profile", "State", "Sessions")
    assert {tuple(row[column] for column in columns) for row in rows} == {
        ("0", "-", "used; used without allocation", "3"),
        ("1", "-", "used", "2"),
        ("2", "-", "allocated, unused", "0"),
        ("3", "-", "split by MIG", "n/a"),
        ("3_2_0", "3g.40gb", "used", "1"),
        ("3_3_0", "2g.20gb", "used", "1"),
        ("3_9_0", "1g.10gb", "allocated, unused; used without allocation", "1"),
    }


def test_who_was_given_and_who_took(scraped):
    def found(title):
        rows = table(scraped.prometheus, "gpu-sessions-users", title)
        return {(row["Device"], row["Pod"]) for row in rows}

    assert found("Allocated, unused") == {("2", "waits-0"), ("3_9_0", "waits-1")}
    assert found("Used without allocation") == {
        ("0", "-"), ("0", "notebook-mina-0"), ("3_9_0", "sweep-3-abcde"),
    }


def test_the_numbers(scraped):
    panels = of_type("gpu-sessions-overview", "stat")
    numbers = [number for (number,) in shown(scraped.prometheus, panels)]
    found = dict(zip((panel["title"] for panel in panels), numbers))
    assert found.pop("Oldest data")
    assert found == {
        "Devices": "6", "Busy": "4", "Held idle": "1", "No session": "1",
        "Allocated, unused": "2", "Used, not allocated": "2", "Sessions": "8", "Users": "4",
        "GPU memory in use": "20.6%", "Nodes": "1", "Sources down": "0",
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_known_is_not_0(scraped, name):
    """Of a node from which nothing is heard no number says anything."""
    panels = of_type(name, "stat")
    assert shown(scraped.prometheus, panels, node="silent") == [["n/a"]] * len(panels)


@pytest.mark.parametrize("name", NAMES)
def test_every_state_has_a_word(scraped, name):
    for panel in of_type(name, "state-timeline"):
        words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
        for row in ask(scraped.prometheus, panel["targets"][0]):
            assert {number for _, number in row["values"]} <= set(words), panel["title"]


# --- the files ----------------------------------------------------------------------------


def test_the_dashboards_are_what_the_generator_writes(tmp_path):
    """After a change of scripts/dashboards: make golden."""
    subprocess.run([sys.executable, ROOT / "scripts/dashboards", tmp_path], check=True, timeout=60)
    written = {path.stem: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert written == DASHBOARDS
    assert sorted(DASHBOARDS) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_own_model_has_a_place_for_everything(name):
    made = Dashboard.from_json(DASHBOARDS[name])
    assert json.loads(json.dumps(made, cls=JSONEncoder)) == DASHBOARDS[name]


@pytest.mark.parametrize("name", NAMES)
def test_identity_and_data_source(name):
    """Fixed, and to be loaded without the import dialog."""
    dashboard = DASHBOARDS[name]
    assert dashboard["uid"] == name and dashboard["schemaVersion"] == 39
    assert not {"id", "__inputs", "__elements"} & set(dashboard)
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert all(each["datasource"] == source for each in drawn(dashboard) + variables(dashboard))


@pytest.mark.parametrize("name", NAMES)
def test_panels_explain_themselves(name):
    known = {value for key, value in vars(units).items() if not key.startswith("_")}
    for panel in drawn(DASHBOARDS[name]):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"] and panel["description"].endswith((".", '"')), panel["title"]
        assert defaults["unit"] in known and defaults["noValue"], panel["title"]


def cells(panel):
    at = panel["gridPos"]
    return {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}


@pytest.mark.parametrize("name", NAMES)
def test_layout(name):
    """Within 24 columns, nothing upon another, no gap to the left or above."""
    panels = list(all_panels(DASHBOARDS[name]))
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [cell for panel in panels for cell in cells(panel)]
    height = max(y for _, y in taken) + 1
    assert sorted(taken) == [(x, y) for x in range(24) for y in range(height)]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_dashboards_that_are_there(name):
    dashboard = DASHBOARDS[name]
    assert [link["tags"] for link in dashboard["links"]] == [dashboard["tags"]]
    columns = re.compile(r"__data\.fields\.(\w+)")
    for panel in of_type(name, "table"):
        renamed = panel["transformations"][-1]["options"]["renameByName"].values()
        for url in re.findall(r'"url": "([^"]+)"', json.dumps(panel)):
            target = DASHBOARDS[re.match(r"/d/([\w-]+)\?", url)[1]]
            named = {each["name"] for each in target["templating"]["list"]}
            assert set(re.findall(r"var-(\w+)=", url)) <= named
            assert set(columns.findall(url)) <= set(renamed)


@pytest.mark.parametrize("name", NAMES)
def test_only_variables_series_and_labels_that_exist(name):
    """Series are recorded by the chart's rules, and all are documented."""
    dashboard = DASHBOARDS[name]
    named = {each["name"] for each in dashboard["templating"]["list"]}
    recorded = set(re.findall(r"- record: (\S+)", rules_file()))
    explained = (ROOT / "docs/rules.md").read_text()
    families = documented()
    labels = {label for _, rest in families.values() for label in labels_of(rest)}
    for expression in expressions(dashboard):
        asked = expression.replace("$__rate_interval", "5m")
        assert set(re.findall(r"\$([a-z]+)", asked)) <= named
        series = set(re.findall(r"\b(?:\w+:\w+:\w+|gpu_\w+)\b", asked))
        assert series and series <= recorded, expression
        assert all(f"`{each}`" in explained for each in series), expression
        grouped = re.findall(r"(?:by|on|group_left) \(([\w, ]*)\)", asked)
        matched = re.findall(r"(\w+)(?:=~|!~|!=|=)\"", asked)
        used = {label for group in grouped for label in group.split(", ") if label}
        assert used | set(matched) <= labels | {"cluster", "node"}, expression


# --- in the chart -------------------------------------------------------------------------


def helm(*settings, enabled=True):
    values = [word for setting in settings for word in ("--set-string", setting)]
    switch = f"grafanaDashboard.enabled={str(enabled).lower()}"
    return subprocess.run(
        [ROOT / ".tools/bin/helm", "template", "gm", CHART, "--namespace", "monitoring",
         "--set", switch, *values],
        capture_output=True, text=True, timeout=60,
    )


def config_maps(*settings, **more):
    done = helm(*settings, **more)
    assert done.returncode == 0, done.stderr
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    return {
        each["metadata"]["name"]: each
        for each in objects if any(".json" in key for key in each.get("data") or {})
    }


def test_switched_off():
    assert config_maps(enabled=False) == {}


def test_a_config_map_for_each_dashboard():
    """Untouched: what is in braces is Grafana's, not Helm's. Small enough to be applied."""
    made = config_maps()
    assert set(made) == {f"gm-{name}" for name in NAMES}
    for name in NAMES:
        each = made[f"gm-{name}"]
        assert each["data"] == {f"{name}.json": (FOLDER / f"{name}.json").read_text().rstrip("\n")}
        assert each["metadata"]["namespace"] == "monitoring"
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert "annotations" not in each["metadata"]
        assert len(yaml.dump(each)) < 256 * 1024  # an annotation of `kubectl apply` holds it all


def test_where_grafana_looks_for_dashboards():
    made = config_maps(
        "grafanaDashboard.namespace=grafana", "grafanaDashboard.label=dashboards",
        "grafanaDashboard.labelValue=yes", "grafanaDashboard.folder=GPU",
        "grafanaDashboard.folderAnnotation=folder", "grafanaDashboard.annotations.team=ops",
    )
    for each in made.values():
        metadata = each["metadata"]
        assert metadata["namespace"] == "grafana" and metadata["labels"]["dashboards"] == "yes"
        assert metadata["annotations"] == {"folder": "GPU", "team": "ops"}
