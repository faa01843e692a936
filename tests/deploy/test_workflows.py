"""The workflows and all YAML that people and clusters read: by the linters of these formats, and
what can be run without GitHub is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORDS = re.compile(r"^\s*(?:- )?uses: (\S+)(.*)$", re.M)


def load(path):
    """As GitHub reads it: `on` is a word there, not a truth value."""
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)


def lint(*command):
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def tracked(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", "--", *patterns], cwd=ROOT,
        capture_output=True, text=True, check=True,
    )
    return sorted(set(listed.stdout.split("\0")) - {""})


def steps():
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            for step in job.get("steps", []):
                yield path, name, step


# --- linters ------------------------------------------------------------------------------


def test_actionlint_has_nothing_to_say():
    assert lint(ROOT / ".tools/bin/actionlint", *WORKFLOWS) == (0, "")


def test_actionlint_looks(tmp_path):
    bad = tmp_path / "bad.yml"
    bad.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    status, output = lint(ROOT / ".tools/bin/actionlint", bad)
    assert status == 1 and "run-on" in output


def test_zizmor_has_nothing_to_say():
    status, output = lint(
        Path(sys.executable).parent / "zizmor", "--offline", "--no-progress", ".github"
    )
    assert status == 0, output


def test_yamllint_has_nothing_to_say():
    """Templates are not YAML before Helm has read them."""
    patterns = ("deploy/*.yaml", "deploy/*.yml", ".github/*.yml", "tests/deploy/*.yaml")
    files = [name for name in tracked(*patterns) if "/templates/" not in name]
    assert len(files) > 5
    status, output = lint(
        Path(sys.executable).parent / "yamllint", "--strict", "-c", "tests/deploy/yamllint.yaml",
        *files,
    )
    assert status == 0, output


# --- supply chain -------------------------------------------------------------------------


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_unless_a_job_says_why(path):
    text = path.read_text()
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        for right, level in job.get("permissions", {}).items():
            if level == "write":
                assert re.search(rf"^      {right}: write # \w", text, re.M), right


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_and_containers_are_pinned(path):
    for action, comment in WORDS.findall(path.read_text()):
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), (action, comment)
    for job in load(path)["jobs"].values():
        if "container" in job:
            assert re.search(r"@sha256:[0-9a-f]{64}$", job["container"]["image"])


def test_one_debian_is_the_base_of_all():
    images = {
        job["container"]["image"] for path in WORKFLOWS for job in load(path)["jobs"].values()
        if "container" in job
    }
    dockerfile = (ROOT / "Dockerfile").read_text()
    base = re.search(r"^ARG BASE=(?:docker\.io/library/)?(\S+)$", dockerfile, re.M)
    assert images == {base[1]}


def test_a_checkout_leaves_no_token_behind():
    found = [step for _, _, step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert found
    for step in found:
        assert step["with"]["persist-credentials"] == "false"


def test_every_job_ends_in_time():
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            assert "uses" in job or int(job["timeout-minutes"]) <= 90, (path.name, name)


# --- what is called is there --------------------------------------------------------------


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    called = {
        target for _, _, step in steps()
        for target in re.findall(r"\bmake ([a-z]+)\b", step.get("run", ""))
    }
    assert {"deb", "tarball", "sbom", "image"} <= called
    assert called <= targets, called - targets


def test_ci_runs_what_a_person_runs():
    commands = [step.get("run", "") for path, _, step in steps() if path.name == "ci.yml"]
    assert any(".ci/run" in command for command in commands)
    assert os.access(ROOT / ".ci/run", os.X_OK)


def check_version(tag, output):
    release = load(ROOT / ".github/workflows/release.yml")
    script = next(step["run"] for step in release["jobs"]["version"]["steps"] if "run" in step)
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env=os.environ | {"GITHUB_REF_NAME": tag, "GITHUB_OUTPUT": str(output)},
    )


def own_version():
    return re.search(r"^  version: '(.*)',$", (ROOT / "meson.build").read_text(), re.M)[1]


def test_a_release_has_the_version_of_program_and_chart(tmp_path):
    output = tmp_path / "output"
    done = check_version(f"v{own_version()}", output)
    assert done.returncode == 0, done.stdout
    assert output.read_text() == f"version={own_version()}\n"


def test_a_tag_of_another_version_is_refused(tmp_path):
    output = tmp_path / "output"
    done = check_version("v99.0.0", output)
    assert done.returncode == 1 and "::error::meson.build does not say" in done.stdout
    assert not output.exists()


def test_the_chart_is_packaged(tmp_path):
    release = load(ROOT / ".github/workflows/release.yml")
    script = next(step["run"] for step in release["jobs"]["chart"]["steps"] if "run" in step)
    script = script.replace("--destination dist", f"--destination {tmp_path}")
    subprocess.run(
        ["bash", "-e", "-c", script], cwd=ROOT, check=True, capture_output=True, timeout=60,
        env=os.environ | {"PATH": f"{ROOT / '.tools/bin'}:{os.environ['PATH']}"},
    )
    packages = [path.name for path in tmp_path.iterdir()]
    assert packages == [f"gpu-session-monitoring-{own_version()}.tgz"]
