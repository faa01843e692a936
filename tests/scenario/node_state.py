"""Writes node.state files: the mirror of sim/node_state.h for tests.

`gpu-sessions simulate` makes such files from scenarios; this helper makes the odd ones
that no scenario should have to describe.
"""

import ctypes
import mmap
import os
import pathlib
import shutil
import types

NONE = 0xFFFFFFFF
COMPUTE, MPS, GRAPHICS = 1, 2, 4
RETURN, STALL, CRASH = 0, 1, 2
MIB = 1 << 20

ROOT = pathlib.Path(__file__).resolve().parents[2]


def find_build():
    named = os.environ.get("GPU_SESSIONS_BUILD")
    candidates = [ROOT / named] if named else [ROOT / "build-check", ROOT / "build"]
    for directory in candidates:
        if (directory / "libnvidia-ml.so.1").exists():
            return directory
    raise FileNotFoundError(f"no libnvidia-ml.so.1 in {candidates}")


U32, U64 = ctypes.c_uint32, ctypes.c_uint64


class Load(ctypes.Structure):
    _fields_ = [(n, ctypes.c_double) for n in ("base", "amplitude", "period", "phase")]


class Process(ctypes.Structure):
    _fields_ = [
        *[(n, U32) for n in ("pid", "alive", "kinds", "gpu", "gi", "ci")],
        ("memory_bytes", U64),
        *[(n, Load) for n in ("sm", "memory_bandwidth", "encoder", "decoder")],
        ("has_samples", U32),
        ("garbage_samples", U32),
    ]


class MigDevice(ctypes.Structure):
    _fields_ = [
        *[(n, U32) for n in ("gpu", "slot", "gi", "ci")],
        ("uuid", ctypes.c_char * 96),
        ("profile", ctypes.c_char * 32),
        ("memory_total_bytes", U64),
        ("memory_base_bytes", U64),
        *[(n, U32) for n in ("multiprocessors", "gpu_slices", "compute_slices")],
    ]


class Gpu(ctypes.Structure):
    _fields_ = [
        ("uuid", ctypes.c_char * 96),
        ("name", ctypes.c_char * 96),
        ("pci_bus_id", ctypes.c_char * 32),
        *[
            (n, U32)
            for n in (
                "minor",
                "mig_capable",
                "mig_enabled",
                "mig_pending",
                "max_mig_devices",
                "gpm_supported",
                "lost",
                "has_memory_info",
            )
        ],
        ("memory_total_bytes", U64),
        ("memory_reserved_bytes", U64),
        ("power_watts", Load),
        ("temperature_celsius", Load),
        *[(n, U32) for n in ("has_power", "has_temperature", "has_utilization")],
    ]


class Fault(ctypes.Structure):
    _fields_ = [
        ("call", ctypes.c_char * 64),
        *[(n, U32) for n in ("gpu", "action", "code", "after", "times")],
    ]


class State(ctypes.Structure):
    _fields_ = [
        ("magic", U64),
        ("size_bytes", U64),
        ("driver_version", ctypes.c_char * 80),
        ("cuda_version", U32),
        ("frozen", U32),
        ("epoch_us", U64),
        *[
            (n, U32)
            for n in (
                "latency_us",
                "unprivileged",
                "empty_slot_code",
                "process_v3_stride",
                "sample_window_ms",
                "open_sessions",
            )
        ],
        ("total_calls", U64),
        *[(n, U32) for n in ("gpu_count", "mig_count", "process_count", "fault_count")],
        *[(n, U64) for n in ("gpu_offset", "mig_offset", "process_offset", "fault_offset")],
    ]


MAGIC = 0x31304D4953555047
EPOCH_US = 1767225600 * 1000000


def gpu(index, **changes):
    """A healthy GPU outside MIG mode."""
    fields = dict(
        uuid=b"GPU-00000000-0000-0000-0000-%012d" % index,
        name=b"NVIDIA H100 80GB HBM3",
        pci_bus_id=b"00000000:%02X:00.0" % (0x10 + index),
        minor=index,
        mig_capable=1,
        max_mig_devices=7,
        has_memory_info=1,
        memory_total_bytes=81559 * MIB,
        memory_reserved_bytes=512 * MIB,
        power_watts=Load(base=300.5),
        temperature_celsius=Load(base=41),
        has_power=1,
        has_temperature=1,
        has_utilization=1,
    )
    fields.update(changes)
    return Gpu(**fields)


def mig(gpu, slot, gi, ci=0, **changes):
    fields = dict(
        gpu=gpu,
        slot=slot,
        gi=gi,
        ci=ci,
        uuid=b"MIG-00000000-0000-0000-%04d-%012d" % (gpu, slot),
        profile=b"1g.10gb",
        memory_total_bytes=9984 * MIB,
        memory_base_bytes=9 * MIB,
        multiprocessors=16,
        gpu_slices=1,
        compute_slices=1,
    )
    fields.update(changes)
    return MigDevice(**fields)


def process(pid, gpu, memory_mib=1024, sm=0, **changes):
    fields = dict(
        pid=pid,
        alive=1,
        kinds=COMPUTE,
        gpu=gpu,
        gi=NONE,
        ci=NONE,
        memory_bytes=memory_mib * MIB,
        sm=Load(base=sm),
        memory_bandwidth=Load(base=sm / 2),
        has_samples=1,
    )
    fields.update(changes)
    return Process(**fields)


def fault(call, gpu=NONE, action=RETURN, code=0, after=0, times=0):
    return Fault(call=call, gpu=gpu, action=action, code=code, after=after, times=times)


def state_bytes(gpus, migs=(), processes=(), faults=(), **changes):
    fields = dict(
        magic=MAGIC,
        driver_version=b"550.163.01",
        cuda_version=12040,
        frozen=1,
        epoch_us=EPOCH_US,
        empty_slot_code=6,
        process_v3_stride=24,
        sample_window_ms=10000,
    )
    at = ctypes.sizeof(State)
    body = b""
    arrays = (("gpu", gpus), ("mig", migs), ("process", processes), ("fault", faults))
    for name, array in arrays:
        body += b"\0" * (-len(body) % 8)
        fields[name + "_count"] = len(array)
        fields[name + "_offset"] = at + len(body)
        body += b"".join(bytes(element) for element in array)
    fields["size_bytes"] = at + len(body)
    fields.update(changes)
    return bytes(State(**fields)) + body


def read(path):
    """A node.state file as .header and the lists .gpus, .migs, .processes, .faults."""
    content = pathlib.Path(path).read_bytes()
    header = State.from_buffer_copy(content)

    def array(element, name):
        count, at = getattr(header, name + "_count"), getattr(header, name + "_offset")
        return list((element * count).from_buffer_copy(content, at))

    return types.SimpleNamespace(
        header=header,
        gpus=array(Gpu, "gpu"),
        migs=array(MigDevice, "mig"),
        processes=array(Process, "process"),
        faults=array(Fault, "fault"),
    )


def live(path):
    """As read(), but what is set in it happens on the running node at once."""
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)  # closed with the last array that views it
    header = State.from_buffer(memory)

    def array(element, name):
        count, at = getattr(header, name + "_count"), getattr(header, name + "_offset")
        return (element * count).from_buffer(memory, at)

    return types.SimpleNamespace(
        header=header,
        gpus=array(Gpu, "gpu"),
        migs=array(MigDevice, "mig"),
        processes=array(Process, "process"),
        faults=array(Fault, "fault"),
    )


def node_make(directory, state, commands=None):
    """Lays out a simulated node: library, nvidia-smi, node.state, /proc/<pid>/cmdline."""
    directory, build = pathlib.Path(directory), find_build()
    (directory / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(build / "libnvidia-ml.so.1", directory / "libnvidia-ml.so.1")
    shutil.copy(build / "sim" / "smi" / "nvidia-smi", directory / "bin" / "nvidia-smi")
    if state is not None:
        (directory / "node.state").write_bytes(state)
    for pid, command in (commands or {}).items():
        folder = directory / "proc" / str(pid)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cmdline").write_bytes(command)
    return directory
