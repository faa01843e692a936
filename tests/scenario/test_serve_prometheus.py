"""A real Prometheus scrapes the daemon: in every format, through every misfortune.

The original queries are in test_real_readers.py, which asks them of the daemon too.
"""

import contextlib
import http.client
import http.server
import os
import re
import signal
import subprocess
import threading

import pytest

import node_state
from certificates import make_ca, make_certificate
from harness import (
    ABOUT_GPU_1, EVERYWHERE, find_program, has_sessions, is_up, set_fault, sleep_again, value,
    wait_until, wake,
)
from real_prometheus import running_prometheus

pytestmark = pytest.mark.release_only  # about readers and moments, not about memory


def target(url):
    return re.match(r"https?://([^/]+)", url)[1]


# --- formats and encodings ----------------------------------------------------------------

OPENMETRICS = "application/openmetrics-text"
TEXT = "text/plain"


class Between(http.server.BaseHTTPRequestHandler):
    """A proxy that changes what Prometheus asks for and notes what it gets."""

    daemon = None  # set per proxy
    changes = {}
    got = None

    def do_GET(self):
        headers = {**dict(self.headers), **self.changes}
        connection = http.client.HTTPConnection(self.daemon, timeout=10)
        with contextlib.closing(connection):
            asked = {name: text for name, text in headers.items() if text is not None}
            connection.putrequest("GET", self.path, skip_accept_encoding=True)
            for name, text in asked.items():
                if name.lower() != "host":
                    connection.putheader(name, text)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
        self.got.add((
            answer.headers["Content-Type"].split(";")[0], answer.headers["Content-Encoding"]
        ))
        self.send_response(answer.status)
        for name in ("Content-Type", "Content-Encoding"):
            if answer.headers[name]:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def proxy(daemon, **changes):
    """(address, what was got) of a proxy that sets request headers, or drops those None."""
    renamed = {name.replace("_", "-"): text for name, text in changes.items()}
    got = set()
    handler = type("Proxy", (Between,), dict(daemon=target(daemon.url), changes=renamed, got=got))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.05))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


WAYS = {
    "openmetrics_gzip": ({}, (OPENMETRICS, "gzip")),
    "openmetrics": ({"Accept_Encoding": None}, (OPENMETRICS, None)),
    "text_gzip": ({"Accept": "text/plain;version=0.0.4"}, (TEXT, "gzip")),
    "text": ({"Accept": "text/plain;version=0.0.4", "Accept_Encoding": None}, (TEXT, None)),
}


def test_formats_and_encodings(simulated, serve, tmp_path):
    """Four ways to ask, and the same rows from each."""
    node = simulated("default")
    daemon = serve(node, "--collect.interval=1h")
    daemon.wait(has_sessions, "the first collection")
    with contextlib.ExitStack() as stack:
        proxies = {
            name: stack.enter_context(proxy(daemon, **changes))
            for name, (changes, _) in WAYS.items()
        }
        jobs = "".join(
            f'  - {{job_name: {name}, static_configs: [{{targets: ["{address}"]}}]}}\n'
            for name, (address, _) in proxies.items()
        )
        prometheus = stack.enter_context(running_prometheus(tmp_path / "p", jobs))
        prometheus.wait("count(gpu_total_sessions) == 4", "four ways have been taken")
        stored = {name: {} for name in WAYS}
        for labels, number in prometheus.rows('{__name__=~"gpu_.+"}'):
            job = stored[labels.pop("job")]
            del labels["instance"]
            job[tuple(sorted(labels.items()))] = number
        for name, (_, got) in proxies.items():
            assert got == {WAYS[name][1]}, name
    expected = {
        tuple(sorted({"__name__": name, **{k: v for k, v in labels if v}}.items())): number
        for (name, labels), number in daemon.samples().items() if name.startswith("gpu_")
    }
    for name in WAYS:
        assert stored[name] == expected, name


def test_promtool_check_metrics(simulated, serve):
    """Nothing to say but on the names that dashboards fixed long ago."""
    daemon = serve(simulated("mig"))
    daemon.wait_collected()
    done = subprocess.run(
        [find_program("promtool"), "check", "metrics"], input=daemon.get().body,
        capture_output=True, timeout=60,
    )
    said = [line for line in done.stderr.decode().splitlines() if "user_count" not in line]
    assert said == [
        "gpu_session_count non-histogram and non-summary metrics should not have "
        '"_count" suffix'
    ]


def test_labels_of_the_pod_that_is_scraped(simulated, serve, tmp_path):
    """In a cluster the daemon's own pod is a label of the target: the sessions' win."""
    node = simulated("default")
    daemon = serve(node)
    daemon.wait_collected()
    own = {"namespace": "monitoring", "pod": "gpu-sessions-x", "container": "exporter"}
    with running_prometheus(tmp_path / "p", f"""
  - job_name: cluster
    honor_labels: true
    static_configs: [{{targets: ["{target(daemon.url)}"], labels: {own}}}]
""") as prometheus:
        prometheus.wait("gpu_total_sessions", "a scrape")
        found = prometheus.rows("gpu_process_info == 1")
    sessions = node.json()["sessions"]
    assert len(found) == len(sessions)
    by_pid = {(s["gpu"], str(s["pid"])): s for s in sessions}
    for labels, _ in found:
        session = by_pid[labels["gpu"], labels["pid"]]
        for name in own:
            assert labels.get(name, "") == (session[name] or "")


# --- secured ------------------------------------------------------------------------------

WEB_CONFIG = """
tls_server_config: {cert_file: server.pem, key_file: server.key}
basic_auth_users:
  prometheus: $2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW
"""
PASSWORD = "secret"

SECURED_JOBS = """
  - job_name: trusted
    scheme: https
    tls_config: {{ca_file: {ca}}}
    basic_auth: {{username: prometheus, password: {password}}}
    static_configs: [{{targets: ["{target}"]}}]
  - job_name: nobody
    scheme: https
    tls_config: {{ca_file: {ca}}}
    static_configs: [{{targets: ["{target}"]}}]
  - job_name: unencrypted
    basic_auth: {{username: prometheus, password: {password}}}
    static_configs: [{{targets: ["{target}"]}}]
"""


def test_tls_and_a_password(simulated, serve, tmp_path):
    """Also by a server that had to be started anew, and with another certificate."""
    folder = tmp_path / "web"
    folder.mkdir()
    make_ca(folder, "ca")
    for name in ("server", "next"):
        make_certificate(folder, name, sans="IP:127.0.0.1")
    (folder / "web.yml").write_text(WEB_CONFIG)
    daemon = serve(simulated("default"), f"--web.config.file={folder / 'web.yml'}")
    jobs = SECURED_JOBS.format(
        ca=folder / "ca.pem", password=PASSWORD, target=target(daemon.metrics_url)
    )
    with running_prometheus(tmp_path / "p", jobs, interval="500ms") as prometheus:
        prometheus.wait("count(gpu_process_info)", "the sessions have been scraped")
        prometheus.wait("count(up) == 3", "all jobs have been tried")

        def await_scrapes(count):
            scrapes = 'count_over_time(up{job="trusted"}[10m])'
            ((_, before),) = prometheus.rows(scrapes)
            prometheus.wait(f"{scrapes} >= {before + count}", "more scrapes")

        await_scrapes(1)
        (server,) = daemon.children("gpu-sess-web")
        os.kill(server, signal.SIGKILL)
        prometheus.wait("gpu_session_server_restarts_total == 1", "the restart")
        for end in ("pem", "key"):
            (folder / f"next.{end}").replace(folder / f"server.{end}")
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: "reloading" in daemon.log, "the reload")
        await_scrapes(3)
        assert prometheus.rows('min_over_time(up{job="trusted"}[10m])')[0][1] == 1
        for job in ("nobody", "unencrypted"):
            assert prometheus.rows(f'max_over_time(up{{job="{job}"}}[10m])')[0][1] == 0


# --- misfortunes --------------------------------------------------------------------------


class Patient:
    """A daemon to which something happens: from begin(), which returns when it shows, to
    end(), and some time later it is well again."""

    def __init__(self, node, daemon):
        self.node, self.daemon = node, daemon

    def state(self):
        return node_state.live(self.node.directory / "node.state")

    def wait(self, condition, what):
        return self.daemon.wait(condition, what, timeout=90)

    def wait_without_rows(self):
        self.wait(lambda page: not is_up(page) and not has_sessions(page), "the rows dropped")

    def kill(self, name, family, **labels):
        """Kills the child NAME; until the restart is counted and all is well again."""
        (pid,) = self.daemon.children(name)
        os.kill(pid, signal.SIGKILL)
        self.wait(lambda page: value(page, family, **labels) >= 1, "the restart")
        self.wait(self.is_well, "well again")

    def end(self):
        """For what is over by itself."""

    def is_well(self, page):
        return is_up(page) and has_sessions(page)


class Hang(Patient):
    def begin(self):
        wake(self.node, EVERYWHERE)
        self.wait_without_rows()

    def end(self):
        sleep_again(self.node)


class Crash(Hang):
    pass


class Gone(Patient):
    """No driver, as between unloading and loading another version."""

    def begin(self):
        self.library = self.node.directory / "libnvidia-ml.so.1"
        self.library.rename(self.library.with_suffix(".aside"))
        set_fault(self.node, "nvmlDevice*", index=1)
        self.wait_without_rows()

    def end(self):
        set_fault(self.node, "nvmlNothing", index=1)
        self.library.with_suffix(".aside").rename(self.library)


class SickGpu(Patient):
    """One whose calls crash; it is asked again after half a minute, so not in this test."""

    def begin(self):
        wake(self.node, ABOUT_GPU_1)
        self.wait(lambda page: value(page, "gpu_session_count", gpu="1") is None, "left out")

    def is_well(self, page):
        return has_sessions(page)


class LostGpu(Patient):
    def begin(self):
        self.state().gpus[1].lost = 15
        self.wait(lambda page: value(page, "gpu_session_count", gpu="1") is None, "lost")

    def end(self):
        self.state().gpus[1].lost = 0

    def is_well(self, page):
        return value(page, "gpu_session_count", gpu="1") == 1


class MigChanged(Patient):
    def begin(self):
        state = self.state()
        victim = state.migs[0]
        old = f"{victim.gpu}_{victim.gi}_{victim.ci}"
        for process in state.processes:
            if (process.gpu, process.gi, process.ci) == (victim.gpu, victim.gi, victim.ci):
                process.alive = 0
        victim.gi, victim.uuid = 2, b"MIG-11111111-2222-3333-4444-555555555555"
        self.wait(lambda page: value(page, "gpu_session_count", gpu=old) is None, "changed")


class WorkerKilled(Patient):
    def begin(self):
        for _ in range(2):
            self.kill("gpu-sessions", "gpu_session_collector_restarts_total", reason="crashed")


class ServerKilled(Patient):
    """Between two scrapes: one that is being answered dies with its server."""

    def begin(self):
        scraped = f'timestamp(up{{instance="{target(self.daemon.url)}"}})'
        before = self.prometheus.query(scraped)
        wait_until(lambda: self.prometheus.query(scraped) != before, "a scrape has ended")
        self.kill("gpu-sess-web", "gpu_session_server_restarts_total")


class Released(Patient):
    def begin(self):
        self.daemon.signal(signal.SIGUSR1)
        self.wait_without_rows()

    def end(self):
        self.daemon.signal(signal.SIGUSR2)


@pytest.fixture
def patients(dormant, simulated, serve):
    def start(kind, node):
        daemon = serve(node, "--timeout=1s")
        daemon.wait(has_sessions, "the first collection")
        return kind(node, daemon)

    return [
        start(Gone, dormant("return")),
        start(SickGpu, dormant("crash", gpu=1)),
        start(LostGpu, dormant("return")),
        start(MigChanged, simulated("mig")),
        start(WorkerKilled, dormant("return")),
        start(ServerKilled, dormant("return")),
        start(Released, dormant("return")),
        # Last: what goes on hanging or crashing is tried less and less often.
        start(Hang, dormant("stall")),
        start(Crash, dormant("crash")),
    ]


def scrape_jobs(patients):
    return "".join(
        f"  - {{job_name: {type(patient).__name__}, "
        f'static_configs: [{{targets: ["{target(patient.daemon.url)}"]}}]}}\n'
        for patient in patients
    )


def assert_stale_rows_are_gone(prometheus, patients):
    """What the daemon does not say any more is over at the next scrape, not in 5 minutes."""
    for patient in patients:
        job = type(patient).__name__
        if isinstance(patient, (Hang, Gone, Released)):
            prometheus.wait(f'absent(gpu_process_info{{job="{job}"}})', f"{job}: no sessions")
            prometheus.wait(f'gpu_session_source_up{{job="{job}",source="nvml"}} == 0', "down")
        elif isinstance(patient, (SickGpu, LostGpu)):
            prometheus.wait(f'absent(gpu_session_count{{job="{job}",gpu="1"}})', "no GPU 1")
            prometheus.wait(f'gpu_session_count{{job="{job}",gpu="0"}} == 1', "but GPU 0")


def test_up_through_every_misfortune(patients, tmp_path):
    """Every daemon has a misfortune of its own; a single Prometheus scrapes them all."""
    for patient in patients:
        patient.daemon.wait(has_sessions, "the first collection")
    with running_prometheus(
        tmp_path / "p", scrape_jobs(patients), interval="500ms"
    ) as prometheus:
        prometheus.wait(f"count(gpu_session_source_up{{source='nvml'}}) == {len(patients)}",
                        "all have been scraped")
        for patient in patients:
            patient.prometheus = prometheus
            patient.begin()
        assert_stale_rows_are_gone(prometheus, patients)
        for patient in patients:
            patient.end()
        for patient in patients:
            patient.wait(patient.is_well, "well again")
        scrapes = "count_over_time(up[10m])"
        before = dict(prometheus.query(f"sum({scrapes})"))[()]
        prometheus.wait(f"sum({scrapes}) > {before + 2 * len(patients)}", "two more scrapes")
        # No scrape was missed, and no counter has ever fallen.
        assert prometheus.rows("min_over_time(up[10m]) == 0") == []
        for name in prometheus.get("label/__name__/values"):
            if name.endswith("_total") and not name.startswith("scrape"):
                assert prometheus.rows(f"resets({name}[10m]) > 0") == [], name
        for job, reason in (
            ("Hang", "timeout"), ("Crash", "crashed"), ("SickGpu", "crashed"),
            ("WorkerKilled", "crashed"),
        ):
            counter = "gpu_session_collector_restarts_total"
            assert prometheus.rows(f'{counter}{{job="{job}",reason="{reason}"}} >= 1'), job
        assert prometheus.rows('gpu_session_server_restarts_total{job="ServerKilled"} == 1')
        assert not any(patient.daemon.zombies() for patient in patients)
