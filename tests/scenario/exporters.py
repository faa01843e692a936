"""The two ways from a simulated node to Prometheus: a textfile through the real node-exporter,
and the daemon."""

import contextlib

from harness import background, find_program, http_get, wait_until


def answers(url):
    try:
        return http_get(url).status == 200
    except OSError:
        return False


@contextlib.contextmanager
def node_exporter(node, textfile, port, *flags):
    """FLAGS are those of `collect`, which is run once."""
    assert node.collect("--textfile", textfile, *flags).returncode == 0
    command = [
        find_program("prometheus-node-exporter"), "--collector.disable-defaults",
        "--collector.textfile", f"--collector.textfile.directory={textfile.parent}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with background(command, textfile.parent.parent / "exporter.log"):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/metrics"), "node-exporter answers")
        yield


@contextlib.contextmanager
def daemon(node, port, *flags):
    command = [
        node.program.path, "serve", *node.flags, f"--web.listen-address=127.0.0.1:{port}",
        "--collect.interval=500ms", *flags,
    ]
    log = node.directory.parent / "serve.log"
    with background(command, log, env=node.program.environment()):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the daemon is ready")
        yield
