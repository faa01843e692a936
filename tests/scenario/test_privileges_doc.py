"""docs/privileges.md, row by row: what each privilege gives, and what is missing without."""

import json
import os
import re
import shutil
import subprocess

import pytest

import kubelet
from harness import ROOT
from kube_server import pod

NOBODY = "uid 65532"
BARE_ROOT = "uid 0 without capabilities"
AS = {
    NOBODY: ["--reuid=65532", "--regid=65532", "--clear-groups"],
    BARE_ROOT: [],
}
POD = ("ml-team", "llm-train-worker-0")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, to give it up"
)


def rows():
    text = (ROOT / "docs/privileges.md").read_text()
    found = re.findall(r"^\| `([\w-]+)` \|.*\| ([^|]+) \|$", text, re.M)
    return {name: tested for name, tested in found}


# Of the tests below, by the row that they prove.
PROVEN = {
    "driver", "any-uid", "host-pid", "log-links", "passwd", "metadata-kubelet",
    "metadata-apiserver", "token-readable", "textfile-folder", "podresources-socket",
}


def test_every_row_is_tested_or_says_that_it_is_not():
    untested = {name for name, tested in rows().items() if tested.startswith("not")}
    assert set(rows()) - untested == PROVEN


def ways(row):
    return [way for way in AS if way in rows().get(row, "")]


def pytest_generate_tests(metafunc):
    if "way" in metafunc.fixturenames:
        row = metafunc.function.__name__.removeprefix("test_row_").replace("_", "-")
        metafunc.parametrize("way", ways(row))


@pytest.fixture
def node(simulated):
    made = simulated("default")
    made.directory.chmod(0o755)
    return made


@pytest.fixture
def less(node, way, tmp_path):
    """less(command, *flags) → the run, with no privilege but WAY's."""
    open_to_all(tmp_path)

    def run(command, *flags):
        return subprocess.run(
            ["setpriv", *AS[way], "--inh-caps=-all", "--ambient-caps=-all",
             "--bounding-set=-all", "--no-new-privs", node.program.path, command,
             *node.flags, *map(str, flags)],
            capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
            env=node.program.environment(),
        )

    return run


def open_to_all(folder):
    """pytest's own folders are closed to other users."""
    for parent in [folder, *folder.parents]:
        if parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(parent.stat().st_mode | 0o055)
    for path in folder.iterdir():
        path.chmod(0o777 if path.is_dir() else 0o644)


def document(less, *flags, expect=0):
    done = less("list", "--json", *flags)
    assert done.returncode == expect, done.stderr.decode()
    return json.loads(done.stdout)


def source(found, name):
    return next((s for s in found["sources"] if s["source"] == name), None)


def trainer(found):
    return next(s for s in found["sessions"] if s["pid"] == 10000)


def test_row_any_uid(node, less):
    with_all = node.json()
    assert document(less)["sessions"] == with_all["sessions"]


def test_row_driver(node, less):
    assert document(less)["devices"]
    without = document(less, "--nvml.library=/absent/libnvidia-ml.so.1", "--source=nvml", expect=1)
    assert source(without, "nvml")["gpu_session_source_up"] == 0
    assert "/absent" in source(without, "nvml")["reason"] and without["sessions"] == []


def test_row_host_pid(node, less, tmp_path):
    assert trainer(document(less))["command"] == "python3"
    procfs = tmp_path / "proc"
    procfs.mkdir()
    for name in ("stat", "uptime"):
        shutil.copy(node.directory / "proc" / name, procfs / name)
    procfs.chmod(0o755)
    without = document(less, f"--path.procfs={procfs}", expect=1)
    assert "hostPID" in source(without, "procfs")["reason"]
    assert trainer(without)["command"] is None


def test_row_log_links(less, tmp_path):
    assert (trainer(document(less))["namespace"], trainer(document(less))["pod"]) == POD
    without = trainer(document(less, f"--path.podlogs={tmp_path}/absent"))
    assert without["pod"] is None and without["pod_uid"]


def test_row_passwd(node, less):
    def user():
        return next(s for s in document(less)["sessions"] if s["pid"] == 10017)["user"]

    assert user() == "jiwoo"
    (node.directory / "rootfs/etc/passwd").unlink()
    assert user() == "1001"


def check_metadata(kube, flags, less, tmp_path):
    unlinked = f"--path.podlogs={tmp_path}/absent"
    wanted = ["--user.from=label:user,namespace", unlinked]
    uid = trainer(document(less))["pod_uid"]
    kube.state.pods = [pod(*POD, uid, labels={"user": "jane"}, owner=("Job", "llm"))]
    found = trainer(document(less, *flags(*wanted)))
    assert (found["pod"], found["user"], found["owner"]) == (POD[1], "jane", "Job/llm")
    kube.state.refuse = 403
    refused = document(less, *flags("--user.from=label:user,namespace"))
    assert "service account needs" in source(refused, "kubernetes")["reason"]
    assert trainer(refused)["user"] == POD[0]


def test_row_metadata_kubelet(kube, certificates, less, tmp_path):
    open_to_all(certificates)
    open_to_all(tmp_path)
    check_metadata(kube, kube.kubelet, less, tmp_path)


def test_row_metadata_apiserver(kube, certificates, less, tmp_path):
    open_to_all(certificates)
    open_to_all(tmp_path)
    check_metadata(kube, kube.apiserver, less, tmp_path)


def test_row_token_readable(kube, certificates, less):
    open_to_all(certificates)
    kube.token_file.chmod(0o600)
    found = document(less, *kube.kubelet())
    reason = source(found, "kubernetes")["reason"]
    assert str(kube.token_file) in reason and "Permission denied" in reason


def test_row_textfile_folder(less, tmp_path):
    folder = tmp_path / "textfile"
    folder.mkdir()
    folder.chmod(0o777)
    assert less("collect", f"--textfile={folder}/a.prom").returncode == 0
    folder.chmod(0o755)
    done = less("collect", f"--textfile={folder}/b.prom")
    assert done.returncode == 1 and str(folder) in done.stderr.decode()


def test_row_podresources_socket(node, less, way):
    served = kubelet.Kubelet(node)
    try:
        folder = served.path.parent
        for parent in (folder, *folder.parents):
            if parent == node.directory:
                break
            parent.chmod(0o755)
        served.path.chmod(0o600)  # as a kubelet leaves it: for uid 0
        found = source(document(less), "podresources")
    finally:
        served.stop()
    if way == BARE_ROOT:
        assert found["gpu_session_source_up"] == 1
    else:
        assert found["gpu_session_source_up"] == 0 and "uid 0" in found["reason"]
