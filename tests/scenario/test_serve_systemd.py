"""The daemon under a service manager: what it tells it, and sockets that it is handed.

The tests are the manager: they receive the datagrams of sd_notify(3) and pass listening
sockets as sd_listen_fds(3) describes.
"""

import contextlib
import os
import signal
import socket
import time

import pytest

from harness import EVERYWHERE, has_sessions, is_up, wait_until, wake


class Manager:
    """Receives a service's messages; each is kept with the time of its arrival."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1) if address[0] == "@" else address)
        self.environment = {"NOTIFY_SOCKET": address}
        self.heard = []

    def listen(self, seconds):
        """Takes one message in if it comes within SECONDS; returns its lines or None."""
        self.socket.settimeout(max(seconds, 0.001))
        try:
            lines = self.socket.recv(4096).decode().split("\n")
        except TimeoutError:
            return None
        self.heard.append((time.monotonic(), lines))
        return lines

    def await_line(self, line, timeout=30):
        """Everything heard until a message with LINE has come."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if line in (self.listen(left) or ()):
                return
        raise AssertionError(f"no {line} within {timeout} s, but {self.heard}")

    def await_feedings(self, count, patience):
        """COUNT times WATCHDOG=1, none later than PATIENCE after the one before."""
        for _ in range(count):
            self.await_line("WATCHDOG=1", timeout=patience)


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    address = f"@gpu-sessions-test-{os.getpid()}" if request.param == "abstract" else (
        f"{tmp_path}/notify")
    manager = Manager(address)
    with contextlib.closing(manager.socket):
        yield manager


@pytest.fixture
def watching(tmp_path):
    """A manager that ends a service silent for two seconds."""
    manager = Manager(f"{tmp_path}/notify")
    manager.environment["WATCHDOG_USEC"] = "2000000"
    with contextlib.closing(manager.socket):
        yield manager


PATIENCE = 2


def test_life_of_a_service(simulated, serve, manager):
    daemon = serve(simulated("default"), env=manager.environment)
    manager.await_line("READY=1")
    assert daemon.get("/healthz").status == 200
    manager.await_line("STATUS=all sources answer")
    daemon.signal(signal.SIGHUP)
    manager.await_line("RELOADING=1")
    _, reloading = manager.heard[-1]
    stamp = next(line for line in reloading if line.startswith("MONOTONIC_USEC="))
    assert 0 < int(stamp.split("=")[1]) <= time.monotonic_ns() // 1000
    manager.await_line("READY=1")
    assert daemon.stop() == 0
    manager.await_line("STOPPING=1", timeout=1)
    # Nobody asked to be fed.
    assert not any("WATCHDOG=1" in lines for _, lines in manager.heard)


def test_ready_is_said_when_the_port_answers(simulated, serve, manager):
    daemon = serve(simulated("default"), env=manager.environment)
    manager.await_line("READY=1")
    answer = daemon.get(timeout=1)
    assert answer.status == 200 and "gpu_session_build_info" in answer.text
    assert manager.heard[0][1] == ["READY=1"]


def test_a_service_that_cannot_start_is_not_ready(simulated, program, manager):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = program.run(
            "serve", *simulated("default").flags, f"--web.listen-address={address}",
            env=manager.environment,
        )
    assert done.returncode == 1
    assert manager.listen(0) is None


def test_status_names_the_trouble(simulated, serve, watching):
    serve(simulated("no_driver"), env=watching.environment)
    watching.await_line("READY=1")

    def trouble():
        lines = watching.listen(1) or ()
        return [line for line in lines if line.startswith("STATUS=nvml")]

    assert wait_until(trouble, "a status that names the source")


def test_watchdog_while_idle(simulated, serve, watching):
    serve(simulated("default"), "--collect.interval=1h", env=watching.environment)
    watching.await_line("READY=1")
    watching.await_feedings(4, PATIENCE)


def test_watchdog_is_not_fed_at_every_tick(simulated, serve, watching):
    watching.environment["WATCHDOG_USEC"] = "3600000000"
    daemon = serve(simulated("default"), "--collect.interval=50ms", env=watching.environment)
    for _ in range(3):
        daemon.wait_collected()
    assert daemon.stop() == 0
    watching.await_line("STOPPING=1")
    assert sum("WATCHDOG=1" in lines for _, lines in watching.heard) <= 1


def test_watchdog_for_another_process_is_not_fed(simulated, serve, watching):
    environment = watching.environment | {"WATCHDOG_PID": "1"}
    daemon = serve(simulated("default"), env=environment)
    daemon.wait_collected()
    assert daemon.stop() == 0
    watching.await_line("STOPPING=1")
    assert not any("WATCHDOG=1" in lines for _, lines in watching.heard)


def test_watchdog_while_the_driver_hangs(dormant, serve, watching):
    node = dormant("stall")
    daemon = serve(node, "--timeout=60s", "--collect.interval=1h", env=watching.environment)
    daemon.wait(has_sessions, "the first collection")
    wake(node, EVERYWHERE)
    daemon.signal(signal.SIGHUP)
    watching.await_line("RELOADING=1")
    watching.await_feedings(4, PATIENCE)
    assert "all sources answer" not in daemon.log  # the collection has not ended
    assert daemon.stop() == 0


def test_watchdog_while_the_driver_does_not_close(dormant, serve, watching):
    node = dormant("stall")
    daemon = serve(node, "--timeout=60s", "--collect.interval=1h", env=watching.environment)
    daemon.wait(has_sessions, "the first collection")
    wake(node, "nvmlShutdown")
    daemon.signal(signal.SIGUSR1)
    wait_until(lambda: "letting the driver go" in daemon.log, "the release begins")
    watching.await_feedings(4, PATIENCE)
    assert daemon.stop() == 0


def test_watchdog_while_the_server_is_stopped(simulated, serve, watching):
    daemon = serve(simulated("default"), env=watching.environment)
    daemon.wait_collected()
    (server,) = daemon.children("gpu-sess-web")
    os.kill(server, signal.SIGSTOP)
    watching.await_feedings(6, PATIENCE)
    # A server that does not answer is replaced; the port answers again.
    wait_until(lambda: daemon.children("gpu-sess-web") not in ([], [server]), "another server")
    assert is_up(daemon.wait_collected()) == 1
    assert not daemon.zombies()


def test_watchdog_bites_a_stopped_parent(simulated, serve, watching):
    """What the watchdog is for: nothing else feeds it in the parent's name."""
    daemon = serve(simulated("default"), env=watching.environment)
    daemon.wait_collected()
    daemon.signal(signal.SIGSTOP)
    try:
        while watching.listen(0.001):
            pass  # what was said before
        assert watching.listen(PATIENCE) is None
    finally:
        daemon.signal(signal.SIGCONT)
    watching.await_feedings(1, PATIENCE)


# --- sockets that are handed over ---------------------------------------------------------

HANDS_OVER = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0 0</dev/null'


def activate(serve, node, listener):
    """A daemon that gets LISTENER as systemd passes the first socket of a socket unit."""
    return serve(
        node, "--web.systemd-socket", stdin=listener, prefix=("sh", "-c", HANDS_OVER, "sh")
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_socket_activation(simulated, serve, host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as passed:
        # A client that comes before the service is answered by it.
        early = socket.create_connection(passed.getsockname()[:2])
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        daemon = activate(serve, simulated("default"), passed)
        assert daemon.url.endswith(f":{passed.getsockname()[1]}")
        with contextlib.closing(early):
            early.settimeout(10)
            assert early.recv(100).startswith(b"HTTP/1.1 200")
        daemon.wait_collected()
        assert daemon.get("/readyz").status == 200
        assert daemon.stop() == 0
        # It is the manager's: a service that comes next goes on with it.
        again = activate(serve, simulated("default"), passed)
        assert again.url == daemon.url
        again.wait_collected()


def test_socket_for_another_process(simulated, program):
    node = simulated("default")
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    done = program.run("serve", *node.flags, "--web.systemd-socket", env=environment)
    assert done.returncode == 2 and b"systemd has passed no socket" in done.stderr
