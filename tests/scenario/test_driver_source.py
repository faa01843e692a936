"""Which driver source answers in a run of several collections."""

import shutil

from harness import samples, value, wait_until


def test_nvidia_smi_only_stands_in(simulated, tmp_path):
    """Each page says that the library is missing; once it is there, it is asked again."""
    node = simulated("plain")
    library = node.directory / "libmissing.so.1"
    path = tmp_path / "out.prom"

    def page_with(condition, what):
        def page():
            found = samples(path.read_text()) if path.exists() else {}
            return found if condition(found) else None

        return wait_until(page, what)

    run = node.program.start(
        "collect", *node.flags, f"--nvml.library={library}", "--textfile", path,
        "--interval=100ms", "--count=1000",
    )
    try:
        counted = dict(source="nvml", reason="no_library")
        page = page_with(
            lambda page: (value(page, "gpu_session_collect_errors_total", **counted) or 0) >= 2,
            "a second page",
        )
        assert value(page, "gpu_session_source_up", source="nvml") == 0
        assert value(page, "gpu_session_source_up", source="nvidia-smi") == 1
        assert value(page, "gpu_total_sessions") == 3
        whole = tmp_path / "library"
        shutil.copy(node.directory / "libnvidia-ml.so.1", whole)
        shutil.move(whole, library)
        page = page_with(
            lambda page: value(page, "gpu_session_source_up", source="nvml") == 1, "the library"
        )
        assert value(page, "gpu_session_source_up", source="nvidia-smi") is None
        assert value(page, "gpu_total_sessions") == 3
    finally:
        run.terminate()
        run.wait(timeout=30)
