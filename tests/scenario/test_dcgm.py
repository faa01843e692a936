"""A DCGM exporter as a source: whose its values are, and what a bad one costs."""

import contextlib
import gzip
import http.server
import os
import threading
import time

import pytest
from harness import samples, value, wait_until

MIB = 1 << 20
RATIOS = ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_DRAM_ACTIVE")


class Exporter:
    """An HTTP server on a free port; `answer(handler)` writes the whole answer."""

    def __init__(self, answer):
        self.requests = []
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                exporter.requests.append((self.path, dict(self.headers)))
                with contextlib.suppress(OSError):  # the client may go at any time
                    exporter.answer(self)

            def log_message(self, *_):
                pass

        self.answer = answer
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/metrics"
        self.flag = f"--dcgm.url={self.url}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def exporter():
    """exporter(answer) → an Exporter; a text or bytes is served as a page."""
    with contextlib.ExitStack() as stack:

        def start(answer):
            made = Exporter(answer if callable(answer) else page_answer(answer))
            stack.callback(made.close)
            return made

        yield start


def page_answer(page, status=200, **headers):
    body = page.encode() if isinstance(page, str) else page

    def answer(handler):
        handler.send_response(status)
        for name, text in headers.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def endless_answer(first, piece, pause=0.0):
    def answer(handler):
        handler.wfile.write(first)
        while True:
            handler.wfile.write(piece)
            time.sleep(pause)

    return answer


def instances(node):
    """(index, UUID, model, GPU instance or None, profile or None), as the exporter lists."""
    found = []
    for device in node.json()["devices"]:
        index, _, rest = device["gpu"].partition("_")
        gi = rest.split("_")[0] if rest else None
        uuid = device["parent_uuid"] or device["uuid"]
        row = (index, uuid, device["name"], gi, device["mig_profile"])
        if (uuid, gi) not in {(seen[1], seen[3]) for seen in found}:
            found.append(row)
    return found


def exporter_page(node, ratios=RATIOS, number=lambda index, gi, name: 0.25, util=None):
    """A page as dcgm-exporter 3 and 4 write it for NODE, with pod labels."""
    text = []
    rows = instances(node)
    migs = {row[1] for row in rows if row[3]}
    for name in ratios:
        text.append(f"# HELP {name} Ratio.\n# TYPE {name} gauge\n")
        for index, uuid, model, gi, profile in rows:
            if gi is None and uuid in migs:
                continue
            instance = f',GPU_I_PROFILE="{profile}",GPU_I_ID="{gi}"' if gi else ""
            labels = (
                f'gpu="{index}",UUID="{uuid}",pci_bus_id="00000000:0{index}:00.0",'
                f'device="nvidia{index}",modelName="{model}"{instance},Hostname="node-a",'
                f'DCGM_FI_DRIVER_VERSION="535.129.03",container="main",namespace="x",pod="y"'
            )
            text.append(f"{name}{{{labels}}} {number(index, gi, name)}\n")
    for name, figure in (("DCGM_FI_DEV_GPU_UTIL", util), ("DCGM_FI_DEV_SM_CLOCK", 1410)):
        text.append(f"# HELP {name} Words.\n# TYPE {name} gauge\n")
        for index, uuid, model, gi, _ in rows:
            if gi is None and figure is not None:
                text.append(f'{name}{{gpu="{index}",UUID="{uuid}",modelName="{model}"}} {figure}\n')
    return "".join(text)


def by_gpu(rows):
    return {row["gpu"]: row for row in rows}


def source_row(document):
    return next(row for row in document["sources"] if row["source"] == "dcgm")


def test_values_go_to_whom_they_belong(simulated, exporter):
    node = simulated("mig")
    page = exporter_page(
        node, number=lambda index, gi, name: 0.0 if gi == "9" else f"0.{index}{gi or 5}"
    )
    served = exporter(page)
    document = node.json(served.flag)
    assert source_row(document) == {
        "source": "dcgm", "gpu_session_source_up": 1, "reason": None,
    }
    sessions = by_gpu(document["sessions"])
    assert sessions["0_7_0"]["gpu_process_utilization"] == 7
    assert sessions["0_7_0"]["gpu_process_memory_bandwidth_utilization"] == 7
    assert sessions["0_7_0"]["utilization_source"] == "dcgm"
    assert sessions["0_7_0"]["status"] == "active"
    assert sessions["0_9_0"]["gpu_process_utilization"] == 0
    assert sessions["0_9_0"]["status"] == "idle"
    # Encoders are not DCGM's to tell.
    assert sessions["0_7_0"]["gpu_process_encoder_utilization"] is None
    # Two compute instances in one GPU instance: nobody's.
    for label in ("2_2_0", "2_2_1"):
        assert sessions[label]["gpu_process_utilization"] is None
        assert sessions[label]["status"] is None
        assert by_gpu(document["devices"])[label]["gpu_device_utilization"] is None
    # The driver's own value stays.
    assert sessions["5"]["gpu_process_utilization"] == 30
    assert sessions["5"]["utilization_source"] == "driver"
    devices = by_gpu(document["devices"])
    assert devices["5"]["gpu_device_utilization"] == 30
    assert devices["5"]["utilization_source"] == "driver"
    assert devices["0_7_0"]["gpu_device_utilization"] == 7
    assert devices["0_7_0"]["utilization_source"] == "dcgm"
    assert devices["0"]["gpu_device_utilization"] is None
    assert devices["0"]["utilization_source"] is None
    assert len(served.requests) == 1
    path, headers = served.requests[0]
    assert path == "/metrics"
    assert "Accept-Encoding" not in headers


def test_sm_active_is_preferred(simulated, exporter):
    node = simulated("mig")
    page = exporter_page(
        node,
        ratios=("DCGM_FI_PROF_SM_ACTIVE", *RATIOS),
        number=lambda index, gi, name: 0.125 if "SM" in name else 0.75,
    )
    document = node.json(exporter(page).flag)
    assert by_gpu(document["sessions"])["0_7_0"]["gpu_process_utilization"] == 12.5
    assert by_gpu(document["devices"])["0_7_0"]["gpu_device_utilization"] == 75


SHARED = """
gpus:
  - {name: NVIDIA A100-SXM4-40GB, mig: [3g.20gb, 2g.10gb, 1g.5gb]}
pods:
  - {namespace: lab, name: "twin-{n}", replicate: 2, containers: [notebook]}
  - {namespace: lab, name: single, containers: [notebook]}
  - {namespace: lab, name: young, containers: [notebook]}
processes:
  - {command: python3, pod: "lab/twin-{n}", gpu: 0, mig: 0, memory: 1GiB, sm: 10, replicate: 2}
  - {command: python3, pod: lab/single, gpu: 0, mig: 1, memory: 1GiB, sm: 10}
  - {command: python3, pod: lab/young, gpu: 0, mig: 2, memory: 1GiB, sm: 10, started: 59}
"""


def test_shared_instance_and_young_process(simulated, exporter, tmp_path):
    """Two pods on one instance get nothing; nor does who has not been there for long."""
    scenario = tmp_path / "shared.yaml"
    scenario.write_text(SHARED)
    node = simulated(scenario)
    document = node.json(exporter(exporter_page(node)).flag)
    found = {row["pod"]: row["gpu_process_utilization"] for row in document["sessions"]}
    assert found == {"twin-0": None, "twin-1": None, "single": 25, "young": None}
    for device in document["devices"]:
        assert device["gpu_device_utilization"] == (None if device["gpu"] == "0" else 25)


def test_driver_is_not_overridden(simulated, exporter):
    """Whole GPUs, and Hopper's MIG devices, which the driver measures itself."""
    for scenario in ("plain", "hopper_mig"):
        node = simulated(scenario)
        before = node.json()
        after = node.json(exporter(exporter_page(node, util=99)).flag)
        assert source_row(after)["gpu_session_source_up"] == 1
        for kind in ("devices", "sessions"):
            for old, new in zip(before[kind], after[kind]):
                if old["utilization_source"]:
                    assert new == old


def test_page_of_metrics(simulated, exporter):
    node = simulated("mig")
    page = samples(node.page(exporter(exporter_page(node)).flag))
    assert value(page, "gpu_session_source_up", source="dcgm") == 1
    assert value(page, "gpu_device_utilization", gpu="0_7_0") == 25
    active = [dict(labels) for (name, labels) in page if name == "gpu_process_info"]
    assert {row["status"] for row in active if row["gpu"] == "0_7_0"} == {"active"}


def test_pages_wrong_in_content(simulated, exporter):
    node = simulated("mig")
    other = exporter_page(node).replace('UUID="GPU-', 'UUID="GPU-0')
    blank = exporter_page(node, number=lambda *_: 9223372036854775794)
    cases = {
        "no GPU on the page is one of this node's": other,
        "no utilisation on the page": blank,
        "no page of metrics": os.urandom(100000).replace(b"\n", b" "),
    }
    plain = node.json()
    for words, page in cases.items():
        document = node.json(exporter(page).flag)
        row = source_row(document)
        assert row["gpu_session_source_up"] == 0
        assert words in row["reason"]
        assert document["sessions"] == plain["sessions"]


HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"
BOMB = gzip.compress(b"DCGM_FI_DEV_GPU_UTIL 1\n" * (64 * MIB // 23))

BAD_ANSWERS = {
    "500": (page_answer("no", status=500), "bad_answer"),
    "404": (page_answer("no", status=404), "not_found"),
    "redirect": (page_answer("", status=302, Location="http://127.0.0.1:1/"), "redirect"),
    "bomb": (page_answer(BOMB, Content_Encoding="gzip"), "not_metrics"),
    "endless line": (endless_answer(HEAD, b"x" * 65536), None),
    "endless samples": (endless_answer(HEAD, b'a{b="c"} 1\n' * 6000), None),
    "endless instances": (
        endless_answer(
            HEAD,
            b"".join(b'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-%d"} 1\n' % i for i in range(4000)),
        ),
        None,
    ),
    "endless headers": (endless_answer(HEAD[:-2], b"X-More: and more\r\n"), "too_large"),
    "too large": (page_answer(b"#" * (64 * MIB + 1)), "too_large"),
    "drip": (endless_answer(HEAD, b"x", pause=0.05), "timeout"),
    "cut": (endless_answer(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nabc", b""), None),
    "no http": (endless_answer(b"220 mail.example ESMTP\r\n", b"\r\n", pause=0.01), None),
}


def run_measured(program, *args):
    """As program.run(), and the largest resident set of the program or its workers, bytes."""
    reader, writer = os.pipe()
    process = program.start(*map(str, args), stdout=writer)
    os.close(writer)
    with open(reader, "rb") as output:
        page = output.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, page, usage.ru_maxrss * 1024


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_bad_answers_cost_only_this_source(simulated, exporter, is_sanitized, name):
    answer, reason = BAD_ANSWERS[name]
    node = simulated("mig")
    plain = samples(node.page())
    _, _, plain_bytes = run_measured(node.program, "collect", *node.flags)
    code, text, most_bytes = run_measured(
        node.program, "collect", *node.flags, exporter(answer).flag
    )
    assert code == 0
    page = samples(text)
    assert value(page, "gpu_session_source_up", source="dcgm") == 0
    counted = {
        dict(labels)["reason"]
        for family, labels in page
        if family == "gpu_session_collect_errors_total" and ("source", "dcgm") in labels
    }
    assert counted
    assert reason is None or reason in counted
    for key, number in plain.items():
        if not key[0].startswith("gpu_session_collect_") and "timestamp" not in key[0]:
            assert page[key] == number
    if not is_sanitized:
        assert most_bytes - plain_bytes < 24 * MIB


def test_nobody_there(simulated):
    node = simulated("mig")
    document = node.json("--dcgm.url=http://127.0.0.1:1/metrics")
    assert "nobody listens there" in source_row(document)["reason"]
    shown = node.list("--dcgm.url=http://127.0.0.1:1/metrics").stdout.decode()
    assert "dcgm" in shown and "nobody listens there" in shown


def test_off_by_default(simulated):
    node = simulated("mig")
    assert all(row["source"] != "dcgm" for row in node.json()["sources"])


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9400", "ftp://x/", "http://", "http://u:secret@h/", "http://h/ x", ""]
)
def test_urls_that_are_refused(program, url):
    done = program.run("collect", f"--dcgm.url={url}")
    assert done.returncode == 2
    assert b"dcgm.url" in done.stderr and b"secret" not in done.stderr


def test_daemon_asks_seldom(simulated, exporter, serve):
    """Many collections, one request: and the values stay in between."""
    node = simulated("mig")
    served = exporter(exporter_page(node))
    daemon = serve(node, served.flag)
    for _ in range(5):
        daemon.wait_collected()
        page = daemon.samples()
        assert value(page, "gpu_device_utilization", gpu="0_7_0") == 25
    assert len(served.requests) <= 2
    assert value(page, "gpu_session_source_up", source="dcgm") == 1


def test_daemon_says_when_it_fails(simulated, exporter, serve):
    node = simulated("mig")
    daemon = serve(node, exporter(page_answer("no", status=500)).flag)
    page = daemon.wait_collected()
    assert value(page, "gpu_session_source_up", source="dcgm") == 0
    assert value(page, "gpu_device_utilization", gpu="0_7_0") is None
    assert value(page, "gpu_session_source_up", source="nvml") == 1
    wait_until(lambda: "HTTP 500" in daemon.log, "the reason in the log")
