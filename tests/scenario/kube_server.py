"""A kubelet or an API server, as far as pod lists and watches go: real TLS, real HTTP.

The certificates are made by openssl for each test session. What is answered is set by the
test, while the server runs.
"""

import contextlib
import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

NODE = "node-a"


def make_certificates(folder, name=NODE):
    """An authority, and a certificate of NAME (no address) that it signed."""
    folder = Path(folder)

    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

    for authority in ("ca", "stranger"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", folder / f"{authority}.key", "-out", folder / f"{authority}.crt",
                "-subj", f"/CN={authority}", "-days", "2")
    (folder / "san").write_text(f"subjectAltName=DNS:{name},DNS:localhost\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", folder / "server.key", "-out", folder / "server.csr", "-subj", f"/CN={name}")
    openssl("x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.crt",
            "-CAkey", folder / "ca.key", "-CAcreateserial", "-out", folder / "server.crt",
            "-days", "2", "-extfile", folder / "san")
    return folder


def pod(namespace, name, uid, labels=None, annotations=None, owner=None, version="1", **more):
    """A pod as the API shows it, with a spec and a status that nobody wants."""
    metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": version}
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    if owner:
        kind, owner_name = owner
        metadata["ownerReferences"] = [
            {"kind": "Decoy", "name": "decoy"},
            {"apiVersion": "v1", "kind": kind, "name": owner_name, "uid": "x", "controller": True},
        ]
    spec = {"containers": [{"name": "main", "env": [{"name": "SECRET", "value": "hunter2"}],
                            "metadata": {"name": "decoy", "uid": "decoy"}}]}
    return {"metadata": metadata | more, "spec": spec, "status": {"phase": "Running"}}


def event(kind, an_object):
    return json.dumps({"type": kind, "object": an_object}).encode() + b"\n"


def status(code, reason="Expired", message="too old resource version"):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code}


@dataclass
class Request:
    path: str
    query: dict
    headers: dict
    at: float


@dataclass
class State:
    """What the server answers; a test changes it at any time."""

    pods: list = field(default_factory=list)
    version: str = "100"
    token: str = "token-1"
    refuse: int = 0  # this status for every request
    refuse_watch: int = 0
    watch_delay: float = 0.0  # before the status of a watch
    retry_after: str = ""
    delay: float = 0.0
    body: bytes | None = None  # instead of the list
    endless: bytes = b""  # after the head of the list, for ever
    requests: list = field(default_factory=list)
    watchers: list = field(default_factory=list)

    def lists(self):
        return [r for r in self.requests if "watch" not in r.query]

    def watches(self):
        return [r for r in self.requests if "watch" in r.query]

    def send(self, *events):
        """To every watch that is on."""
        for watcher in list(self.watchers):
            with contextlib.suppress(OSError):
                for one in events:
                    watcher.chunk(one)

    def end_watches(self, orderly=True):
        for watcher in list(self.watchers):
            watcher.stop(orderly)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    @property
    def state(self):
        return self.server.state

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def stop(self, orderly):
        with contextlib.suppress(OSError):
            if orderly:
                self.chunk(b"")
            else:
                self.connection.close()
        self.over.set()

    def answer(self, code, body, **headers):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        state = self.state
        state.requests.append(Request(url.path, query, dict(self.headers), time.monotonic()))
        time.sleep(state.delay + (state.watch_delay if "watch" in query else 0))
        refusal = state.refuse or (state.refuse_watch if "watch" in query else 0)
        if not refusal and self.headers.get("Authorization") != f"Bearer {state.token}":
            refusal = 401
        if refusal:
            more = {"Retry_After": state.retry_after} if state.retry_after else {}
            self.answer(refusal, b"Refused: not JSON at all\n", **more)
        elif "watch" in query:
            self.watch()
        else:
            self.list()

    def list(self):
        state = self.state
        if state.endless:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(b'{"kind":"PodList","items":[')
                while True:
                    self.wfile.write(state.endless)
        body = state.body
        if body is None:
            metadata = {"resourceVersion": state.version} if "fieldSelector" in self.path else {}
            kind = "PartialObjectMetadataList" if metadata else "PodList"
            body = json.dumps({"kind": kind, "apiVersion": "v1", "metadata": metadata,
                               "items": state.pods}).encode()
        self.answer(200, body)

    def watch(self):
        self.over = threading.Event()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        self.state.watchers.append(self)
        self.over.wait(60)
        self.state.watchers.remove(self)
        self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is what some tests are about


@dataclass
class KubeServer:
    state: State
    port: int
    folder: Path
    tmp: Path
    http: Server

    @property
    def token_file(self):
        return self.tmp / "token"

    def set_token(self, token):
        """As the kubelet does it: a new file in place of the old one."""
        fresh = self.tmp / "token.new"
        fresh.write_text(token)
        fresh.rename(self.token_file)

    def kubelet(self, *more):
        return (
            "--kube.metadata=kubelet", f"--kube.kubelet-address=127.0.0.1:{self.port}",
            f"--kube.kubelet-ca-file={self.folder}/ca.crt", f"--kube.token-file={self.token_file}",
            f"--node={NODE}", *more,
        )

    def apiserver(self, *more):
        return (
            "--kube.metadata=apiserver", f"--kube.api-url=https://localhost:{self.port}",
            f"--kube.ca-file={self.folder}/ca.crt", f"--kube.token-file={self.token_file}",
            f"--node={NODE}", *more,
        )


@contextlib.contextmanager
def running(folder, tmp):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.state = State()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    kube = KubeServer(server.state, server.server_address[1], folder, Path(tmp), server)
    kube.set_token(server.state.token)
    try:
        yield kube
    finally:
        server.state.end_watches()
        server.shutdown()
        thread.join()
        server.server_close()
