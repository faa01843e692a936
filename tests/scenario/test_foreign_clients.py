"""Other people's NVML clients on the simulated driver.

If nvidia-ml-py and nvitop read a scenario's values from our library, then the library
speaks NVML, and what gpu-sessions reads from it is no agreement among ourselves.
"""

import json
import math
import os
import pathlib
import re
import subprocess
import sys

import pytest

import node_state as ns

CLIENTS = pathlib.Path(__file__).parent / "clients"
NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND = ({"error": code} for code in (3, 4, 6))
ENGINES = ("sm", "memory_bandwidth", "encoder", "decoder")
PYNVML_SCENARIOS = ("plain", "mig", "dense", "pid_reused", "hostile_names", "hopper_mig")


def directory_of(node):
    """Where a simulated node lies, by the flags that make others use it."""
    prefix = "--nvml.library="
    return next(pathlib.Path(f[len(prefix) :]).parent for f in node.flags if f.startswith(prefix))


def client(name, directory):
    """What a program of the folder clients/ prints about the node in DIRECTORY."""
    if b"__asan_init" in (directory / "libnvidia-ml.so.1").read_bytes():
        pytest.skip("a library built with sanitizers cannot be loaded into Python")
    environment = {k: v for k, v in os.environ.items() if k != "GPU_SESSIONS_NODE_STATE"}
    environment["LD_LIBRARY_PATH"] = str(directory)
    done = subprocess.run(
        [sys.executable, CLIENTS / name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pynvml(directory):
    pytest.importorskip("pynvml")
    return client("pynvml_dump.py", directory)


def nvitop(directory):
    pytest.importorskip("nvitop")
    return client("nvitop_dump.py", directory)


class Expected:
    """What a frozen node.state says, worked out apart from the library."""

    def __init__(self, directory):
        self.state = ns.read(directory / "node.state")

    def migs(self, index):
        gpu = self.state.gpus[index]
        return [m for m in self.state.migs if m.gpu == index] if gpu.mig_enabled else []

    def processes(self, index, gi=None, ci=None, kind=ns.COMPUTE | ns.MPS | ns.GRAPHICS):
        return [
            p
            for p in self.state.processes
            if p.alive
            and p.gpu == index
            and p.kinds & kind
            and (gi is None or p.gi == gi)
            and (ci is None or p.ci == ci)
        ]

    @staticmethod
    def percent(load):
        swing = math.sin(2 * math.pi * load.phase) if load.period else 0
        return min(max(load.base + load.amplitude * swing, 0), 100)

    def sum_percent(self, processes, engine="sm"):
        return min(sum(self.percent(getattr(p, engine)) for p in processes), 100)


def process_bytes(processes):
    return sum(p.memory_bytes for p in processes if p.memory_bytes != 2**64 - 1)


def check_lists(answer, expected, index, gi=None, ci=None):
    for name, kind in (("Compute", ns.COMPUTE), ("Graphics", ns.GRAPHICS), ("MPSCompute", ns.MPS)):
        wanted = expected.processes(index, gi, ci, kind)
        for suffix in ("", " v3"):
            listed = answer[name + suffix]
            assert [(p["pid"], p["gpuInstanceId"], p["computeInstanceId"]) for p in listed] == [
                (p.pid, p.gi, p.ci) for p in wanted
            ]
            assert [p["usedGpuMemory"] for p in listed] == [
                None if p.memory_bytes == 2**64 - 1 else p.memory_bytes for p in wanted
            ]
        assert [(p["pid"], p["usedGpuMemory"]) for p in answer[name + " old"]] == [
            (p.pid, p.memory_bytes) for p in wanted
        ]


def check_samples(answer, expected, index):
    busy = {
        p.pid: round(expected.percent(p.sm))
        for p in expected.processes(index)
        if p.has_samples and any(round(expected.percent(getattr(p, e))) for e in ENGINES)
    }
    if not busy:
        assert answer == NOT_FOUND or all(s["smUtil"] > 100 for s in answer)
        return
    good = [s for s in answer if s["smUtil"] <= 100]
    newest = {s["pid"]: s for s in sorted(good, key=lambda s: s["timeStamp"])}
    assert {pid: s["smUtil"] for pid, s in newest.items()} == pytest.approx(busy, abs=1)
    assert len({s["timeStamp"] for s in newest.values()}) == 1


def check_gpm(answer, supported, sm, bandwidth):
    if not supported:
        assert answer == NOT_SUPPORTED
        return
    assert [code for code, _ in answer] == [0, 0, 0, 3]
    assert [value for _, value in answer[:3]] == pytest.approx([sm, sm, bandwidth])


def check_mig(answer, expected, index, mig):
    gpu, inside = expected.state.gpus[index], expected.processes(index, mig.gi)
    assert (answer["gi"], answer["ci"]) == (mig.gi, mig.ci)
    assert answer["uuid"] == mig.uuid.decode()
    assert answer["name"] == f"{gpu.name.decode()} MIG {mig.profile.decode()}"
    assert answer["utilization"] == answer["samples"] == NOT_SUPPORTED
    assert answer["attributes"]["multiprocessorCount"] == mig.multiprocessors
    assert answer["attributes"]["gpuInstanceSliceCount"] == mig.gpu_slices
    assert answer["attributes"]["memorySizeMB"] == mig.memory_total_bytes // ns.MIB
    used = mig.memory_base_bytes + process_bytes(inside)
    assert answer["memory v2"]["used"] == min(used, mig.memory_total_bytes)
    check_lists(answer["processes"], expected, index, mig.gi, mig.ci)
    sums = [expected.sum_percent(inside, e) for e in ("sm", "memory_bandwidth")]
    check_gpm(answer["gpm"], gpu.gpm_supported, *sums)
    check_gpm(answer["gpm by id"], gpu.gpm_supported, *sums)


def check_memory(answer, expected, index):
    gpu = expected.state.gpus[index]
    if not gpu.has_memory_info:
        assert answer["memory"] == answer["memory v2"] == NOT_SUPPORTED
        return
    instances = {m.gi: m.memory_base_bytes for m in reversed(expected.migs(index))}
    used = process_bytes(expected.processes(index)) + sum(instances.values())
    v1, v2 = answer["memory"], answer["memory v2"]
    assert v1["total"] == v2["total"] == gpu.memory_total_bytes
    assert v2["reserved"] == gpu.memory_reserved_bytes
    assert v2["used"] == min(used, gpu.memory_total_bytes - gpu.memory_reserved_bytes)
    assert v1["used"] == v2["used"] + v2["reserved"]
    assert v1["free"] == v2["free"] == v1["total"] - v1["used"]


def check_busy(answer, expected, index):
    """Utilisation: everything outside MIG mode, nothing inside."""
    gpu = expected.state.gpus[index]
    if gpu.mig_enabled or not gpu.has_utilization:
        assert answer["utilization"] == answer["samples"] == NOT_SUPPORTED
        return
    total = expected.sum_percent(expected.processes(index))
    assert answer["utilization"]["gpu"] == pytest.approx(total, abs=1)
    check_samples(answer["samples"], expected, index)


def check_gpu(answer, expected, index):
    gpu = expected.state.gpus[index]
    if gpu.lost:
        assert answer == {"error": gpu.lost}
        return
    assert answer["uuid"] == gpu.uuid.decode()
    assert answer["name"] == gpu.name.decode()
    assert answer["minor"] == gpu.minor
    assert answer["pci"]["busId"] == gpu.pci_bus_id.decode().upper()
    assert answer["pci"]["busIdLegacy"] == gpu.pci_bus_id.decode().upper()[4:]
    assert answer["pci"]["pciDeviceId"] & 0xFFFF == 0x10DE
    power, celsius = gpu.power_watts, gpu.temperature_celsius
    assert answer["power"] == (
        pytest.approx(at_zero(power) * 1000, abs=1) if gpu.has_power else NOT_SUPPORTED
    )
    assert answer["temperature"] == (
        pytest.approx(at_zero(celsius), abs=1) if gpu.has_temperature else NOT_SUPPORTED
    )
    mode = [gpu.mig_enabled, gpu.mig_pending] if gpu.mig_capable else NOT_SUPPORTED
    assert answer["mig mode"] == mode
    assert answer["gpm support"]["isSupportedDevice"] == gpu.gpm_supported
    check_memory(answer, expected, index)
    check_busy(answer, expected, index)
    check_lists(answer["processes"], expected, index)
    migs = expected.migs(index)
    assert sorted(answer["migs"]) == sorted(str(m.slot) for m in migs)
    for mig in migs:
        check_mig(answer["migs"][str(mig.slot)], expected, index, mig)


def at_zero(load):
    swing = math.sin(2 * math.pi * load.phase) if load.period else 0
    return load.base + load.amplitude * swing


def check_node(directory):
    """All that nvidia-ml-py reads from a frozen, privileged node."""
    answers, expected = pynvml(directory), Expected(directory)
    header = expected.state.header
    version = header.driver_version.decode()
    assert answers["driver"] == version
    assert answers["nvml"] == f"{header.cuda_version // 1000}.{version}"
    assert answers["text of 15"] == "GPU is lost"
    assert len(answers["gpus"]) == header.gpu_count
    for index, answer in enumerate(answers["gpus"]):
        check_gpu(answer, expected, index)
    assert ns.read(directory / "node.state").header.open_sessions == 0
    return answers


def check_nvitop(directory):
    """nvitop asks for compute and graphics processes, not for MPS clients, and for the MIG
    devices before the first empty slot."""
    answers, expected = nvitop(directory), Expected(directory)
    kinds = ns.COMPUTE | ns.GRAPHICS

    def entries(processes):
        memory = {p.pid: p.memory_bytes for p in processes}
        return sorted([pid, "N/A" if n == 2**64 - 1 else n] for pid, n in memory.items())

    for index, gpu in enumerate(expected.state.gpus):
        listed = expected.processes(index, kind=kinds)
        assert answers[gpu.uuid.decode()] == entries(listed)
        for slot, mig in enumerate(sorted(expected.migs(index), key=lambda m: m.slot)):
            if mig.slot != slot:
                break
            inside = expected.processes(index, mig.gi, mig.ci, kinds)
            assert answers[mig.uuid.decode()] == entries(inside)


def odd_state(**changes):
    """Two kinds of everything, and the values that scenarios rarely have."""
    gpus = [
        ns.gpu(0),
        ns.gpu(1, mig_enabled=1, mig_pending=1, gpm_supported=1),
        ns.gpu(2, mig_capable=0, has_power=0, has_temperature=0, has_utilization=0),
        ns.gpu(3, has_memory_info=0, mig_pending=1),
    ]
    migs = [
        ns.mig(1, 0, 2, 0, profile=b"1c.3g.40gb", gpu_slices=3, multiprocessors=16),
        ns.mig(1, 1, 2, 1, profile=b"2c.3g.40gb", gpu_slices=3, multiprocessors=32),
        ns.mig(1, 4, 9),
    ]
    processes = [
        ns.process(100, 0, sm=70),
        ns.process(101, 0, sm=60, garbage_samples=3),
        ns.process(102, 0, kinds=ns.GRAPHICS, memory_bytes=2**64 - 1, garbage_samples=1),
        ns.process(103, 0, kinds=ns.COMPUTE | ns.GRAPHICS, memory_mib=3),
        ns.process(104, 0, alive=0, sm=99),
        ns.process(105, 0, kinds=ns.MPS, sm=5, has_samples=0),
        ns.process(200, 1, sm=80, gi=2, ci=0),
        ns.process(201, 1, sm=30, gi=2, ci=1),
        ns.process(202, 1, sm=12, gi=9, ci=0, kinds=ns.MPS),
        ns.process(300, 2, sm=50),
        ns.process(100, 3, sm=10),
    ]
    return ns.state_bytes(gpus, migs, processes, **changes)


def test_pynvml_reads_the_values_of_an_odd_node(tmp_path):
    answers = check_node(ns.node_make(tmp_path, odd_state()))
    header = (ns.ROOT / "src/source/nvml/nvml_abi.h").read_text()
    ours = set(re.findall(r"NVML_ABI_EXPORT[\w\s*]*?\b(nvml[A-Z]\w*)\s*\(", header))
    assert len(ours) > 30
    assert ours <= set(answers["symbols"]), "not driven by this test"


def test_nvitop_lists_the_processes_of_an_odd_node(tmp_path):
    check_nvitop(ns.node_make(tmp_path, odd_state()))


def test_an_unprivileged_client_is_refused_the_whole_of_a_sliced_gpu(tmp_path):
    answers = pynvml(ns.node_make(tmp_path, odd_state(unprivileged=1)))
    sliced, plain = answers["gpus"][1], answers["gpus"][0]
    assert sliced["memory"] == sliced["memory v2"] == NO_PERMISSION
    assert set(map(str, sliced["processes"].values())) == {str(NO_PERMISSION)}
    assert sliced["migs"]["0"]["memory"]["used"] == 9 * ns.MIB + 2048 * ns.MIB
    assert [p["pid"] for p in sliced["migs"]["0"]["processes"]["Compute"]] == [200]
    assert [p["pid"] for p in plain["processes"]["Compute"]] == [100, 101, 103]


def test_a_lost_gpu_costs_only_itself(tmp_path):
    state = ns.state_bytes([ns.gpu(0), ns.gpu(1, lost=15)], [], [ns.process(7, 0, sm=4)])
    check_node(ns.node_make(tmp_path, state))


@pytest.mark.parametrize("scenario", PYNVML_SCENARIOS)
def test_pynvml_reads_the_values_of_a_scenario(simulated, scenario):
    check_node(directory_of(simulated(scenario)))


@pytest.mark.parametrize("scenario", ["plain", "mig", "dense"])
def test_nvitop_lists_the_processes_of_a_scenario(simulated, scenario):
    check_nvitop(directory_of(simulated(scenario)))
