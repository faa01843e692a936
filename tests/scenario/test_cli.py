"""The command line: words, exit codes, where output goes, and that nobody waits in vain."""

import json
import os
import re
import subprocess
import tempfile
import time

import pytest

from harness import samples, value

USAGE_ERRORS = [
    ([], "no command given"),
    (["nonsense"], "nonsense"),
    (["collect", "--nonsense"], "nonsense"),
    (["collect", "extra"], "extra"),
    (["collect", "--textfile"], "textfile"),
    (["collect", "--textfile="], "textfile"),
    (["collect", "--interval=15"], "15"),
    (["collect", "--interval=0s"], "0s"),
    (["collect", "--interval=-1s"], "-1s"),
    (["collect", "--interval=1.5s"], "1.5s"),
    (["collect", "--interval=99999999999999999999s"], "99999999999999999999s"),
    (["collect", "--count=0"], "count"),
    (["collect", "--count=many"], "many"),
    (["collect", "--timeout=soon"], "soon"),
    (["collect", "--timeout=0s"], "0s"),
    (["collect", "--source=dcgm"], "dcgm"),
    (["collect", "--max-sessions=0"], "max-sessions"),
    (["collect", "--log.level=loud"], "loud"),
    (["collect", "--log.format=xml"], "xml"),
    (["collect", "--json"], "json"),
    (["list", "--textfile=/tmp/x.prom"], "textfile"),
    (["list", "--sort=colour"], "colour"),
    (["list", "--color=green"], "green"),
    (["simulate"], "directory"),
]


@pytest.mark.parametrize("args,word", USAGE_ERRORS, ids=[" ".join(a) for a, _ in USAGE_ERRORS])
def test_usage_error(args, word, program):
    done = program.run(*args)
    message = done.stderr.decode()
    assert done.returncode == 2
    assert done.stdout == b""
    assert word in message
    assert len(message) < 1000


@pytest.mark.parametrize("args", [["--help"], ["collect", "--help"], ["list", "--help"],
                                  ["simulate", "--help"], ["collect", "-h"]])
def test_help_goes_to_standard_output(args, program):
    done = program.run(*args)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.startswith("Usage: gpu-sessions")
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("args", [["--version"], ["collect", "--version"]])
def test_version(args, program):
    done = program.run(*args)
    assert done.returncode == 0
    assert re.fullmatch(rb"gpu-sessions \d+\.\d+\.\d+\S*\n", done.stdout)


def test_every_flag_of_the_help_has_its_environment_variable(program, tmp_path):
    for command in ("collect", "list"):
        text = program.run(command, "--help").stdout.decode()
        for flag in re.findall(r"^ +--([a-z.-]+)=", text, re.M):
            name = "GPU_SESSIONS_" + flag.upper().replace(".", "_").replace("-", "_")
            done = program.run(command, env={name: "\x01"}, cwd=tmp_path)
            if done.returncode == 2:
                assert name in done.stderr.decode()
            else:
                # A path or a name may be any text; then the run itself goes on.
                assert flag.startswith(("textfile", "path", "nvml", "nvidia-smi", "node", "kube.")) or (
                    flag in ("gpu", "namespace", "user")
                ), flag


def test_environment_is_overridden_by_the_command_line(simulated):
    node = simulated("plain")
    env = {"NODE_NAME": "from-node-name"}
    page = samples(node.collect(env=env).stdout.decode())
    assert all(dict(labels).get("node") == "from-node-name" for _, labels in page)
    env["GPU_SESSIONS_NODE"] = "from-variable"
    page = samples(node.collect(env=env).stdout.decode())
    assert value(page, "gpu_total_sessions", node="from-variable") is not None
    page = samples(node.collect("--node=from-flag", env=env).stdout.decode())
    assert value(page, "gpu_total_sessions", node="from-flag") is not None


def test_environment_alone_configures(simulated):
    node = simulated("plain")
    env = {
        "GPU_SESSIONS_" + flag.split("=")[0][2:].upper().replace(".", "_").replace("-", "_"):
        flag.split("=")[1]
        for flag in node.flags
    }
    done = node.program.run("list", "--json", env=env)
    assert done.returncode == 0
    assert json.loads(done.stdout)["sessions"] == node.json()["sessions"]


def test_volatile_labels_can_be_left_off(simulated):
    node = simulated("plain")
    page = samples(node.page("--no-volatile-labels"))
    infos = [dict(labels) for name, labels in page if name == "gpu_process_info"]
    assert infos and not any("status" in i or "gpu_memory" in i for i in infos)


def test_max_sessions_bounds_and_counts(simulated):
    node = simulated("plain")
    everything = samples(node.page())
    total = value(everything, "gpu_total_sessions")
    page = samples(node.page("--max-sessions=2"))
    assert value(page, "gpu_sessions_omitted") == total - 2
    # A number that is not the whole is none: not for the node, not for the GPU cut short.
    assert value(page, "gpu_total_sessions") is None
    assert value(page, "gpu_session_count", gpu="0") == 1
    assert value(page, "gpu_session_count", gpu="1") is None
    assert not any(name == "gpu_process_info" and dict(labels)["pid"] == "" for name, labels in page)


def test_only_the_gpus_asked_for(simulated):
    node = simulated("default")
    whole = node.json()
    uuid = next(d["uuid"] for d in whole["devices"] if d["gpu"] == "3")
    page = samples(node.page(f"--gpu.devices=1,{uuid}"))
    wanted = {d["gpu"] for d in whole["devices"] if d["gpu"][0] in "13"}
    assert {dict(labels)["gpu"] for name, labels in page if name == "gpu_device_info"} == wanted
    sessions = [s for s in whole["sessions"] if s["gpu"] in wanted]
    assert value(page, "gpu_total_sessions") == len(sessions) < len(whole["sessions"])
    assert value(page, "gpu_total_users") == len({s["user"] for s in sessions})
    assert node.json(f"--gpu.devices=1,{uuid}")["sessions"] == sessions


def test_a_gpu_asked_for_that_is_not_there_is_named(simulated):
    done = simulated("plain").collect("--gpu.devices=0,17")
    page = samples(done.stdout.decode())
    assert done.returncode == 0
    assert b'no GPU "17"' in done.stderr.replace(b"\\", b"")
    assert value(page, "gpu_session_collect_errors_total", source="nvml", reason="gpu_not_found") == 1
    assert {dict(labels)["gpu"] for name, labels in page if name == "gpu_session_count"} == {"0"}


@pytest.mark.release_only  # another user cannot write the sanitizers' findings
def test_textfile_directory_for_a_collector_that_is_not_root(program, simulated):
    if os.geteuid() != 0:
        pytest.skip("needs root, to give privileges up")
    node = simulated("plain")
    node.directory.chmod(0o755)
    nothing = ["--clear-groups", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs"]
    collector = ["setpriv", "--reuid=65532", "--regid=65532", *nothing]
    init = ["setpriv", "--reuid=0", "--regid=65532", *nothing]
    with tempfile.TemporaryDirectory(prefix="textfile", dir="/tmp") as folder:
        os.chmod(folder, 0o755)  # root's, as a kubelet creates it
        textfile = f"{folder}/gpu_sessions.prom"
        collect = [*collector, program.path, "collect", *node.flags, f"--textfile={textfile}"]
        refused = subprocess.run(collect, capture_output=True, text=True)
        assert refused.returncode == 1 and "Permission denied" in refused.stderr
        prepared = subprocess.run(
            [*init, program.path, "prepare-textfile", "--group=65532", textfile],
            capture_output=True, text=True,
        )
        assert (prepared.returncode, prepared.stderr) == (0, "")
        assert subprocess.run(collect, capture_output=True).returncode == 0
        assert os.stat(textfile).st_uid == 65532


def test_unknown_scenario_says_how_to_see_the_known_ones(program, tmp_path):
    done = program.run("simulate", tmp_path / "node", "--scenario=nonsense")
    assert done.returncode in (1, 2)
    assert done.stdout == b""
    assert b"nonsense" in done.stderr and b"--list" in done.stderr


def test_directory_with_a_blank_is_refused(program, tmp_path):
    done = program.run("simulate", tmp_path / "two words")
    assert done.returncode in (1, 2)
    assert done.stdout == b""
    assert b"two words" in done.stderr


def test_simulate_twice_into_the_same_directory(program, simulated, tmp_path):
    first = simulated("dense")
    again = program.simulate(first.directory, "plain")
    assert again.json()["sessions"] == simulated("plain").json()["sessions"]


def test_simulate_refuses_a_directory_that_holds_other_things(program, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("precious")
    program.run("simulate", tmp_path / "home")
    assert (tmp_path / "home" / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize(
    "flags,level,word",
    [((), "logfmt", b'level='), (("--log.format=json",), "json", b'"level":')],
)
def test_log_lines_are_on_standard_error(flags, level, word, simulated):
    node = simulated("no_driver")
    done = node.collect(*flags)
    assert done.returncode == 1
    assert word in done.stderr
    for line in done.stderr.splitlines():
        if level == "json":
            assert json.loads(line)["msg"]
        else:
            assert line.startswith(b"time=")


def test_interval_and_count_write_several_times(simulated, tmp_path):
    node = simulated("plain")
    began = time.monotonic()
    done = node.collect("--interval=50ms", "--count=4")
    assert time.monotonic() - began >= 0.15  # of four beginnings
    assert done.returncode == 0
    assert done.stdout.decode().count("# TYPE gpu_total_sessions ") == 4
    stamps = re.findall(
        r"^gpu_session_last_collect_timestamp_seconds (\S+)$", done.stdout.decode(), re.M
    )
    assert len(stamps) == 4
    assert stamps == sorted(stamps, key=float)


@pytest.mark.parametrize(
    "path,words",
    [
        ("missing/gpu.prom", ["missing"]),
        ("file/gpu.prom", ["file"]),
        ("folder.prom", ["folder.prom"]),
    ],
)
def test_textfile_that_cannot_be_written(path, words, simulated, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.prom").mkdir()
    done = simulated("plain").collect("--textfile", tmp_path / path)
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr.decode()


def test_textfile_on_a_full_disk_keeps_the_old_one(simulated, tmp_path):
    """RLIMIT_FSIZE stands for the full disk: the write fails half way."""
    node = simulated("plain")
    path = tmp_path / "gpu.prom"
    assert node.collect("--textfile", path).returncode == 0
    before = path.read_bytes()
    script = 'ulimit -f 1; trap "" XFSZ; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", node.program.path, "collect", *node.flags,
         "--node=" + "n" * 200, "--textfile", path],
        capture_output=True, timeout=30, env=node.program.environment(),
    )
    assert done.returncode == 1
    assert str(path).encode() in done.stderr
    assert path.read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith((".gpu", "gpu.prom."))]


def test_textfile_never_half_visible_to_another_user(simulated, tmp_path):
    node = simulated("plain")
    path = tmp_path / "gpu.prom"
    old_umask = os.umask(0o077)
    try:
        assert node.collect("--textfile", path).returncode == 0
    finally:
        os.umask(old_umask)
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("command", ["collect", "list"])
def test_stalled_driver_does_not_hold_the_pipe(command, simulated):
    """Who reads the output to its end must not wait for the stuck process."""
    node = simulated("hang")
    began = time.monotonic()
    reader = subprocess.Popen(
        [node.program.path, command, *node.flags, "--timeout=1500ms"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=node.program.environment(),
    )
    output, errors = reader.communicate(timeout=20)
    assert reader.returncode == 1
    assert time.monotonic() - began < 10
    assert output and b"GPU" in output + errors


@pytest.mark.parametrize("command", ["collect", "list"])
def test_reader_that_goes_away_is_no_disaster(command, simulated):
    node = simulated("dense")
    process = subprocess.Popen(
        [node.program.path, command, *node.flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=node.program.environment(),
    )
    process.stdout.close()
    process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) in (0, 1, -13)


def test_closed_standard_output_is_reported(simulated):
    done = simulated("plain").program.run("list", "--help", timeout=10)
    assert done.returncode == 0
    with open("/dev/full", "wb") as full:
        node = simulated("plain")
        process = subprocess.run(
            [node.program.path, "collect", *node.flags],
            stdout=full, stderr=subprocess.PIPE, env=node.program.environment(), timeout=30,
        )
    assert process.returncode == 1
    assert b"standard output" in process.stderr


# --- list ---------------------------------------------------------------------------------


def test_filters(simulated):
    node = simulated("default")
    everything = node.json()["sessions"]
    for key, flag in (("gpu", "--gpu"), ("namespace", "--namespace"), ("user", "--user")):
        for wanted in {session[key] for session in everything if session[key]}:
            rows = node.json(f"{flag}={wanted}")["sessions"]
            assert rows == [session for session in everything if session[key] == wanted]


def test_gpu_filter_takes_the_mig_devices_along(simulated):
    node = simulated("mig")
    everything = node.json()["sessions"]
    index = next(s["gpu"] for s in everything if "_" in s["gpu"]).split("_")[0]
    rows = node.json(f"--gpu={index}")["sessions"]
    assert rows == [s for s in everything if s["gpu"].split("_")[0] == index]


def test_nothing_found_says_what_was_looked_for(simulated):
    done = simulated("default").list("--namespace=nobody")
    assert done.returncode == 0
    assert b"nobody" in done.stdout


def test_color(simulated):
    node = simulated("default")
    assert b"\x1b" not in node.list().stdout
    assert b"\x1b[" in node.list("--color=always").stdout
    assert b"\x1b" not in node.list("--color=always", "--json").stdout


def test_hostile_names_cannot_steer_the_terminal(simulated):
    text = simulated("hostile_names").list().stdout
    text.decode()  # valid UTF-8
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", text)
