"""The command lines of the chart's containers, run as they are on a simulated node."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

import kube_server
import kubelet
from chart import collecting, find, pod_template, render, sets
from harness import free_port, has_sessions, rows, samples, value, wait_until
from pod_run import open_host, prepare
from real_prometheus import running_prometheus

TEXTFILE = "var/lib/node_exporter/textfile_collector/gpu_sessions.prom"
DAEMONSET = "--set=collection.mode=daemonset"
TRAINER = "llm-train-worker-0"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be each container's user")


@pytest.fixture
def node(simulated):
    made = simulated("default")
    open_host(made)
    return made


@pytest.fixture
def run(node, program):
    """run(workload, init=False) → the finished run of its init or collecting container."""

    def start(workload, init=False, **more):
        spec = pod_template(workload)["spec"]
        (container,) = spec["initContainers" if init else "containers"]
        ready = prepare(node, spec, container, **more)
        return subprocess.run(
            [*ready.prefix, program.path, *ready.args], env=program.environment(**ready.env),
            capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
        )

    return start


@pytest.fixture
def serve(node, start_daemon):
    """serve(*values, **more) → the daemon of the chart with these values, on a port of its own."""

    def start(*values, contents=None, **environment):
        quick = sets(daemonset__port=free_port(), collection__interval="200ms")
        found = find(render(DAEMONSET, *quick, *values), "DaemonSet")
        spec = pod_template(found)["spec"]
        ready = prepare(node, spec, collecting(found), contents, **environment)
        assert ready.args[0] == "serve"
        return start_daemon(*ready.args[1:], env=ready.env, prefix=ready.prefix)

    return start


def start_job(node, program, *values):
    """The job's pod, as far as its collecting container having started."""
    job = find(render(*values), "CronJob")
    spec = pod_template(job)["spec"]
    ready = prepare(node, spec, collecting(job))
    return subprocess.Popen(
        [*ready.prefix, program.path, *ready.args], env=program.environment(**ready.env),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )


@pytest.fixture
def job_page(node, program, run):
    """job_page(*values) → the textfile after the first collection of the job's pod."""

    def collect(*values):
        job = find(render(*values), "CronJob")
        if "initContainers" in pod_template(job)["spec"]:
            done = run(job, init=True)
            assert done.returncode == 0, done.stderr
        process = start_job(node, program, *values)
        try:
            path = node.directory / "rootfs" / TEXTFILE
            wait_until(lambda: path.exists() or process.poll() is not None, "the textfile")
            assert path.exists(), process.stdout.read().decode()
            assert process.poll() is None, "the pod stays for its whole run"
            return path, samples(path.read_text())
        finally:
            process.terminate()
            process.communicate(timeout=10)

    return collect


def trainer(page):
    (labels,) = [dict(key[1]) for key in rows(page, "gpu_process_info")
                 if ("pod", TRAINER) in key[1]]
    return labels


def test_job_writes_the_nodes_textfile(job_page):
    path, page = job_page()
    assert trainer(page)["node"] == "node-a" and trainer(page)["namespace"] == "ml-team"
    assert value(page, "gpu_total_sessions", node="node-a") == 8
    users = {dict(key[1])["user"] for key in rows(page, "gpu_process_info")}
    assert "jiwoo" in users, "of the host's /etc/passwd"
    owner = path.stat()
    assert (owner.st_uid, owner.st_gid, owner.st_mode & 0o777) == (65532, 65532, 0o644)
    folder = path.parent.stat()
    assert (folder.st_uid, folder.st_gid, folder.st_mode & 0o777) == (0, 65532, 0o775)


def test_job_cannot_write_unless_the_directory_was_prepared(node, program):
    process = start_job(node, program)
    try:
        assert b"let the user of this program write to the directory" in process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_job_reports_the_devices_asked_for(job_page):
    _, page = job_page("--set=gpu.devices={0,2}")
    assert {dict(key[1])["gpu"] for key in rows(page, "gpu_session_count")} == {"0", "2"}


def test_job_with_the_kubelets_socket_is_root_and_needs_no_preparation(node, job_page):
    with_kubelet(node)
    path, page = job_page("--set=sources.podResources=true")
    assert value(page, "gpu_session_source_up", source="podresources", node="node-a") == 1
    assert path.stat().st_uid == 0


@pytest.fixture(autouse=True)
def stop_kubelets():
    yield
    while KUBELETS:
        KUBELETS.pop().stop()


KUBELETS = []


def with_kubelet(node):
    served = kubelet.Kubelet(node)
    KUBELETS.append(served)
    served.path.chmod(0o600)
    for parent in served.path.parents:
        if parent == node.directory:
            break
        parent.chmod(0o750)  # as a kubelet has it
    return served


def test_helms_test_is_one_collection(run):
    done = run(find(render(), "Pod"))
    assert done.returncode == 0, done.stderr
    assert trainer(samples(done.stdout))["node"] == "node-a"


def test_helms_test_fails_where_the_driver_is_missing(run):
    broken = {"GPU_SESSIONS_NVML_LIBRARY": "/absent/libnvidia-ml.so.1"}
    done = run(find(render(), "Pod"), **broken)
    assert done.returncode == 1 and "/absent" in done.stderr


def test_daemon_answers_with_the_nodes_sessions(serve):
    daemon = serve()
    page = daemon.wait(has_sessions, "sessions")
    assert trainer(page)["node"] == "node-a"
    assert daemon.get("/healthz").status == 200 and daemon.get("/readyz").status == 200


def test_daemon_is_scraped_and_alive_without_a_driver(serve):
    """What the probes ask must hold: a node whose driver is down goes on being scraped."""
    daemon = serve(GPU_SESSIONS_NVML_LIBRARY="/absent/libnvidia-ml.so.1")
    page = daemon.wait(lambda found: value(found, "gpu_session_source_up", source="nvml", node="node-a")
                       is not None, "the driver's state")
    assert value(page, "gpu_session_source_up", source="nvml", node="node-a") == 0
    assert daemon.get("/healthz").status == 200 and daemon.get("/readyz").status == 503


def scrape_config(daemon, *values):
    """What the Prometheus operator makes of the chart's PodMonitor for this daemon's pod: the
    target's labels, and the endpoint's in Prometheus' spelling."""
    monitor = find(render(DAEMONSET, "--set=podMonitor.enabled=true", *values), "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    relabel = [{names.get(key, key): given for key, given in rule.items()}
               for rule in endpoint["relabelings"]]
    target = {"namespace": "monitoring", "pod": "gpu-monitoring-x7k2p", "container": "daemon",
              "__meta_kubernetes_pod_node_name": "node-a"}
    address = daemon.url.removeprefix("http://").replace("[::]", "127.0.0.1")
    return yaml.safe_dump([{
        "job_name": "gpu-session-monitoring", "honor_labels": endpoint["honorLabels"],
        "metrics_path": endpoint["path"], "relabel_configs": relabel,
        "static_configs": [{"targets": [address], "labels": target}],
    }])


def test_prometheus_keeps_the_labels_of_the_page(serve, tmp_path):
    daemon = serve()
    daemon.wait(has_sessions, "sessions")
    with running_prometheus(tmp_path / "prometheus", scrape_config(daemon)) as prometheus:
        prometheus.wait("gpu_process_info", "rows of the daemon")
        found = [labels for labels, _ in prometheus.rows(f'gpu_process_info{{pod="{TRAINER}"}}')]
        assert [(one["namespace"], one["container"], one["node"], one["instance"])
                for one in found] == [("ml-team", "pytorch", "node-a", "node-a")]
        everything = prometheus.rows('{node="node-a"}')
        assert not [one for one, _ in everything if [name for name in one if "exported" in name]]
        assert not [one for one, _ in everything if one.get("pod") == "gpu-monitoring-x7k2p"]
        ((up, number),) = prometheus.rows("up")
        assert number == 1 and up["node"] == "node-a" and up["namespace"] == "monitoring"


def test_daemon_writes_the_textfile_too_and_takes_it_away(node, run, serve):
    values = ("--set=daemonset.textfile=true",)
    done = run(find(render(DAEMONSET, *values), "DaemonSet"), init=True)
    assert done.returncode == 0, done.stderr
    daemon = serve(*values)
    path = node.directory / "rootfs" / TEXTFILE
    wait_until(path.exists, "the textfile")
    assert has_sessions(samples(path.read_text()))
    assert daemon.stop() == 0 and not path.exists()


def test_daemon_asks_the_kubelets_socket(node, serve):
    with_kubelet(node)
    daemon = serve("--set=sources.podResources=true")
    daemon.wait(lambda page: value(page, "gpu_session_source_up", source="podresources", node="node-a")
                == 1, "the kubelet's answer")


@pytest.fixture(scope="module")
def certificates():
    """In a folder that the containers' user can reach; pytest closes its own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield kube_server.make_certificates(folder)


@pytest.fixture
def cluster(certificates, tmp_path):
    """The API server, or the kubelet, with the label `owner` of the trainer's pod."""
    with kube_server.running(certificates, tmp_path) as server:
        yield server


@pytest.fixture
def service_account(cluster, certificates):
    """What the volume service-account holds; its group may read the token, as by fsGroup."""
    folder = certificates / "service-account"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    (folder / "ca.crt").write_bytes((certificates / "ca.crt").read_bytes())
    (folder / "token").write_text(cluster.state.token)
    os.chown(folder / "token", 0, 65532)
    (folder / "token").chmod(0o640)
    return {"service-account": folder}


LABELS = ("--set=sources.podLabels={owner}", "--set=user.from={label:owner,namespace}")


def check_owner(node, cluster, start):
    uid = next(one["pod_uid"] for one in node.json()["sessions"] if one["pid"] == 10000)
    cluster.state.pods = [kube_server.pod("ml-team", TRAINER, uid, labels={"owner": "jane"})]
    daemon = start()
    page = daemon.wait(lambda found: is_source_up(found, "kubernetes"), "the list of pods")
    page = daemon.wait(lambda found: trainer(found)["user"] == "jane", "the label")
    assert trainer(page)["label_owner"] == "jane"


def is_source_up(page, source):
    return value(page, "gpu_session_source_up", source=source, node="node-a") == 1


def test_daemon_asks_the_api_server(node, cluster, service_account, serve):
    check_owner(node, cluster, lambda: serve(
        "--set=sources.metadata=apiserver", *LABELS, contents=service_account,
        KUBERNETES_SERVICE_HOST="localhost", KUBERNETES_SERVICE_PORT=str(cluster.port)))


def test_daemon_asks_the_kubelet(node, cluster, certificates, service_account, serve):
    pki = node.directory / "rootfs/var/lib/kubelet/pki"
    pki.mkdir(parents=True)
    (pki / "kubelet.crt").write_bytes((certificates / "ca.crt").read_bytes())
    check_owner(node, cluster, lambda: serve(
        "--set=sources.metadata=kubelet", *LABELS,
        f"--set=sources.kubelet.address=$(HOST_IP):{cluster.port}",
        "--set=sources.kubelet.caFile=/var/lib/kubelet/pki/kubelet.crt", contents=service_account))


def test_daemon_reads_the_mounted_web_configuration(certificates, serve):
    folder = certificates / "web"
    folder.mkdir()
    folder.chmod(0o755)
    for name in ("server.crt", "server.key"):
        (folder / name).write_bytes((certificates / name).read_bytes())
        os.chown(folder / name, 0, 65532)
        (folder / name).chmod(0o440)
    (folder / "web-config.yml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    daemon = serve("--set=daemonset.webConfig.secret=web", contents={"web-config": folder})
    assert daemon.url.startswith("https://")
