"""Asks a driver library everything that gpu-sessions asks, through nvidia-ml-py, and
prints the answers as JSON. Run with LD_LIBRARY_PATH naming the library's folder."""

import ctypes
import json
import time

import pynvml as nv

SYMBOLS = set()
pointer_of = nv._nvmlGetFunctionPointer


def recording_pointer_of(name):
    SYMBOLS.add(name)
    return pointer_of(name)


nv._nvmlGetFunctionPointer = recording_pointer_of


class OldProcess(ctypes.Structure):
    """Entry of the unsuffixed lists, which nvidia-ml-py no longer calls."""

    _fields_ = [("pid", ctypes.c_uint), ("usedGpuMemory", ctypes.c_ulonglong)]


def plain(value):
    """Structs as dicts, pointers left out."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, nv.nvmlFriendlyObject):
        return {k: plain(v) for k, v in value.__dict__.items()}
    if isinstance(value, ctypes.Structure):
        return {name: plain(getattr(value, name)) for name, *_ in value._fields_}
    return value


def ask(function, *arguments):
    try:
        return plain(function(*arguments))
    except nv.NVMLError as error:
        return {"error": error.value}


def old_list(symbol, handle):
    fn, count = nv._nvmlGetFunctionPointer(symbol), ctypes.c_uint(64)
    entries = (OldProcess * 64)()
    code = fn(handle, ctypes.byref(count), entries)
    return plain(entries[: count.value]) if code == 0 else {"error": code}


def process_lists(handle):
    answers = {}
    for kind in ("Compute", "Graphics", "MPSCompute"):
        name = f"nvmlDeviceGet{kind}RunningProcesses"
        answers[kind] = ask(getattr(nv, name + "_v2"), handle)
        answers[kind + " v3"] = ask(getattr(nv, name + "_v3"), handle)
        answers[kind + " old"] = old_list(name, handle)
    return answers


def gpm(take):
    """Two samples by TAKE, at once repeated until they are far enough apart."""
    first, last = nv.nvmlGpmSampleAlloc(), nv.nvmlGpmSampleAlloc()
    wanted = nv.c_nvmlGpmMetricsGet_t(version=1, numMetrics=4, sample1=first, sample2=last)
    for i, metric in enumerate((1, 2, 10, 3)):
        wanted.metrics[i].metricId = metric
    try:
        take(first)
        end, code = time.monotonic() + 10, None
        while code != 0 and time.monotonic() < end:
            take(last)
            code = nv._nvmlGetFunctionPointer("nvmlGpmMetricsGet")(ctypes.byref(wanted))
        return [[m.nvmlReturn, m.value] for m in wanted.metrics[:4]] if code == 0 else code
    except nv.NVMLError as error:
        return {"error": error.value}
    finally:
        nv.nvmlGpmSampleFree(first)
        nv.nvmlGpmSampleFree(last)


def device(handle):
    """What is asked of GPUs and MIG devices alike."""
    return {
        "uuid": ask(nv.nvmlDeviceGetUUID, handle),
        "name": ask(nv.nvmlDeviceGetName, handle),
        "memory": ask(nv.nvmlDeviceGetMemoryInfo, handle),
        "memory v2": ask(nv.nvmlDeviceGetMemoryInfo, handle, nv.nvmlMemory_v2),
        "utilization": ask(nv.nvmlDeviceGetUtilizationRates, handle),
        "processes": process_lists(handle),
        "samples": ask(nv.nvmlDeviceGetProcessUtilization, handle, 0),
        "gpm": gpm(lambda sample: nv.nvmlGpmSampleGet(handle, sample)),
    }


def mig_device(gpu, mig):
    gi = nv.nvmlDeviceGetGpuInstanceId(mig)
    return device(mig) | {
        "gi": gi,
        "ci": ask(nv.nvmlDeviceGetComputeInstanceId, mig),
        "attributes": ask(nv.nvmlDeviceGetAttributes_v2, mig),
        "gpm by id": gpm(lambda sample: nv.nvmlGpmMigSampleGet(gpu, gi, sample)),
    }


def mig_devices(gpu):
    found = {}
    for slot in range(nv.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            mig = nv.nvmlDeviceGetMigDeviceHandleByIndex(gpu, slot)
        except nv.NVMLError_NotFound:
            continue
        found[slot] = mig_device(gpu, mig)
    return found


def gpu(index):
    try:
        handle = nv.nvmlDeviceGetHandleByIndex(index)
    except nv.NVMLError as error:
        return {"error": error.value}
    return device(handle) | {
        "pci": ask(nv.nvmlDeviceGetPciInfo_v3, handle),
        "minor": ask(nv.nvmlDeviceGetMinorNumber, handle),
        "power": ask(nv.nvmlDeviceGetPowerUsage, handle),
        "temperature": ask(nv.nvmlDeviceGetTemperature, handle, nv.NVML_TEMPERATURE_GPU),
        "mig mode": ask(nv.nvmlDeviceGetMigMode, handle),
        "gpm support": ask(nv.nvmlGpmQueryDeviceSupport, handle),
        "migs": mig_devices(handle),
    }


def main():
    nv.nvmlInit()
    assert nv._nvmlGetFunctionPointer("nvmlInit_v2")() == 0  # a second one is counted
    answers = {
        "driver": nv.nvmlSystemGetDriverVersion(),
        "nvml": nv.nvmlSystemGetNVMLVersion(),
        "gpus": [gpu(i) for i in range(nv.nvmlDeviceGetCount())],
    }
    text = nv._nvmlGetFunctionPointer("nvmlErrorString")
    text.restype = ctypes.c_char_p
    answers["text of 15"] = text(15).decode()
    nv.nvmlShutdown()
    nv.nvmlShutdown()
    try:
        nv.nvmlDeviceGetCount()
    except nv.NVMLError_Uninitialized:
        answers["symbols"] = sorted(SYMBOLS)
    print(json.dumps(answers))


main()
