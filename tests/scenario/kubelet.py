"""A kubelet's PodResources socket: the real gRPC server, with answers of the test's choice."""

import contextlib
import os
import socket
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc

DATA = Path(__file__).resolve().parents[1] / "data" / "podresources"
SOCKET = "rootfs/var/lib/kubelet/pod-resources/kubelet.sock"

sys.path.insert(0, str(DATA))
api = grpc.protos("podresources_api.proto")


def pod(namespace, name, **containers):
    """containers: name=[(resource, id, …), …]; ids of one resource share one entry."""
    message = api.PodResources(name=name, namespace=namespace, cpu_ids=[2, 3])
    for container, resources in containers.items():
        made = message.containers.add(name=container, cpu_ids=range(200))
        made.memory.add(memory_type="memory", size=1 << 33)
        for resource, *ids in resources:
            made.devices.add(resource_name=resource, device_ids=ids).topology.nodes.add(ID=0)
    return message


def claim(message, container, *devices, driver="gpu.nvidia.com"):
    """Gives CONTAINER of a pod a DRA claim for DEVICES."""
    made = message.containers.add(name=container).dynamic_resources.add(claim_name="claim")
    for device in devices:
        part = made.claim_resources.add(
            driver_name=driver, pool_name="node-a", device_name=device, share_id="s"
        )
        part.cdi_devices.add(name=f"k8s.gpu.nvidia.com/claim=1-{device}")
    return message


def pods(*messages):
    return api.ListPodResourcesResponse(pod_resources=messages).SerializeToString()


class Kubelet:
    """Serves on the socket until stop(); ANSWER is bytes, or a function of gRPC's context."""

    def __init__(self, node, answer=b""):
        self.answer, self.calls = answer, 0
        self.path = Path(node.directory) / SOCKET
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.server = None
        self.start()

    def _list(self, request, context):
        self.calls += 1
        return self.answer(context) if callable(self.answer) else self.answer

    def start(self):
        """As a kubelet starts: a new socket is moved over the old one."""
        handler = grpc.unary_unary_rpc_method_handler(
            self._list,
            request_deserializer=api.ListPodResourcesRequest.FromString,
            response_serializer=lambda answer: answer,
        )
        options = [("grpc.max_send_message_length", -1)]
        self.server = grpc.server(futures.ThreadPoolExecutor(4), options=options)
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("v1.PodResourcesLister", {"List": handler}),)
        )
        fresh = self.path.with_name("new.sock")
        self.server.add_insecure_port(f"unix:{fresh}")
        self.server.start()
        os.rename(fresh, self.path)

    def stop(self):
        """The kubelet ends; its socket stays behind, as it does."""
        if self.server:
            self.server.stop(0).wait()
        self.server = None

    def set_age(self, seconds):
        """Makes the socket, and so the kubelet's start, SECONDS old."""
        when = os.stat(self.path).st_mtime - seconds
        os.utime(self.path, (when, when))


@contextlib.contextmanager
def raw_kubelet(node, talk):
    """A socket on which TALK(connection) does what no gRPC server would."""
    path = Path(node.directory) / SOCKET
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def run():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    talk(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield path
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=10)
