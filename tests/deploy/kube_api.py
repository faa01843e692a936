"""An API server with a list of nodes, as far as `helm --dry-run=server` asks: real TLS, real HTTP."""

import contextlib
import http.server
import json
import ssl
import tempfile
import threading
from pathlib import Path

import yaml

import kube_server

RESOURCES = {
    "v1": [("nodes", "Node", False), ("pods", "Pod", True), ("secrets", "Secret", True),
           ("serviceaccounts", "ServiceAccount", True), ("services", "Service", True)],
    "batch/v1": [("cronjobs", "CronJob", True)],
    "apps/v1": [("daemonsets", "DaemonSet", True)],
}


def node(name, taints=(), **labels):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
            "spec": {"taints": list(taints)}}


def discovery(group_version):
    listed = [{"name": name, "singularName": kind.lower(), "namespaced": is_namespaced,
               "kind": kind, "verbs": ["get", "list", "create"]}
              for name, kind, is_namespaced in RESOURCES[group_version]]
    return {"kind": "APIResourceList", "groupVersion": group_version, "resources": listed}


def groups():
    return [{"name": version.split("/")[0], "preferredVersion": {"groupVersion": version, "version": "v1"},
             "versions": [{"groupVersion": version, "version": "v1"}]}
            for version in RESOURCES if "/" in version]


def failure(reason, code, message):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
            "code": code, "message": message}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0]
        answers = {
            "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups()},
            "/api/v1": discovery("v1"),
            "/api/v1/nodes": {"kind": "NodeList", "apiVersion": "v1", "metadata": {},
                              "items": self.server.nodes},
            "/api/v1/namespaces/monitoring/secrets": {"kind": "SecretList", "apiVersion": "v1",
                                                      "metadata": {}, "items": []},
        } | {f"/apis/{version}": discovery(version) for version in RESOURCES if "/" in version}
        found, code = answers.get(path), 200
        if not found:
            found, code = failure("NotFound", 404, f"no {path}"), 404
        elif path == "/api/v1/nodes" and self.server.nodes is None:
            found, code = failure("Forbidden", 403, "you may not list nodes"), 403
        body = json.dumps(found).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Cluster:
    """KUBECONFIG leads to the server; its NODES are a test's to set."""

    def __init__(self, server, folder):
        self.server, self.kubeconfig = server, Path(folder) / "kubeconfig"
        cluster = {"server": f"https://localhost:{server.server_address[1]}",
                   "certificate-authority": f"{folder}/ca.crt"}
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": {"token": "token"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }))

    def set_nodes(self, *nodes):
        self.server.nodes = list(nodes)

    def refuse_nodes(self):
        """To who asks: he may not list them."""
        self.server.nodes = None


@contextlib.contextmanager
def running():
    with tempfile.TemporaryDirectory() as folder:
        certificates = kube_server.make_certificates(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.nodes = []
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Cluster(server, folder)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
