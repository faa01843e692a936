"""The simulated nvidia-smi prints what captured real ones print."""

import subprocess

import pytest

import node_state as ns


def smi(directory, *arguments):
    done = subprocess.run(
        [directory / "bin" / "nvidia-smi", *arguments], capture_output=True, text=True, timeout=30
    )
    return done.returncode, done.stdout


def lines(directory, *arguments):
    code, text = smi(directory, *arguments)
    assert code == 0, text
    return text.splitlines()


@pytest.fixture
def node(tmp_path):
    gpus = [
        ns.gpu(0),
        ns.gpu(1, mig_enabled=1, mig_pending=1),
        ns.gpu(2, mig_capable=0, has_power=0, has_memory_info=0),
    ]
    migs = [ns.mig(1, 0, 2, profile=b"1c.3g.71gb"), ns.mig(1, 3, 9)]
    processes = [
        ns.process(12249, 0, memory_mib=2194, sm=98),
        ns.process(12250, 0, kinds=ns.COMPUTE | ns.GRAPHICS, memory_bytes=2**64 - 1),
        ns.process(12251, 0, kinds=ns.GRAPHICS),
        ns.process(12252, 1, gi=2, ci=0, kinds=ns.MPS),
    ]
    commands = {12249: b"/opt/app one/bin/worker\0--secret\0", 12250: b"a\nb\0"}
    return ns.node_make(tmp_path, ns.state_bytes(gpus, migs, processes), commands)


def test_query_gpu_with_units_and_tokens(node):
    fields = "index,pci.bus_id,mig.mode.current,memory.total,utilization.gpu,power.draw"
    assert lines(node, f"--query-gpu={fields}", "--format=csv") == [
        "index, pci.bus_id, mig.mode.current, memory.total [MiB], utilization.gpu [%], "
        "power.draw [W]",
        "0, 00000000:10:00.0, Disabled, 81559 MiB, 98 %, 300.50 W",
        "1, 00000000:11:00.0, Enabled, 81559 MiB, [N/A], 300.50 W",
        "2, 00000000:12:00.0, [N/A], [N/A], 0 %, [N/A]",
    ]


def test_query_gpu_without_header_and_units(node):
    fields = "name,uuid,memory.used,temperature.gpu,driver_version"
    arguments = (f"--query-gpu={fields}", "--format=csv,noheader,nounits", "-i", "0")
    uuid = "GPU-00000000-0000-0000-0000-000000000000"
    row = f"NVIDIA H100 80GB HBM3, {uuid}, 3218, 41, 550.163.01"
    assert lines(node, *arguments) == [row]


UUID = "GPU-00000000-0000-0000-0000-00000000000"


@pytest.mark.parametrize("gpu", ["2", "00000000:12:00.0", UUID + "2"])
def test_one_gpu_is_chosen_by_any_of_its_names(node, gpu):
    assert lines(node, f"--id={gpu}", "--query-gpu=index", "--format=csv,noheader") == ["2"]


def test_query_compute_apps(node):
    fields = "gpu_bus_id,pid,process_name,used_gpu_memory"
    assert lines(node, f"--query-compute-apps={fields}", "--format=csv") == [
        "gpu_bus_id, pid, process_name, used_gpu_memory [MiB]",
        "00000000:10:00.0, 12249, /opt/app one/bin/worker, 2194 MiB",
        "00000000:10:00.0, 12250, a?b, [N/A]",
        "00000000:11:00.0, 12252, [Not Found], 1024 MiB",
    ]


def test_list(node):
    assert lines(node, "-L") == [
        "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000000)",
        "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000001)",
        "  MIG 1c.3g.71gb  Device  0: (UUID: MIG-00000000-0000-0000-0001-000000000000)",
        "  MIG 1g.10gb     Device  3: (UUID: MIG-00000000-0000-0000-0001-000000000003)",
        "GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000002)",
    ]


def test_pmon_rows(node):
    rows = [line.split() for line in lines(node, "pmon", "-c", "1", "-s", "um")]
    assert rows[0] == "# gpu pid type sm mem enc dec jpg ofa fb ccpm command".split()
    assert rows[2] == "0 12249 C 98 49 - - - - 2194 0 worker".split()
    assert rows[3] == "0 12250 C+G - - - - - - - 0 a?b".split()
    assert rows[4][:3] == ["0", "12251", "G"]
    assert rows[5][:5] == ["1", "12252", "M+C", "-", "-"]
    assert rows[6] == ["2", *"-" * 11]


@pytest.mark.parametrize(
    "version, metrics, columns",
    [
        (b"470.57.02", "u", "sm mem enc dec command"),
        (b"470.57.02", "um", "sm mem enc dec fb command"),
        (b"535.104.05", "um", "sm mem enc dec fb ccpm command"),
        (b"550.163.01", "u", "sm mem enc dec jpg ofa command"),
    ],
)
def test_pmon_columns_by_driver(tmp_path, version, metrics, columns):
    state = ns.state_bytes([ns.gpu(0)], driver_version=version)
    header = lines(ns.node_make(tmp_path, state), "pmon", "-c", "1", "-s", metrics)[0]
    assert header.split()[4:] == columns.split()


MISMATCH = (
    "Failed to initialize NVML: Driver/library version mismatch\n"
    "NVML library version: 550.163\n"
)
COMMUNICATE = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."


@pytest.mark.parametrize(
    "code, exit_code, text",
    [
        (9, 9, COMMUNICATE),
        (18, 18, MISMATCH),
        (999, 255, "Failed to initialize NVML: Unknown Error\n"),
        (4, 4, "Failed to initialize NVML: Insufficient Permissions\n"),
    ],
)
def test_failures_to_start(tmp_path, code, exit_code, text):
    state = ns.state_bytes([ns.gpu(0)], faults=[ns.fault(b"nvmlInit*", code=code)])
    answer = smi(ns.node_make(tmp_path, state), "-L")
    assert answer[0] == exit_code
    assert answer[1].startswith(text)


def test_no_driver_and_no_library(tmp_path):
    node = ns.node_make(tmp_path, None)
    code, text = smi(node, "-L")
    assert (code, text.startswith(COMMUNICATE)) == (9, True)
    (node / "libnvidia-ml.so.1").unlink()
    code, text = smi(node, "-L")
    assert (code, text.startswith("NVIDIA-SMI couldn't find libnvidia-ml.so")) == (12, True)


def test_no_gpu(tmp_path):
    assert smi(ns.node_make(tmp_path, ns.state_bytes([])), "-L") == (6, "No devices were found\n")


@pytest.mark.parametrize(
    "lost, exit_code, words",
    [(15, 15, "GPU is lost. Reboot the system to recover this GPU"), (999, 255, "Unknown Error")],
)
def test_a_lost_gpu_fails_all_but_those_named_otherwise(tmp_path, lost, exit_code, words):
    node = ns.node_make(tmp_path, ns.state_bytes([ns.gpu(0), ns.gpu(1, lost=lost)]))
    text = f"Unable to determine the device handle for GPU0000:11:00.0: {words}\n"
    assert smi(node, "-L") == (exit_code, text)
    assert lines(node, "-i", "0", "--query-gpu=index", "--format=csv,noheader") == ["0"]


def test_usage_errors(node):
    code, text = smi(node, "--query-gpu=index,bogus", "--format=csv")
    assert (code, text.strip()) == (2, 'Field "bogus" is not a valid field to query.')
    assert smi(node)[0] == smi(node, "--no-such-option")[0] == 2
