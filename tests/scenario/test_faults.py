"""Every driver call that a collection makes, failing in every way, one at a time.

The list of calls is read from the program's own table of symbols, so a new call is tested
from the day it is added. A failing call may cost rows; it may never change one, and never
touch another GPU.
"""

import re

import pytest

from harness import ROOT, samples, value

CALLS = re.findall(
    r"\b(?:REQUIRED|OPTIONAL)\((nvml\w+)\)", (ROOT / "src/source/nvml/nvml_api.h").read_text()
)
# About the whole driver, not about one GPU.
NODE_CALLS = {
    "nvmlInit_v2", "nvmlInitWithFlags", "nvmlShutdown", "nvmlSystemGetDriverVersion",
    "nvmlDeviceGetCount_v2", "nvmlGpmSampleAlloc", "nvmlGpmSampleFree", "nvmlGpmMetricsGet",
}
# Without these there is no collection; only they may end it with an error.
VITAL_CALLS = {"nvmlInit_v2", "nvmlInitWithFlags", "nvmlDeviceGetCount_v2"}
# What these answer decides which devices a GPU has, and so how its rows are called.
SHAPE_CALLS = {
    "nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetGpuInstanceId",
    "nvmlDeviceGetComputeInstanceId", "nvmlDeviceGetMigDeviceHandleByIndex",
}
CODES = {"NOT_SUPPORTED": 3, "NO_PERMISSION": 4, "GPU_IS_LOST": 15, "UNKNOWN": 999}
# The scenarios, and the GPU that the fault is about in each.
SICK_GPU = {"plain": 1, "hopper_mig": 0}
TIMEOUT = "--timeout=3s"


def faulty_scenario(tmp_path, scenario, call, fault):
    text = (ROOT / "sim/scenarios" / f"{scenario}.yaml").read_text()
    assert "\nfaults:" not in text
    place = "" if call in NODE_CALLS else f'\n    gpu: "{SICK_GPU[scenario]}"'
    path = tmp_path / f"{scenario}.yaml"
    path.write_text(f"{text}\nfaults:\n  - call: {call}{place}\n    {fault}\n")
    return path


def of_gpu(labels, gpu):
    return dict(labels).get("gpu", "").split("_")[0] == str(gpu)


def without_volatile(labels):
    """Status and memory are derived from other calls, and empty when these failed."""
    return tuple(pair for pair in labels if pair[0] not in ("status", "gpu_memory"))


def session_rows(page):
    """The rows that a person reads numbers from, without labels that derive from them."""
    return {
        (name, without_volatile(labels)): number
        for (name, labels), number in page.items()
        if name.startswith(("gpu_process_", "gpu_session_count", "gpu_device_"))
    }


CLEAN = {}


@pytest.fixture
def clean(simulated):
    def page_of(scenario):
        if scenario not in CLEAN:
            CLEAN[scenario] = samples(simulated(scenario).page())
        return CLEAN[scenario]

    return page_of


def check_other_gpus(page, clean_page, sick_gpu):
    for key, number in clean_page.items():
        if dict(key[1]).get("gpu") and not of_gpu(key[1], sick_gpu):
            assert page.get(key) == number, key


def check_nothing_invented(page, clean_page, call):
    """What is still said of the sick GPU is what was true before."""
    before = session_rows(clean_page)
    for key, number in session_rows(page).items():
        if key[0] == "gpu_device_info" or call in SHAPE_CALLS:
            continue
        if key[0] == "gpu_device_memory_used_bytes":
            # The older call has no figure without the driver's reserve.
            assert number >= before[key]
        else:
            assert before.get(key) == number, key


@pytest.mark.parametrize("scenario", SICK_GPU)
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("call", CALLS)
def test_call_fails(call, code, scenario, simulated, clean, tmp_path):
    path = faulty_scenario(tmp_path, scenario, call, f"code: {code}")
    # A library that refuses to shut down keeps its memory; that is not the program's leak.
    env = {"LSAN_OPTIONS": "detect_leaks=0"} if call == "nvmlShutdown" else {}
    done = simulated(path).collect(TIMEOUT, env=env)
    page = samples(done.stdout.decode())
    if call in VITAL_CALLS and value(page, "gpu_session_source_up", source="nvml") == 0:
        assert done.returncode == 1
        assert value(page, "gpu_total_sessions") is None
        assert not [key for key in page if key[0].startswith("gpu_process_")]
        return
    assert done.returncode == 0, done.stderr
    assert value(page, "gpu_session_source_up", source="nvml") == 1
    if call in NODE_CALLS:
        return
    check_other_gpus(page, clean(scenario), SICK_GPU[scenario])
    check_nothing_invented(page, clean(scenario), call)


@pytest.mark.parametrize("action", ["stall", "crash"])
@pytest.mark.parametrize("scenario", SICK_GPU)
@pytest.mark.parametrize("call", CALLS)
def test_call_never_returns(call, scenario, action, simulated, clean, tmp_path):
    path = faulty_scenario(tmp_path, scenario, call, f"action: {action}")
    node = simulated(path)
    done = node.collect(TIMEOUT, timeout=20)
    page = samples(done.stdout.decode())
    up = value(page, "gpu_session_source_up", source="nvml")
    if done.returncode == 0:
        # The call is not made on this node, or only after the answer was complete.
        assert up == 1
        assert session_rows(page) == session_rows(clean(scenario))
        assert call not in MADE_ON_EVERY_NODE
        return
    assert done.returncode == 1 and up == 0
    assert call.encode() in done.stderr or b"GPU" in done.stderr
    if call not in NODE_CALLS:
        check_other_gpus(page, clean(scenario), SICK_GPU[scenario])
        assert not [key for key in page if key[0] == "gpu_process_info"
                    and of_gpu(key[1], SICK_GPU[scenario])]


OPTIONAL_CALLS = re.findall(
    r"\bOPTIONAL\((nvml\w+)\)", (ROOT / "src/source/nvml/nvml_api.h").read_text()
)


@pytest.mark.parametrize("scenario", SICK_GPU)
@pytest.mark.parametrize("call", OPTIONAL_CALLS)
def test_symbol_is_absent(call, scenario, simulated, clean, tmp_path):
    """An older driver: the value is missing, or an older call gives it; never another one."""
    text = (ROOT / "sim/scenarios" / f"{scenario}.yaml").read_text()
    assert "\ndriver:" not in text
    path = tmp_path / f"{scenario}.yaml"
    path.write_text(f"{text}\ndriver: {{absent_symbols: [{call}]}}\n")
    done = simulated(path).collect()
    page = samples(done.stdout.decode())
    assert done.returncode == 0, done.stderr
    assert value(page, "gpu_session_source_up", source="nvml") == 1
    check_nothing_invented(page, clean(scenario), call)


@pytest.mark.parametrize("generation", ["450", "450.66", "470", "510", "520", "535.54", "535.98",
                                        "550", "610"])
def test_driver_generation(generation, simulated, clean, tmp_path):
    """Sessions and their memory are the same by every driver since 450."""
    text = (ROOT / "sim/scenarios/plain.yaml").read_text()
    path = tmp_path / "plain.yaml"
    path.write_text(f'{text}\ndriver: {{generation: "{generation}"}}\n')
    page = samples(simulated(path).page())
    for key, number in session_rows(clean("plain")).items():
        if key[0].startswith("gpu_process_") or key[0] == "gpu_session_count":
            assert session_rows(page).get(key) == number, key


# Guards the test above: were these not seen to stall, it would test nothing.
MADE_ON_EVERY_NODE = {
    "nvmlInitWithFlags", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetMigMode", "nvmlDeviceGetComputeRunningProcesses_v2",
}


def test_the_table_of_symbols_was_found():
    assert len(CALLS) > 20
    assert (NODE_CALLS | VITAL_CALLS | SHAPE_CALLS | MADE_ON_EVERY_NODE) <= set(CALLS)
