#!/usr/bin/env python3
"""The benchmark's image: its size, its memory in a container, and what peers publish.

    bench_image.py FOLDER [quick]

Run by .venv's Python, because it uses the tests' containers; prints the part of the report.
"""

import re
import sys
import urllib.request
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/scenario"), str(ROOT / "tests/deploy")]

from container import Container, Mount, built_image  # noqa: E402  the folders are known only now
from harness import Program, background, wait_until  # noqa: E402

CHART = ROOT / "deploy/charts/gpu-session-monitoring/values.yaml"
MB, MIB = 1_000_000, 1 << 20

# What others say of themselves, or have measured, in public; looked up in 2026.
PEERS = """\
Beside the figures that others publish; a dash: looked for, and not found. dcgm-exporter brings DCGM
itself, which measures more of a device than this program does.

| program | image, uncompressed | image, compressed | memory that its chart requests; limit | memory seen by its users |
| --- | ---: | ---: | ---: | ---: |
{ours}
| dcgm-exporter | 1.45 GB (Ubuntu), 1.62 GB (UBI) [1]; distroless, the only one now [2]: - | up to 1 GB [3] | 128 MiB; 512 MiB [4] | 400 to 500 MiB [5]; 405 to 512 MiB on 32 nodes [6] |
| nvidia_gpu_exporter | - | - | none; none [7] | - |
| all-smi | - | more than 28.2 MB: that is its base alone [8] | no chart found | - |
| nvitop-exporter | - | - | no chart found | - |

1. [NVIDIA/dcgm-exporter, pull request 228](https://github.com/NVIDIA/dcgm-exporter/pull/228), 2024, down from about 2 GB
2. [NVIDIA/dcgm-exporter, issue 703](https://github.com/NVIDIA/dcgm-exporter/issues/703), 2026
3. [NVIDIA/dcgm-exporter, issue 176](https://github.com/NVIDIA/dcgm-exporter/issues/176), 2023, amd64, from the registry's page
4. [NVIDIA/dcgm-exporter, issue 740](https://github.com/NVIDIA/dcgm-exporter/issues/740), 2026, the chart's defaults since 4.8.0
5. [NVIDIA/dcgm-exporter, issue 609](https://github.com/NVIDIA/dcgm-exporter/issues/609), 2026, nodes with one A10G
6. [pytorch/ci-infra, issue 1011](https://github.com/pytorch/ci-infra/issues/1011), 2026, working sets, nodes with 1 to 8 GPUs
7. [utkuozdemir/helm-charts, nvidia-gpu-exporter/values.yaml](https://github.com/utkuozdemir/helm-charts/blob/2bbf4ea139ad6d8b7522b53fa7d6a968044d5145/nvidia-gpu-exporter/values.yaml): `resources: {{}}`
8. [its Dockerfile](https://docs.rs/crate/all-smi/0.24.2/source/Dockerfile) builds on `debian:bookworm-slim`, whose size is in [docker-library/repo-info](https://github.com/docker-library/repo-info/blob/05f354f0a08a211fdfed2f21845d1fccd389921d/repos/debian/remote/bookworm-slim.md)
"""


def peak_resident(pid):
    return int(re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def proportional(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1])


def collections(url):
    page = urllib.request.urlopen(url).read().decode()
    return int(re.search(r"^gpu_session_collections_total\S* (\d+)$", page, re.M)[1])


def memory(image, root, program, folder, scenario, wanted):
    """(peak RSS, PSS) KiB of all processes of the daemon in a container, after WANTED
    collections with a scrape each."""
    node = program.simulate(folder / scenario, scenario)
    (folder / scenario).chmod(0o755)
    container = Container(
        image, folder / f"bundle-{scenario}", root,
        ["serve", *node.flags, "--web.listen-address=127.0.0.1:0", "--collect.interval=1s"],
        mounts=[Mount(node.directory, node.directory)],
    )
    log = folder / f"{scenario}.log"
    with background(container.command, log) as runtime:
        url = wait_until(lambda: re.search(r"serving (http://[^\s,]+),", log.read_text()),
                         "the address")[1]
        wait_until(lambda: collections(url) >= wanted, "collections", timeout=120)
        pids = [process.pid for process in container.processes(runtime)]
        return sum(map(peak_resident, pids)), sum(map(proportional, pids))


def request_and_limit():
    resources = yaml.safe_load(CHART.read_text())["collection"]["resources"]
    return [resources[kind]["memory"].replace("Mi", " MiB") for kind in ("requests", "limits")]


def main():
    folder, quick = Path(sys.argv[1]), sys.argv[2:] == ["quick"]
    images = {name: built_image(name, folder / "images") for name in ("amd64", "arm64")}
    print("| image | files | layer, compressed |\n| --- | ---: | ---: |")
    for name, (image, _) in images.items():
        print(f"| {name} | {image.size / MB:.1f} MB | {image.compressed_size / MB:.1f} MB |")

    print("\n| node, in a container | PSS | peak RSS, shared pages counted per process |\n"
          "| --- | ---: | ---: |")
    program = Program(ROOT / "build-bench/gpu-sessions", folder)
    seen = {}
    for scenario in ("plain8", "dense"):
        peak, seen[scenario] = memory(
            *images["amd64"], program, folder, scenario, 3 if quick else 20)
        print(f"| {scenario} | {seen[scenario]:,} KiB | {peak:,} KiB |")

    image, (request, limit) = images["amd64"][0], request_and_limit()
    ours = (f"| gpu-sessions | {image.size / MB:.1f} MB | {image.compressed_size / MB:.1f} MB | "
            f"{request}; {limit} | {seen['plain8'] / 1024:.1f} MiB with 20 sessions, "
            f"{seen['dense'] / 1024:.1f} MiB with 500 (PSS, as above) |")
    print("\n" + PEERS.format(ours=ours), end="")


if __name__ == "__main__":
    main()
