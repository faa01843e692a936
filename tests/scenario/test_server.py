"""The server process alone, over real sockets, fed by tests/server/serve_pages."""

import contextlib
import gzip
import http.client
import json
import os
import re
import resource
import socket
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from harness import ROOT, LineProgram, clean_environment, wait_until

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
    "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
REQUESTS = sorted((ROOT / "tests/data/requests").glob("*.bin"))
FOR_LONG_MS = 3_600_000

# Of enum page_part, in its order.
PARTS = {
    "MEASURED_TEXT": "# HELP gpu_session_count Sessions.\n# TYPE gpu_session_count gauge\n"
    'gpu_session_count{gpu="0"} 2\n',
    "STATUS_TEXT": "# HELP collects_total Collections.\n# TYPE collects_total counter\n"
    "collects_total 3\n",
    "PROCESS_TEXT": "# HELP process_fds Files.\n# TYPE process_fds gauge\nprocess_fds 5\n",
    "STATUS_OPENMETRICS": "# HELP collects Collections.\n# TYPE collects counter\n"
    "collects_total 3\n# HELP process_fds Files.\n# TYPE process_fds gauge\nprocess_fds 5\n",
    "STATUS_JSON": '"state":"fresh"',
    "SESSIONS_JSON": '"sessions":[{"pid":1}]',
    "DEVICES_JSON": '"devices":[{"gpu":"0"}]',
    "STALE_TEXT": "# HELP collects_total Collections.\n# TYPE collects_total counter\n"
    "collects_total 4\n",
    "STALE_OPENMETRICS": "# HELP collects Collections.\n# TYPE collects counter\n"
    "collects_total 4\n",
    "STALE_JSON": '"state":"stale"',
    "NOT_READY": "",
}
TEXT = PARTS["MEASURED_TEXT"] + PARTS["STATUS_TEXT"] + PARTS["PROCESS_TEXT"]


class Server(LineProgram):
    """The server process and its feeder, spoken to line by line."""

    def __init__(self, process, folder):
        self.process = process
        self.folder = folder
        _, port, other_port, _, pid = process.stdout.readline().split()
        self.port, self.other_port, self.pid = int(port), int(other_port), int(pid)

    def part(self, name, text):
        number = list(PARTS).index(name)
        path = self.folder / f"part{number}"
        path.write_text(text)
        self.tell(f"part {number} {path}")

    def page(self, lifetime_ms=FOR_LONG_MS):
        assert self.ask(f"page {lifetime_ms}") == "done"

    def counts(self):
        pairs = (pair.split("=") for pair in self.ask("count").split()[1:])
        return {name: int(value) for name, value in pairs}

    def connect(self, receive_buffer=None, port=None):
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(20)
        client.connect(("127.0.0.1", port or self.port))
        return client

    def get(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=names)
            response = connection.getresponse()
            return response, response.read()

    def text(self, path, **headers):
        response, body = self.get(path, **headers)
        assert response.status == 200
        return body.decode()

    def resident_bytes(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@pytest.fixture
def start_server(build, tmp_path):
    """start_server(limits…) → Server with a page, as the sanitizers allow."""
    findings = tmp_path / "sanitizer"
    findings.mkdir()
    options = f"log_path={findings}/report:exitcode=99"
    servers = []

    def start(*, connections=512, request_ms=60_000, response_ms=60_000, idle_ms=60_000,
              path="/metrics", page=True, open_files=None):

        def limit_open_files():
            if open_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

        process = subprocess.Popen(
            [build / "tests/server/serve_pages", str(connections), str(request_ms),
             str(response_ms), str(idle_ms), path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=clean_environment(ASAN_OPTIONS=options, UBSAN_OPTIONS=options),
            preexec_fn=limit_open_files,
        )
        server = Server(process, tmp_path)
        servers.append(server)
        for name, text in PARTS.items():
            server.part(name, text)
        if page:
            server.page()
        return server

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.stdin.close()
            assert "exit 0" in server.process.stdout.read()
            server.process.wait(timeout=20)
    reports = [path.read_text(errors="replace") for path in sorted(findings.iterdir())]
    assert not reports, "\n".join(reports)


@pytest.fixture
def server(start_server):
    return start_server()


def request_line(path="/metrics", *headers):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def receive_all(client):
    """Until the server closes; None when it cut the connection off."""
    received = b""
    try:
        while data := client.recv(1 << 20):
            received += data
    except ConnectionError:
        return None
    return received


def is_closed(client):
    """True once the server has ended the connection, whatever was left to read."""
    client.setblocking(False)
    try:
        while client.recv(1 << 20):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


# --- routes and formats -------------------------------------------------------------------


def test_documents(server):
    assert server.text("/metrics") == TEXT
    assert json.loads(server.text("/api/v1/sessions")) == {
        "state": "fresh", "sessions": [{"pid": 1}],
    }
    assert json.loads(server.text("/api/v1/devices")) == {
        "state": "fresh", "devices": [{"gpu": "0"}],
    }
    assert server.text("/healthz") == "ok\n"
    assert server.text("/readyz") == "ready\n"


def test_query_string_is_ignored(server):
    assert server.text("/metrics?name[]=x&y") == server.text("/metrics")


def test_landing_page(server):
    response, body = server.get("/")
    page = body.decode()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    for target in re.findall(r'href="([^"]*)"', page):
        assert server.get(target)[0].status == 200
    assert 'lang="en"' in page and "<title>" in page and "<h1>" in page
    assert "<script" not in page and "style" not in page


@pytest.mark.parametrize("path", ["/nope", "/metrics/", "/index.html", "//", "/API/v1/devices"])
def test_not_found(server, path):
    response, body = server.get(path)
    assert (response.status, body) == (404, b"not found\n")


def test_configured_path_wins(start_server):
    server = start_server(path="/readyz")
    assert server.text("/readyz") == TEXT
    assert server.get("/metrics")[0].status == 404
    assert 'href="/readyz"' in server.text("/")


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/api/v1/sessions", "/nope"])
def test_head_is_get_without_body(server, path):
    response, body = server.get(path)
    head, nothing = server.get(path, method="HEAD")
    assert nothing == b""
    assert head.status == response.status
    names = ("Content-Type", "Content-Length", "Cache-Control", "Vary")
    assert [head.headers[n] for n in names] == [response.headers[n] for n in names]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "X"])
def test_other_methods(server, method):
    response, _ = server.get("/metrics", method=method, Content_Length="0")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
    assert server.counts()["method"] == 1


def test_common_headers(server):
    for path in ("/metrics", "/api/v1/devices", "/", "/healthz", "/nope"):
        headers = server.get(path)[0].headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert server.get("/metrics")[0].headers["Vary"] == "Accept, Accept-Encoding"
    assert server.get("/api/v1/devices")[0].headers["Vary"] == "Accept-Encoding"


def test_formats_by_the_official_parsers(server):
    response, body = server.get("/metrics")
    assert response.headers["Content-Type"] == TEXT_TYPE
    names = {family.name for family in parse_text(body.decode())}
    assert names == {"gpu_session_count", "process_fds", "collects"}

    response, body = server.get("/metrics", Accept=PROMETHEUS_2_42)
    assert response.headers["Content-Type"] == OPENMETRICS
    assert body.endswith(b"# EOF\n")
    names = {family.name for family in parse_openmetrics(body.decode())}
    assert names == {"gpu_session_count", "collects", "process_fds"}


def test_gzip(server):
    rows = "".join(f'gpu_session_count{{gpu="{i}"}} {i}\n' for i in range(5000))
    server.part("MEASURED_TEXT", "# TYPE gpu_session_count gauge\n" + rows)
    server.page()
    for accept, headers in ((TEXT_TYPE, {}), (OPENMETRICS, {"Accept": PROMETHEUS_2_42})):
        plain, expected = server.get("/metrics", **headers)
        packed, body = server.get("/metrics", Accept_Encoding="gzip", **headers)
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Content-Type"] == accept
        assert len(body) < len(expected) / 5
        assert gzip.decompress(body) == expected
        refused, body = server.get("/metrics", Accept_Encoding="gzip;q=0", **headers)
        assert "Content-Encoding" not in refused.headers
        assert body == expected
    # Too small to be worth it.
    assert "Content-Encoding" not in server.get(
        "/api/v1/devices", Accept_Encoding="gzip")[0].headers


def test_keep_alive_and_pipelining(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with contextlib.closing(connection):
        connection.connect()
        first = connection.sock
        for path in ("/metrics", "/nope", "/healthz"):
            connection.request("GET", path)
            connection.getresponse().read()
            assert connection.sock is first
    with server.connect() as client:
        last = request_line("/healthz", "Connection: close")
        client.sendall(request_line() * 20 + last)
        received = receive_all(client)
    assert received.count(b"HTTP/1.1 200 OK") == 21
    assert received.count(PARTS["MEASURED_TEXT"].encode()) == 20
    assert received.endswith(b"ok\n")


def test_http_1_0(server):
    with server.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        received = receive_all(client)
    assert b" 200 OK\r\n" in received and received.endswith(b"ok\n")


# --- pages --------------------------------------------------------------------------------


def test_before_the_first_page(start_server):
    server = start_server(page=False)
    assert server.text("/healthz") == "ok\n"
    for path in ("/metrics", "/readyz", "/api/v1/sessions"):
        response, body = server.get(path)
        assert (response.status, body) == (503, b"no collection yet\n")
    server.page()
    assert server.text("/readyz") == "ready\n"


def test_stale_page(server):
    server.page(lifetime_ms=0)
    assert server.text("/metrics") == PARTS["STALE_TEXT"]
    assert server.text("/metrics", Accept=PROMETHEUS_2_42) == PARTS["STALE_OPENMETRICS"] + "# EOF\n"
    for path in ("/api/v1/sessions", "/api/v1/devices"):
        assert json.loads(server.text(path)) == {"state": "stale"}
    response, body = server.get("/readyz")
    assert response.status == 503
    assert re.fullmatch(rb"nothing was collected for \d+ seconds\n", body)
    assert server.text("/healthz") == "ok\n"
    server.page()
    assert server.text("/metrics") == TEXT
    assert server.text("/readyz") == "ready\n"


def test_page_becomes_stale_by_itself(server):
    server.page(lifetime_ms=300)
    wait_until(lambda: server.text("/metrics") == PARTS["STALE_TEXT"], "the stale document")


def test_not_ready(server):
    server.part("NOT_READY", "no driver\nno pods\n")
    server.page()
    response, body = server.get("/readyz")
    assert (response.status, body) == (503, b"no driver\nno pods\n")
    assert server.text("/metrics") == TEXT


def test_other_frames_change_nothing(server):
    before = server.text("/metrics")
    assert server.ask("ping") == "done"
    assert server.ask("reload") == "done"
    assert server.text("/metrics") == before


def test_end_of_the_pipe(server):
    with server.connect() as idle:
        assert server.ask("end") == "exit 0"
        # At its end, or reset when the server had not come to accept it.
        assert not receive_all(idle)
    server.process.wait(timeout=20)


def test_damaged_pipe(server):
    server.tell("damage")
    server.process.stdin.close()
    assert "exit 1" in server.process.stdout.read()
    server.process.wait(timeout=20)


def test_signals_are_the_parents_business(server):
    for number in (1, 2, 10, 12, 13, 15):
        os.kill(server.pid, number)
    assert server.text("/healthz") == "ok\n"


def test_ends_with_its_parent(server):
    server.process.kill()
    server.process.wait()

    def is_gone():
        try:
            return Path(f"/proc/{server.pid}/stat").read_text().split()[2] == "Z"
        except FileNotFoundError:
            return True

    wait_until(is_gone, "the server ends with its parent")


# --- hostile clients ----------------------------------------------------------------------


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_malformed_request(server, path):
    with server.connect() as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(path.read_bytes())
        assert server.text("/metrics") == TEXT
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        received = receive_all(client) or b""
    # What looks like a second request was none. (libmicrohttpd 0.9.75 writes the head of
    # some refusals twice, the second as if it were the body, and closes.)
    assert received.count(b"HTTP/1.1 200 ") <= 1
    assert path.stem != "body_hides_request" or b" 200 " not in received
    assert server.text("/healthz") == "ok\n"


def test_malformed_requests_are_counted(server):
    for name in ("host_missing", "http2_preface", "header_long", "length_negative"):
        with server.connect() as client:
            client.sendall((ROOT / f"tests/data/requests/{name}.bin").read_bytes())
            receive_all(client)
    assert server.counts()["malformed_request"] == 4


@pytest.mark.parametrize("lines", [1, 10, 100])
def test_large_headers_up_to_the_bound(server, lines):
    size = 8192 - len(request_line())
    filler = [f"X-{i:03}: ".ljust(size // lines - 2, "a") for i in range(lines)]
    with server.connect() as client:
        client.sendall(request_line("/metrics", "Connection: close", *filler))
        assert receive_all(client).startswith(b"HTTP/1.1 200 ")


def test_larger_headers_are_refused(server):
    for request, status in (
        (request_line("/" + "a" * 20000), b"414"),
        (request_line("/metrics", "X: " + "a" * 20000), b"431"),
    ):
        with server.connect() as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(request)
            received = receive_all(client)
        assert received is None or received[9:12] == status


def test_body_is_not_read(server):
    for method in ("GET", "POST"):
        with server.connect() as client:
            client.sendall(
                f"{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 34\r\n\r\n".encode()
                + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            received = receive_all(client)
        assert received.startswith(b"HTTP/1.1 413 ")
        assert received.count(b"HTTP/1.1 ") == 1
        assert b"Connection: close" in received


def test_slow_writer(start_server):
    """A byte now and then buys no time."""
    server = start_server(request_ms=400)
    with server.connect() as client:

        def is_cut_off():
            with contextlib.suppress(ConnectionError):
                client.sendall(b"a")
            return server.counts()["slow_request"] == 1

        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
        wait_until(is_cut_off, "the slow writer is cut off")
        assert is_closed(client)


def test_half_open(start_server):
    server = start_server(request_ms=400)
    with server.connect() as client:
        assert receive_all(client) == b""
    wait_until(lambda: server.counts()["slow_request"] == 1, "the count")


def test_idle_between_requests(start_server):
    server = start_server(idle_ms=400)
    with server.connect() as client:
        client.sendall(request_line("/healthz"))
        assert receive_all(client).endswith(b"ok\n")
    assert server.counts()["slow_request"] == 0


def big_page(server):
    server.part("MEASURED_TEXT", "# TYPE x gauge\n" + 'x{text="' + "a" * 8_000_000 + '"} 1\n')
    server.page()


def test_slow_reader(start_server):
    server = start_server(response_ms=400)
    big_page(server)
    with server.connect(receive_buffer=4096) as client:
        client.sendall(request_line())
        client.recv(1)
        wait_until(lambda: server.counts()["slow_request"] == 1, "the slow reader is cut off")
        assert server.text("/healthz") == "ok\n"
        assert receive_all(client) is None


def test_patient_reader_gets_all(start_server):
    """Who goes on reading, however long in all, is not cut off."""
    server = start_server(response_ms=1000)
    big_page(server)
    with server.connect(receive_buffer=65536) as client:
        client.sendall(request_line("/metrics", "Connection: close"))
        received, started = 0, time.monotonic()
        while data := client.recv(1 << 16):
            received += len(data)
            if time.monotonic() - started < 2.5:
                time.sleep(0.02)
    assert received > 8_000_000


def test_readers_of_old_pages(server):
    """However many clients hang on old pages, few of these are kept."""
    big_page(server)
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(15):
            client = stack.enter_context(server.connect(receive_buffer=4096))
            client.sendall(request_line())
            client.recv(1)
            clients.append(client)
            server.page()
        assert server.text("/healthz") == "ok\n"
        assert server.counts()["slow_request"] == 15 - 8
        assert sum(is_closed(client) for client in clients) == 15 - 8


def test_bound_on_connections(start_server):
    server = start_server(connections=10)
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(server.connect())
        clients = [stack.enter_context(server.connect()) for _ in range(9)]
        # The first one is not the longest idle any more.
        served.sendall(request_line("/healthz"))
        served.recv(1000)
        stack.enter_context(server.connect())
        wait_until(lambda: is_closed(clients[0]), "the longest idle has left")
        served.settimeout(20)
        served.sendall(request_line("/healthz"))
        assert served.recv(1000).endswith(b"ok\n")
        assert server.counts()["too_many_connections"] == 1


def test_bound_is_for_all_listeners(start_server):
    server = start_server(connections=4)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(4)]
        for _ in range(4):
            client = stack.enter_context(server.connect(port=server.other_port))
            client.sendall(request_line("/healthz"))
            assert client.recv(1000).endswith(b"ok\n")
        assert server.counts()["too_many_connections"] == 4
        wait_until(lambda: all(map(is_closed, clients)), "the idle ones have left")


def test_few_descriptors(start_server):
    """What the hard limit allows is used, and newcomers are still let in."""
    server = start_server(open_files=200)
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(server.connect())
        assert server.text("/metrics") == TEXT
    assert server.counts()["too_many_connections"] >= 400 - 200


def test_two_thousand_idle_connections(server):
    before = server.descriptors()
    with contextlib.ExitStack() as stack:
        for count in range(2000):
            stack.enter_context(server.connect())
            if count % 200 == 0:
                assert server.text("/metrics") == TEXT
        assert server.text("/metrics") == TEXT
        assert server.counts()["too_many_connections"] >= 2000 - 512
    wait_until(lambda: server.descriptors() == before, "all connections are closed")


@pytest.mark.release_only
def test_memory_is_bounded(start_server):
    """Many pages, many clients, all documents: what is held at the end is one page."""
    server = start_server()
    rows = "".join(f'gpu_session_count{{gpu="{i}"}} {i}\n' for i in range(20000))
    server.part("MEASURED_TEXT", "# TYPE gpu_session_count gauge\n" + rows)

    def work():
        server.page()
        for headers in ({}, {"Accept": PROMETHEUS_2_42}, {"Accept_Encoding": "gzip"}):
            for path in ("/metrics", "/api/v1/sessions", "/readyz"):
                server.get(path, **headers)

    for _ in range(20):
        work()
    before = server.resident_bytes()
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            client = stack.enter_context(server.connect())
            client.sendall(request_line("/metrics", "X: " + "a" * 7000)[:-1])
        for _ in range(80):
            work()
        # 512 connections of 15 KiB, and what the library and malloc add to each.
        assert server.resident_bytes() < before + 512 * 24 * 1024
    wait_until(lambda: server.descriptors() < 32, "all connections are closed")
