"""TLS, client certificates, passwords, rate limit and headers of the web configuration, by
real clients against the server process, and their change while it runs.
"""

import base64
import concurrent.futures
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from certificates import make_ca, make_certificate
from harness import LineProgram, find_program

DATA = Path(__file__).parents[1] / "data/web_config"
HASHES = {  # bcrypt of cost 4: tests need no slow ones
    "secret": "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "other": "$2y$04$abcdefghijklmnopqrstuu0HtfOlPbTiymk5tcV.3TsFPDd3SYZqu",
}
SLOW_HASH = "$2a$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u"  # of "secret"


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    make_ca(folder, "ca")
    make_ca(folder, "stranger")
    make_certificate(folder, "server")
    make_certificate(folder, "next")
    make_certificate(folder, "rsa", algorithm=("rsa", "rsa_keygen_bits:2048"))
    client = {"sans": "DNS:prom.example,IP:10.1.2.3,URI:spiffe://a/b,email:a@b.example",
              "usage": "clientAuth"}
    make_certificate(folder, "client", **client)
    make_certificate(folder, "forged", ca="stranger", **client)
    make_certificate(folder, "expired", days="-1", **client)
    make_certificate(folder, "wrong_usage", sans=client["sans"])
    return folder


class Server(LineProgram):
    """The server process with one page, and clients for it."""

    def __init__(self, build, folder, config, pki, findings):
        self.folder, self.pki = folder, pki
        self.file = folder / "web.yml"
        for name in ("server.pem", "server.key", "ca.pem"):
            shutil.copy(pki / name, folder)
        self.file.write_text(config)
        (folder / "part").write_text("# page\n")
        self.log = (folder / "log").open("w+")
        options = f"log_path={findings}/report"
        self.process = subprocess.Popen(
            [build / "tests/server/serve_pages", "100", "5000", "5000", "60000", "/metrics",
             self.file],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env=os.environ | {name: options for name in
                              ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")},
        )
        line = self.process.stdout.readline().split()
        self.port = int(line[1]) if line[:1] == ["ports"] else None
        if self.port:
            self.tell(f"part 0 {folder / 'part'}")
            assert self.ask("page 600000") == "done"

    def reload(self, config=None):
        if config is not None:
            self.file.write_text(config)
        assert self.ask("reload") == "done"

    def counts(self):
        return {name: int(number) for name, number in
                (pair.split("=") for pair in self.ask("count").split()[1:])}

    def logged(self):
        return (self.folder / "log").read_text()

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(20)
        self.process.stdout.close()
        self.log.close()

    def context(self, certificate=None, version=None, ciphers=None):
        context = ssl.create_default_context(cafile=self.pki / "ca.pem")
        if certificate:
            context.load_cert_chain(self.pki / f"{certificate}.pem",
                                    self.pki / f"{certificate}.key")
        if version:
            context.minimum_version = context.maximum_version = version
        if ciphers:
            context.set_ciphers(ciphers)
        return context

    def connect(self, **options):
        """A TLS connection after a whole exchange, and the status of its answer."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection = http.client.HTTPConnection("localhost")
        try:
            connection.sock = self.context(**options).wrap_socket(
                raw, server_hostname="localhost")
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            answer.read()
        except BaseException:
            raw.close()
            connection.close()
            raise
        return connection, answer.status

    def exchange(self, **options):
        connection, status = self.connect(**options)
        connection.close()
        return status

    def is_refused(self, **options):
        """Is the client sent away before an answer to a request?"""
        try:
            self.exchange(**options)
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            return True
        return False

    def get(self, authorization=None, path="/metrics"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": authorization} if authorization is not None else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def serve(build, pki, tmp_path):
    findings = tmp_path / "findings"
    findings.mkdir()
    servers = []

    def start(config):
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        servers.append(Server(build, folder, config, pki, findings))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
    reports = [path.read_text(errors="replace") for path in findings.iterdir()]
    assert not reports, "\n".join(reports)


TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
VERIFY = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
USERS = f"basic_auth_users:\n  ann: {HASHES['secret']}\n  bob: {HASHES['other']}\n"


# TLS


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls(serve, version):
    server = serve(TLS)
    assert server.exchange(version=version) == 200
    # who speaks no TLS gets no HTTP
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        server.get()


@pytest.mark.parametrize(
    ("bounds", "allowed"),
    [("  min_version: TLS13\n", "TLSv1_3"), ("  max_version: TLS12\n", "TLSv1_2")],
)
def test_version_bounds(serve, bounds, allowed):
    server = serve(TLS + bounds)
    for name in ("TLSv1_2", "TLSv1_3"):
        refused = server.is_refused(version=getattr(ssl.TLSVersion, name))
        assert refused == (name != allowed), name


def test_cipher_suites(serve):
    server = serve(TLS + "  max_version: TLS12\n"
                   "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n")
    assert server.exchange(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384") == 200
    assert server.is_refused(ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")


def test_curves(serve, pki, tmp_path):
    for name in ("rsa.pem", "rsa.key"):
        shutil.copy(pki / name, tmp_path)
    server = serve(TLS.replace("server.", f"{tmp_path}/rsa.")
                   + "  curve_preferences: [CurveP384]\n")
    for version in ("-tls1_2", "-tls1_3"):
        for curve in ("P-384", "P-256", "X25519"):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", version,
                 "-curves", curve, "-CAfile", pki / "ca.pem"], input=b"", capture_output=True)
            assert (done.returncode == 0) == (curve == "P-384"), (version, curve)


def test_inline_certificate(serve, pki):
    def block(key, name):
        text = (pki / name).read_text()
        return f"  {key}: |\n" + "".join(f"    {line}\n" for line in text.splitlines())

    server = serve("tls_server_config:\n" + block("cert", "rsa.pem") + block("key", "rsa.key"))
    assert server.exchange() == 200


@pytest.mark.parametrize(
    ("policy", "welcome"),
    [
        ("NoClientCert", {None, "client", "forged"}),
        ("RequestClientCert", {None, "client", "forged", "expired", "wrong_usage"}),
        ("RequireAnyClientCert", {"client", "forged", "expired", "wrong_usage"}),
        ("VerifyClientCertIfGiven", {None, "client"}),
        ("RequireAndVerifyClientCert", {"client"}),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates(serve, policy, welcome, version):
    ca = "" if policy == "NoClientCert" else "  client_ca_file: ca.pem\n"
    server = serve(TLS + ca + f"  client_auth_type: {policy}\n")
    for name in (None, "client", "forged", "expired", "wrong_usage"):
        if policy == "NoClientCert" and name in ("expired", "wrong_usage"):
            continue
        refused = server.is_refused(certificate=name, version=version)
        assert refused == (name not in welcome), name


def test_refusal_is_in_the_handshake(serve):
    """With TLS 1.2 the client sees it before it can send a request, and is told why."""
    server = serve(VERIFY)
    context = server.context(certificate="forged", version=ssl.TLSVersion.TLSv1_2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        with pytest.raises(ssl.SSLError, match="BAD_CERTIFICATE"):
            context.wrap_socket(raw, server_hostname="localhost")


@pytest.mark.parametrize(
    ("san", "is_allowed"),
    [("prom.example", True), ("10.1.2.3", True), ("spiffe://a/b", True),
     ("a@b.example", True), ("other.example", False), ("*.example", False),
     ("10.1.2.4", False), ("client", False)],  # the common name is no alternative name
)
def test_allowed_sans(serve, san, is_allowed):
    server = serve(VERIFY + f"  client_allowed_sans: [none.example, \"{san}\"]\n")
    assert server.is_refused(certificate="client") != is_allowed


# passwords


def test_passwords(serve):
    server = serve(USERS)
    for path in ("/metrics", "/healthz", "/", "/nothing"):
        answer = server.get(path=path)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    for _ in range(2):  # checked, then remembered
        assert server.get(basic("ann", "secret")).status == 200
        assert server.get(basic("bob", "other")).status == 200
        assert server.get(basic("ann", "other")).status == 401
        assert server.get(basic("eve", "secret")).status == 401
    for garbage in ("", "Basic", "Basic ", "Basic !", "Basic YW5u", "Bearer x",
                    "Basic " + "A" * 6000, "Negotiate YW5uOnNlY3JldA=="):
        assert server.get(garbage).status == 401, garbage
    assert server.counts()["unauthorized"] == 4 + 4 + 8


def test_flood_of_wrong_passwords(serve):
    """Beyond the queue's bound 503 at once; a known user is served all the time."""
    server = serve(f"basic_auth_users:\n  ann: {SLOW_HASH}\n")
    assert server.get(basic("ann", "secret")).status == 200
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        flood = [pool.submit(server.get, basic("ann", f"wrong{i}")) for i in range(60)]
        while not all(future.done() for future in flood):
            assert server.get(basic("ann", "secret")).status == 200
    statuses = [future.result().status for future in flood]
    assert set(statuses) == {401, 503}
    counts = server.counts()
    assert counts["password_queue_full"] == statuses.count(503)
    assert counts["unauthorized"] == statuses.count(401)


def test_end_while_passwords_wait(serve):
    server = serve(f"basic_auth_users:\n  ann: {SLOW_HASH}\n")
    sockets = []
    for i in range(10):
        raw = socket.create_connection(("127.0.0.1", server.port))
        raw.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('ann', str(i))}"
                    "\r\n\r\n".encode())
        sockets.append(raw)
    assert server.ask("end") == "exit 0"
    for raw in sockets:
        raw.close()


# rate limit and headers


def test_rate_limit(serve):
    server = serve("rate_limit:\n  interval: 1h\n  burst: 3\n")
    assert [server.get().status for _ in range(5)] == [200, 200, 200, 429, 429]
    assert server.counts()["rate_limit"] == 2


def test_a_wait_takes_one_token(serve):
    server = serve("rate_limit:\n  interval: 1h\n  burst: 2\n" + USERS)
    statuses = [server.get(basic("ann", "secret")).status for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_headers_are_on_every_answer(serve):
    headers = ("http_server_config:\n  http2: true\n  headers:\n"
               "    X-Frame-Options: deny\n    X-Content-Type-Options: nosniff\n"
               "    Content-Security-Policy: default-src 'self'\n")
    server = serve(headers + USERS)
    for path in ("/metrics", "/healthz", "/", "/nothing", "/readyz", "/api/v1/sessions"):
        for authorization in (basic("ann", "secret"), None):
            found = server.get(authorization, path).headers
            assert found.get_all("X-Frame-Options") == ["deny"]
            assert found.get_all("X-Content-Type-Options") == ["nosniff"]
            assert found.get_all("Content-Security-Policy") == ["default-src 'self'"]
    server.reload("")
    assert server.get().headers.get_all("X-Frame-Options") is None
    server.reload(headers)
    assert server.get().headers.get_all("X-Frame-Options") == ["deny"]


# changes


def test_new_certificate(serve, pki):
    """New connections get it; one that is open goes on."""
    server = serve(TLS)

    def serial():
        context = server.context()
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as connection:
                return connection.getpeercert()["serialNumber"]

    before = serial()
    connection, status = server.connect()
    assert status == 200
    shutil.copy(pki / "next.pem", server.folder / "server.pem")
    shutil.copy(pki / "next.key", server.folder / "server.key")
    server.reload()
    assert serial() != before
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 200
    connection.close()


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "did not happen"


def test_change_is_noticed_without_a_signal(serve):
    server = serve(USERS)
    assert server.get(basic("ann", "secret")).status == 200
    new = server.folder / "new.yml"
    new.write_text(f"basic_auth_users:\n  ann: {HASHES['other']}\n")
    new.rename(server.file)
    wait_until(lambda: server.get(basic("ann", "other")).status == 200)
    assert server.get(basic("ann", "secret")).status == 401


def test_changed_password_counts_on_an_open_connection(serve):
    server = serve(USERS)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def status():
        connection.request("GET", "/", headers={"Authorization": basic("ann", "secret")})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert status() == 200
    server.reload(f"basic_auth_users:\n  ann: {HASHES['other']}\n")
    assert status() == 401
    connection.close()


@pytest.mark.parametrize(
    ("broken", "words"),
    [("nonsense: 1\n", "unknown key"), (None, "No such file"),
     (TLS.replace("server.key", "ca.pem"), "cannot use certificate")],
)
def test_broken_change_keeps_the_old_one(serve, broken, words):
    server = serve(TLS + USERS)
    connection, _ = server.connect()
    if broken is None:
        server.file.unlink()
    else:
        server.file.write_text(broken)
    for _ in range(3):
        server.reload()
        assert server.exchange() == 401  # the old one: TLS and passwords
    # Who asks hears each time; the look at the files may have been first.
    refused = server.counts()["web_config_invalid"]
    assert refused in (3, 4)
    assert server.logged().count(words) == refused
    assert server.logged().count("still cannot be used; the old one stays") == refused - 1
    server.reload(TLS)
    assert server.logged().count("was loaded again") == 1
    assert server.exchange() == 200
    connection.close()


def test_tls_on_and_off(serve):
    server = serve("")
    assert server.get().status == 200
    server.reload(TLS)
    assert server.exchange() == 200
    server.reload(USERS)
    assert server.get(basic("ann", "secret")).status == 200


# what is refused from the start


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("basic_auth_users: {ann: secret}\n", "is not a bcrypt hash"),
        (TLS.replace("server.pem", "none.pem"), "cert_file: "),
        (TLS.replace("server.key", "../other.key"), "key_file: "),
        (VERIFY.replace("ca.pem", "server.key"), "has no CA certificate in PEM"),
        (TLS + "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "
         "TLS_AES_256_GCM_SHA384]\n", "cipher_suites: GnuTLS combines"),
    ],
)
def test_invalid_file_ends_the_server(serve, config, words):
    server = serve(config)
    assert server.port is None
    assert words in server.logged()


def test_key_of_another_certificate(serve, pki, tmp_path):
    shutil.copy(pki / "next.key", tmp_path / "other.key")
    server = serve(TLS.replace("server.key", str(tmp_path / "other.key")))
    assert server.port is None
    assert "is not the key of the first certificate in" in server.logged()


# Prometheus's own check of such files


@pytest.mark.parametrize("path", sorted(DATA.glob("*.yml")), ids=lambda path: path.stem)
def test_promtool_agrees(build, pki, path, tmp_path):
    """Files named ours_* have keys, or break rules, that this promtool does not know."""
    for name in ("server.pem", "server.key", "ca.pem"):
        shutil.copy(pki / name, tmp_path)
    file = tmp_path / path.name
    shutil.copy(path, file)
    is_valid = "invalid" not in path.stem
    ours = subprocess.run([build / "tests/server/check_web_config", file],
                          capture_output=True, text=True)
    assert (ours.returncode == 0) == is_valid, ours.stderr
    assert is_valid or str(file) in ours.stderr
    if path.stem.startswith("ours_"):
        return
    theirs = subprocess.run([find_program("promtool"), "check", "web-config", file], capture_output=True,
                            text=True)
    assert (theirs.returncode == 0) == is_valid, theirs.stdout + theirs.stderr
