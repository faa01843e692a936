"""The HTTP client against a real TLS server: whom it trusts, and what it tells."""

import contextlib
import http.server
import shutil
import ssl
import subprocess
import threading

import pytest

from harness import clean_environment


def make_certificate(folder, name):
    """A self-signed certificate for host NAME: (certificate, key)."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            shutil.which("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate,
        ],
        check=True, capture_output=True,
    )
    return certificate, key


class Handler(http.server.BaseHTTPRequestHandler):
    seen = None

    def do_GET(self):
        self.seen.append(dict(self.headers))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_):
        pass  # clients that break the handshake off


@contextlib.contextmanager
def tls_server(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    seen = []
    server = Server(("127.0.0.1", 0), type("TlsHandler", (Handler,), {"seen": seen}))
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return make_certificate(folder, "node-a"), make_certificate(folder, "node-b")


@pytest.fixture
def probe(build):
    def run(url, ca_file="", connect_to="", token="", prefix=()):
        done = subprocess.run(
            [*prefix, build / "tests/tools/http_probe", url, ca_file, connect_to, token],
            capture_output=True, text=True, timeout=60,
            env=clean_environment(https_proxy="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1"),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def test_trust(probe, certificates):
    (certificate, key), (other, _) = certificates
    with tls_server(certificate, key) as (port, seen):
        there = f"127.0.0.1:{port}"
        good = f"https://node-a:{port}/pods"
        # The name of the URL counts, wherever the connection goes.
        assert probe(good, certificate, there, "word") == "200 5"
        assert seen[-1]["Authorization"] == "Bearer word"
        assert "Accept-Encoding" not in seen[-1]
        asked = len(seen)
        for url, ca_file, words in (
            (good, other, "is not trusted"),
            (good, "", "is not trusted"),
            (f"https://node-b:{port}/pods", certificate, "is not trusted"),
            (good, "/nonexistent.pem", "/nonexistent.pem"),
        ):
            answer = probe(url, ca_file, there, "word")
            assert answer.startswith("tls https://"), answer
            assert words in answer
            assert "word" not in answer.replace("password", "")
        assert len(seen) == asked  # nobody was given the token
        assert probe(f"http://{there}/").split()[0] in ("bad_answer", "timeout")


def with_authorities(folder):
    """A command prefix: its program sees FOLDER as the system's authorities."""
    script = 'mount --bind "$0" /etc/ssl/certs && exec "$@"'
    prefix = ("unshare", "-rm", "sh", "-c", script, folder)
    if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs a mount namespace")
    return prefix


def test_an_authority_of_ones_own_is_the_only_one(probe, certificates, tmp_path):
    """Who signs for the public must not sign for the kubelet."""
    (certificate, key), (other, _) = certificates
    for name in ("ca-certificates.crt", "public.pem"):
        shutil.copy(certificate, tmp_path / name)
    prefix = with_authorities(tmp_path)
    with tls_server(certificate, key) as (port, seen):
        good, there = f"https://node-a:{port}/", f"127.0.0.1:{port}"
        assert probe(good, "", there, prefix=prefix) == "200 5"
        answer = probe(good, other, there, "word", prefix=prefix)
        assert "is not trusted" in answer and len(seen) == 1


def test_address_in_the_certificate(probe, certificates):
    (certificate, key), _ = certificates
    with tls_server(certificate, key) as (port, _):
        assert probe(f"https://127.0.0.1:{port}/", certificate).startswith("tls ")
