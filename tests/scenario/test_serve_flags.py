"""The flags of `serve`, as environment variables: how a container is configured."""

import json
import re

import pytest

from harness import mask_page, rows, samples, value, wait_until, without_daemons_own

# Any text will do for these; what they do is shown by a daemon that obeys them.
FREE = {
    "web.listen-address", "web.config.file", "textfile", "node", "nvml.library",
    "nvidia-smi.path", "path.procfs", "path.rootfs", "path.podlogs",
    "kube.token-file", "kube.ca-file", "kube.kubelet-ca-file",
}

# An address that nobody can listen on: whatever is read before, no daemon starts.
NOWHERE = "--web.listen-address=nowhere"


def variable(flag):
    return "GPU_SESSIONS_" + re.sub("[.-]", "_", flag.upper())


@pytest.fixture
def flags(program):
    """(flags with a value, switches), from the help."""
    text = program.run("serve", "--help").stdout.decode()
    found = re.findall(r"^ +--([a-z.-]+)(=?)", text, re.M)
    assert len(found) > 20
    return (
        [flag for flag, has_value in found if has_value],
        [flag for flag, has_value in found if not has_value],
    )


def test_every_flag_is_read_from_its_variable(program, flags):
    """A value that cannot be is refused in the variable's name."""
    with_value, switches = flags
    assert FREE <= set(with_value)
    for flag in [*switches, *with_value]:
        if flag in FREE:
            continue
        done = program.run("serve", NOWHERE, env={variable(flag): "\x01"})
        assert done.returncode == 2, flag
        assert variable(flag) in done.stderr.decode(), flag


def test_a_listen_address_that_is_none(program):
    for address in ("10105", "localhost:", "::1:10105", "127.0.0.1:65536"):
        done = program.run("serve", env={variable("web.listen-address"): address})
        assert done.returncode == 2, address
        assert address in done.stderr.decode()


@pytest.mark.parametrize("content, words", [
    (None, "No such file or directory; name an existing file with --web.config.file"),
    ("folder", "is not a file; name an existing file with --web.config.file"),
    ("nonsense: 1\n", "unknown key"),
    ("basic_auth_users: {ann: secret}\n", "is not a bcrypt hash"),
])
def test_a_web_configuration_that_cannot_be_used(program, tmp_path, content, words):
    """What a file says is no usage error: systemd starts again after it."""
    path = tmp_path / "web.yml"
    if content == "folder":
        path.mkdir()
    elif content:
        path.write_text(content)
    done = program.run("serve", NOWHERE, f"--web.config.file={path}")
    assert done.returncode == 1
    assert words in done.stderr.decode() and str(path) in done.stderr.decode()


def environment(*flags):
    """The variables for FLAGS, each "--name" or "--name=value"."""
    pairs = [flag.removeprefix("--").partition("=") for flag in flags]
    return {variable(name): text if is_set else "true" for name, is_set, text in pairs}


def test_environment_alone_configures(simulated, start_daemon, tmp_path):
    node = simulated("default")
    textfile = tmp_path / "gpu.prom"
    daemon = start_daemon(env=environment(
        *node.flags, "--web.listen-address=127.0.0.1:0,[::1]:0", "--web.telemetry-path=/gpu",
        "--collect.interval=100ms", "--no-volatile-labels", "--node=n1",
        f"--textfile={textfile}", "--textfile.remove-on-exit", "--log.format=json",
        "--sandbox=off",
    ))
    page = wait_until(textfile.exists, "the textfile") and textfile.read_text()
    once = node.page("--no-volatile-labels", "--node=n1")
    assert without_daemons_own(mask_page(page, node)) == mask_page(once, node)
    assert daemon.metrics_url.endswith("/gpu") and daemon.get("/gpu").status == 200
    wait_until(lambda: daemon.log.count("serving http://") == 2, "two addresses")
    messages = [json.loads(line)["msg"] for line in daemon.log.splitlines()]
    assert "sandbox: off" in messages
    assert daemon.stop() == 0
    assert not textfile.exists()


def test_environment_chooses_where_pods_are_looked_up(simulated, start_daemon, tmp_path):
    """The one path that has no place of its own among a simulated node's flags."""
    node = simulated("default")
    (tmp_path / "none").mkdir()
    daemon = start_daemon("--web.listen-address=127.0.0.1:0", env=environment(
        *node.flags, f"--path.podlogs={tmp_path / 'none'}", "--collect.interval=100ms",
    ))
    served = rows(daemon.wait_collected(), "gpu_process_info")
    once = rows(samples(node.page(f"--path.podlogs={tmp_path / 'none'}")), "gpu_process_info")
    assert served == once != rows(samples(node.page()), "gpu_process_info")


def test_the_command_line_overrides(simulated, start_daemon):
    node = simulated("plain")
    daemon = start_daemon(
        *node.flags, "--web.listen-address=127.0.0.1:0", "--node=flag", "--collect.interval=100ms",
        env=environment("--web.listen-address=127.0.0.1:1", "--node=environment", "--sandbox=off"),
    )
    page = daemon.wait_collected()
    assert value(page, "gpu_total_sessions", node="flag") is not None
    assert not daemon.url.endswith(":1")
