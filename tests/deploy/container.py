"""Images as OCI archives, and containers of them run by runc as the chart's pods would be."""

import contextlib
import fcntl
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil
from harness import ROOT, clean_environment

STORAGE = Path("/var/lib/containers/gpu-sessions-tests")
MAX_IMAGES = 80  # one source leaves about ten, layers of the build included
SECCOMP = Path("/usr/share/containers/seccomp.json")  # what container runtimes use by default


def built_image(architecture, folder):
    """(Image, the folder that it is unpacked in) by the Dockerfile, through scripts/image.sh.

    Made in FOLDER by the first process that asks; layers of the same input are used again.
    """
    archive, root = folder / f"{architecture}.tar", folder / architecture
    folder.mkdir(exist_ok=True)
    with locked(folder / "lock"):
        if not root.exists():
            name = f"localhost/gpu-sessions-test:{architecture}"
            run_image_script(ARCH=architecture, IMAGE=name, OUTPUT=str(archive))
            Image(archive).unpack(root)
    return Image(archive), root


@contextlib.contextmanager
def locked(path):
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def storage_settings():
    """The file that tells buildah to keep what tests build apart from the machine's images.

    Layers stay for the next run, and are dropped when many sources have left theirs.
    """
    settings = STORAGE / "storage.conf"
    STORAGE.mkdir(parents=True, exist_ok=True)
    with locked(STORAGE / "lock"):
        settings.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{STORAGE}/storage"\n'
            f'runroot = "/run/{STORAGE.name}"\n'
        )
        environment = clean_environment(CONTAINERS_STORAGE_CONF=str(settings))
        images = subprocess.run(["buildah", "images", "--all", "--quiet"], env=environment,
                                capture_output=True, text=True, check=True).stdout.split()
        if len(images) > MAX_IMAGES:
            subprocess.run(["buildah", "rmi", "--prune", "--force"], env=environment,
                           capture_output=True, check=True)
    return str(settings)


def run_image_script(*arguments, **variables):
    done = subprocess.run(
        ["scripts/image.sh", *arguments], cwd=ROOT,
        env=clean_environment(CONTAINERS_STORAGE_CONF=storage_settings(), **variables),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


class Image:
    def __init__(self, archive):
        self.archive = Path(archive)
        with tarfile.open(self.archive) as tar:
            index = json.load(tar.extractfile("index.json"))
            self.manifest = self._blob(tar, index["manifests"][0])
            self.config = self._blob(tar, self.manifest["config"])

    @staticmethod
    def _blob(tar, descriptor):
        return json.load(tar.extractfile(blob_path(descriptor)))

    @property
    def settings(self):
        return self.config["config"]

    @property
    def labels(self):
        prefix = "org.opencontainers.image."
        return {
            name.removeprefix(prefix): value for name, value in self.settings["Labels"].items()
        }

    @property
    def compressed_size(self):
        return sum(layer["size"] for layer in self.manifest["layers"])

    @cached_property
    def members(self):
        """{path: tarfile.TarInfo} of all files; the image has one layer."""
        (descriptor,) = self.manifest["layers"]
        with tarfile.open(self.archive) as tar:
            with tarfile.open(fileobj=tar.extractfile(blob_path(descriptor))) as layer:
                return {"/" + member.name.strip("./"): member for member in layer}

    @property
    def size(self):
        return sum(member.size for member in self.members.values())

    def unpack(self, folder):
        folder.mkdir()
        (descriptor,) = self.manifest["layers"]
        with tarfile.open(self.archive) as tar:
            layer = tar.extractfile(blob_path(descriptor)).read()
        subprocess.run(["tar", "-xpz", "-C", folder], input=layer, check=True)


def blob_path(descriptor):
    return "blobs/" + descriptor["digest"].replace(":", "/")


def default_seccomp(machine="amd64"):
    """The runtimes' default filter, as it is for a container without capabilities."""
    profile = json.loads(SECCOMP.read_text())

    def applies(rule):
        wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
        return (
            not wanted.get("caps")
            and machine in wanted.get("arches", [machine])
            and machine not in unwanted.get("arches", [])
        )

    def plain(rule):
        return {key: rule[key] for key in ("names", "action", "args", "errnoRet") if rule.get(key)}

    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [plain(rule) for rule in profile["syscalls"] if applies(rule)],
    }


@dataclass
class Mount:
    source: Path
    destination: str
    writable: bool = False

    def for_runtime(self):
        mode = "rw" if self.writable else "ro"
        return {
            "type": "bind", "source": str(self.source), "destination": str(self.destination),
            "options": ["rbind", mode],
        }


class Container:
    """A bundle for runc: the image's own command, user and environment, the security context
    of the chart's pods, the host's PID namespace and network.
    """

    def __init__(self, image, bundle, root, arguments, mounts=(), environment=()):
        self.bundle, self.name = Path(bundle), f"gpu-sessions-{os.getpid()}-{id(self)}"
        self.user, group = map(int, image.settings["User"].split(":"))
        no_capability = dict.fromkeys(
            ("bounding", "effective", "inheritable", "permitted", "ambient"), []
        )
        bundle.mkdir(parents=True)
        (bundle / "config.json").write_text(json.dumps({
            "ociVersion": "1.0.2",
            "root": {"path": str(root), "readonly": True},
            "process": {
                "args": [*image.settings["Entrypoint"], *map(str, arguments)],
                "cwd": "/",
                "env": [*image.settings["Env"], *environment],
                "user": {"uid": self.user, "gid": group},
                "capabilities": no_capability,
                "noNewPrivileges": True,
            },
            "mounts": [
                {"type": "proc", "source": "proc", "destination": "/proc"},
                {"type": "tmpfs", "source": "tmpfs", "destination": "/dev",
                 "options": ["nosuid", "mode=755"]},
                *(mount.for_runtime() for mount in mounts),
            ],
            "linux": {
                "namespaces": [{"type": kind} for kind in ("mount", "ipc", "uts")],
                "seccomp": default_seccomp(),
            },
        }))

    @property
    def command(self):
        """It ends with the tests, however these end."""
        return ["setpriv", "--pdeathsig", "TERM",
                "runc", "run", "--bundle", str(self.bundle), self.name]

    def run(self, timeout=60):
        return subprocess.run(
            self.command, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout
        )

    def processes(self, runtime):
        """The container's processes, of the running command RUNTIME."""
        children = psutil.Process(runtime.pid).children(recursive=True)
        return [process for process in children if process.uids().real == self.user]
