"""The two ways from a simulated node to a real Prometheus, each a context: collect → textfile →
node-exporter, the real one, and the daemon. And the original alerts, for it to evaluate.
"""

import contextlib
import urllib.request

from harness import Program, background, find_build, find_program, wait_until

# The original rules' names are fixed; their expressions are not on record. These are the
# forms that the original queries suggest: the share of devices in use, and a session that
# is active for a day. The waits are cut from minutes and a day to one second.
ORIGINAL_ALERTS = """
groups:
  - name: original
    interval: 1s
    rules:
      - alert: HighGPUUtilization
        expr: (count(gpu_session_count > 0) / count(gpu_session_count)) * 100 > 50
        for: 1s
      - alert: NotReachedGPUUtilization
        expr: (count(gpu_session_count > 0) / count(gpu_session_count)) * 100 > 100
        for: 1s
      - alert: LongRunningGPUProcess
        expr: gpu_process_info{status="active"} == 1
        for: 1s
"""


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def answers(url):
    try:
        return get(url)
    except OSError:
        return None


def make_node(directory):
    (directory / "findings").mkdir()
    program = Program(find_build() / "gpu-sessions", directory / "findings")
    return program.simulate(directory / "node", "default")


@contextlib.contextmanager
def running_node_exporter(node, textfile, port):
    assert node.collect("--textfile", textfile).returncode == 0
    command = [
        find_program("prometheus-node-exporter"), "--collector.disable-defaults",
        "--collector.textfile", f"--collector.textfile.directory={textfile.parent}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with background(command, textfile.parent.parent / "exporter.log"):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/metrics"), "node-exporter answers")
        yield


@contextlib.contextmanager
def running_daemon(node, port):
    command = [
        node.program.path, "serve", *node.flags, f"--web.listen-address=127.0.0.1:{port}",
        "--collect.interval=500ms",
    ]
    log = node.directory.parent / "serve.log"
    with background(command, log, env=node.program.environment()):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the daemon is ready")
        yield
