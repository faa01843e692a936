"""deploy_astrago.sh: which commands it runs, and what it says when it cannot."""

import os
import pty
import shlex
import subprocess

import pytest
import yaml

from deploy_script import Checkout

APPS = ("gpu-operator", "gpu-session-monitoring", "prometheus")
COMMANDS = ("sync", "destroy", "diff", "status", "template", "lint")


@pytest.fixture
def checkout(tmp_path):
    made = Checkout(tmp_path)
    made.answer("kubectl", "test-cluster")
    made.answer("helm", "diff\t3.9.0\tPreview helm upgrade changes as a diff")
    return made


def assert_refused(done, status, *words):
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("deploy_astrago.sh: "), done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_for_all_apps(checkout, command):
    done = checkout.run(command, *(["--yes"] if command == "destroy" else []))
    assert done.returncode == 0, done.stderr
    assert checkout.calls() == [["-f", checkout.helmfile_path, "-e", "default", command]]


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_for_one_app(checkout, command, app):
    done = checkout.run(command, app, *(["-y"] if command == "destroy" else []))
    assert done.returncode == 0, done.stderr
    # Our own chart lies here: a cluster without the internet can have it.
    local = ["--skip-deps"] if app == "gpu-session-monitoring" else []
    assert checkout.calls() == [
        ["-f", checkout.helmfile_path, "-e", "default", "-l", f"app={app}", *local, command]
    ]


def test_the_command_that_runs_is_printed(checkout):
    done = checkout.run(
        "sync", "prometheus", "--registry", "reg.local:5000/gpu",
        "--", "--args", "--dry-run=client x",
    )
    printed, = (line for line in done.stderr.splitlines() if line.startswith("+ "))
    assert shlex.split(printed)[1:] == ["helmfile", *checkout.calls()[0]]
    assert checkout.calls()[0][-3:] == ["sync", "--args", "--dry-run=client x"]


def test_flags_reach_helmfile_as_values(checkout, tmp_path):
    charts = tmp_path / "charts"
    charts.mkdir()
    done = checkout.run(
        "template", "--registry=reg.local", "--textfile-dir", "/srv/text", "--charts", charts
    )
    assert done.returncode == 0, done.stderr
    words = checkout.calls()[0]
    given = [words[at + 1] for at, word in enumerate(words) if word == "--state-values-set-string"]
    assert given == [
        "imageRegistry=reg.local", "textfileDirectory=/srv/text", f"chartsDirectory={charts}"
    ]


@pytest.mark.parametrize("status", (1, 3, 7))
def test_a_failure_of_helmfile_is_a_failure(checkout, status):
    checkout.answer("helmfile", status=status)
    assert checkout.run("sync").returncode == status


# --- which environment --------------------------------------------------------------------


@pytest.mark.parametrize("words, variable, expected", (
    (["-e", "prod"], "", "prod"),
    (["--environment", "prod"], "", "prod"),
    (["--environment=prod"], "", "prod"),
    ([], "dev", "dev"),
    (["-e", "prod"], "dev", "prod"),
))
def test_environments_are_chosen(checkout, words, variable, expected):
    assert checkout.run("sync", *words, HELMFILE_ENVIRONMENT=variable).returncode == 0
    assert checkout.calls()[0][2:4] == ["-e", expected]


def test_env_sets_up_the_environment_that_sync_then_takes(checkout):
    done = checkout.run("env")
    assert done.returncode == 0, done.stderr
    assert "astrago" in done.stdout and "test-cluster (the current one)" in done.stdout
    assert checkout.run("sync").returncode == 0
    assert [call[3] for call in checkout.calls()] == ["astrago", "astrago"]


def test_env_remembers_flags_and_changes_nothing_else(checkout, tmp_path):
    checkout.run("env")
    file = checkout.values_of("astrago")
    file.write_text(file.read_text() + "mine: 1\n")
    before = yaml.safe_load(file.read_text())
    done = checkout.run(
        "env", "--registry", "reg.local:5000/gpu", "--textfile-dir", "/srv/text",
        "--charts", tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for shown in ("reg.local:5000/gpu", "/srv/text", str(tmp_path)):
        assert shown in done.stdout
    assert yaml.safe_load(file.read_text()) == before | {
        "imageRegistry": "reg.local:5000/gpu", "textfileDirectory": "/srv/text",
        "chartsDirectory": str(tmp_path),
    }
    assert "reg.local:5000/gpu" in checkout.run("env").stdout


@pytest.mark.parametrize("template", ("prod", "dev"))
def test_env_starts_from_another_environment(checkout, template):
    assert checkout.run("env", "-e", "seoul", "--from", template).returncode == 0
    made, model = (checkout.values_of(name).read_text() for name in ("seoul", template))
    assert yaml.safe_load(made) == yaml.safe_load(model)
    assert made.splitlines()[0].endswith(f"started from {template} by deploy_astrago.sh env.")


def test_env_shows_a_shipped_environment_and_leaves_it(checkout):
    before = checkout.values_of("dev").read_bytes()
    done = checkout.run("env", "-e", "dev")
    assert done.returncode == 0 and "/var/lib/node_exporter/textfile_collector" in done.stdout
    assert checkout.values_of("dev").read_bytes() == before
    assert checkout.calls() == [["-f", checkout.helmfile_path, "-e", "dev", "list"]]


def test_env_says_that_there_is_no_cluster(checkout):
    checkout.answer("kubectl", status=1)
    assert "none: set KUBECONFIG" in checkout.run("env").stdout


def test_env_shows_a_context_that_is_written_down(checkout):
    checkout.run("env")
    file = checkout.values_of("astrago")
    file.write_text(file.read_text() + 'kubeContext: "seoul-1"  # not the one in Busan\n')
    assert "kube context        seoul-1\n" in checkout.run("env").stdout


def test_env_asks_a_person(checkout):
    """On a terminal, and only while the environment is new."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [checkout.root / "deploy_astrago.sh", "env"], stdin=slave, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={"PATH": str(checkout.bin)}, text=True,
    )
    os.write(master, b"reg.local/gpu\n\n")
    output, _ = process.communicate(timeout=60)
    os.close(master)
    os.close(slave)
    assert process.returncode == 0, output
    values = yaml.safe_load(checkout.values_of("astrago").read_text())
    assert values["imageRegistry"] == "reg.local/gpu"
    assert values["textfileDirectory"] == "/var/lib/node_exporter/textfile_collector"


# --- destroy ------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ("", "\n", "no\n", "y es\n", "YES!\n"))
def test_destroy_wants_a_yes(checkout, answer):
    done = checkout.run("destroy", "gpu-session-monitoring", stdin=answer)
    assert done.returncode == 1 and "nothing was uninstalled" in done.stderr
    for named in ("gpu-session-monitoring", "environment default", "test-cluster"):
        assert named in done.stderr
    assert checkout.calls() == []


def test_destroy_goes_on_after_a_yes(checkout):
    assert checkout.run("destroy", stdin="yes\n").returncode == 0
    assert checkout.calls()[0][-1] == "destroy"


# --- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_app_is_refused_with_the_list(checkout, command):
    assert_refused(checkout.run(command, "grafana"), 2, "'grafana'", *APPS)
    assert checkout.calls() == []


@pytest.mark.parametrize("words, named", (
    (["deploy"], ["'deploy'", "sync", "destroy", "env"]),
    (["sync", "--force"], ["'--force'", "--help"]),
    (["sync", "prometheus", "gpu-operator"], ["one app", "'gpu-operator'"]),
    (["sync", "-e"], ["-e", "value"]),
    (["env", "prometheus"], ["'prometheus'"]),
    (["sync", "-e", "nowhere"], ["'nowhere'", "default dev prod", "env -e nowhere"]),
    (["sync", "-e", "common"], ["'common'"]),
    (["env", "-e", "../x"], ["'../x'"]),
    (["env", "--from", "nowhere"], ["'nowhere'", "default dev prod"]),
    (["sync", "--registry", "https://reg.local"], ["scheme"]),
    (["sync", "--registry", "a,b=c"], ["--registry", "'a,b=c'"]),
    (["env", "--registry", 'x"\nevil: 1'], ["--registry"]),
    (["env", "--textfile-dir", "relative"], ["--textfile-dir", "'relative'"]),
    (["env", "--textfile-dir", "/a b"], ["--textfile-dir", "'/a b'"]),
    (["env", "--textfile-dir", "/srv/"], ["--textfile-dir", "'/srv/'"]),
    (["sync", "--charts", "/nowhere"], ["--charts", "'/nowhere'"]),
))
def test_a_wrong_command_line_is_refused(checkout, words, named):
    assert_refused(checkout.run(*words), 2, *named)
    assert checkout.calls() == []
    assert not checkout.values_of("astrago").exists()


def test_help_names_commands_apps_and_environments(checkout):
    done = checkout.run("--help")
    assert done.returncode == 0 and done.stderr == ""
    for word in (*COMMANDS, *APPS, "env", "default dev prod", "--registry", "--yes"):
        assert word in done.stdout
    assert checkout.run("sync", "-h").stdout == done.stdout


def test_no_command_is_a_wrong_command_line(checkout):
    done = checkout.run()
    assert done.returncode == 2 and done.stderr.startswith("Usage:") and not done.stdout


@pytest.mark.parametrize("missing", ("helm", "helmfile", "kubectl"))
def test_a_missing_program_is_named_with_a_remedy(checkout, missing):
    (checkout.bin / missing).unlink()
    for command in ("sync", "env"):
        done = checkout.run(command)
        assert_refused(done, 1, f"{missing} is not in PATH", "Install it: https://")
    assert not checkout.values_of("astrago").exists()


def test_all_missing_programs_are_named_at_once(tmp_path):
    done = Checkout(tmp_path, programs=()).run("sync")
    assert done.returncode == 1
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["helm", "helmfile", "kubectl"]


@pytest.mark.parametrize("command", ("template", "lint"))
def test_manifests_are_made_without_a_cluster(checkout, command):
    (checkout.bin / "kubectl").unlink()
    assert checkout.run(command).returncode == 0


def test_diff_says_that_its_plugin_is_missing(checkout):
    checkout.answer("helm", "unittest\t0.5.0\tunit tests")
    assert_refused(checkout.run("diff"), 1, "plugin diff", "helm plugin install https://")
    assert checkout.calls() == []


def test_the_script_is_found_from_anywhere_and_through_spaces(tmp_path):
    spaced = tmp_path / "a folder"
    spaced.mkdir()
    checkout = Checkout(spaced)
    assert checkout.run("sync").returncode == 0
    assert checkout.calls()[0][1] == checkout.helmfile_path
