"""Runs what a container of a rendered pod would run, on a simulated node.

Command line and environment are the rendered ones. What a kubelet and the NVIDIA runtime would
do is done here: host paths are those of the simulated node, a path in the container is where its
mount leads to, $(NAME) is filled in, the uid, gid and (no) capabilities are the container's, and
/proc and the driver's library are the node's.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

FIELDS = {"spec.nodeName": "node-a", "status.hostIP": "127.0.0.1"}
# Where the program looks in a pod unless it is told otherwise: mounted like any other path.
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
PLACES = {
    "GPU_SESSIONS_KUBE_TOKEN_FILE": f"{TOKEN}/token",
    "GPU_SESSIONS_KUBE_CA_FILE": f"{TOKEN}/ca.crt",
}


@dataclass
class Run:
    """Arguments, environment and the prefix that gives up rights, for Program.start and .run."""

    args: list
    env: dict
    prefix: list


def open_host(node):
    """The simulated node's root, which others than its maker may read too."""
    root = node.directory / "rootfs"
    for path in (node.directory, root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    return root


def mount(volume, root, contents):
    """What lies behind a volume."""
    if "hostPath" not in volume:
        return contents[volume["name"]]
    path, kind = root / volume["hostPath"]["path"].lstrip("/"), volume["hostPath"]["type"]
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(parents=True)  # the kubelet's: root's, 0755
    assert path.is_file() if kind == "File" else path.is_dir(), f"{path}: the pod would not start"
    return path


def prepare(node, spec, container, contents=None, **environment):
    """The run of CONTAINER of a pod with SPEC; CONTENTS are folders by volume that is not the host's."""
    root = node.directory / "rootfs"
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    mounts = {one["mountPath"]: mount(volumes[one["name"]], root, contents or {})
              for one in container.get("volumeMounts", [])}
    host = node.directory / "container" / container["name"]
    for inside, outside in mounts.items():
        link = host / inside.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside)
    given = {one["name"]: one.get("value") or FIELDS[one["valueFrom"]["fieldRef"]["fieldPath"]]
             for one in container.get("env", [])}
    args = [outside_of(expand(word, given), mounts, host) for word in container["args"]]
    places = {name: str(host / path.lstrip("/")) for name, path in PLACES.items() if TOKEN in mounts}
    return Run(args, node_environment(node) | given | places | environment, rights(spec, container))


def expand(word, environment):
    """As the kubelet: $(NAME) of the container's environment, other text untouched."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), word)


def outside_of(word, mounts, host):
    """A path in the container as one of this machine; no argument may name what is not mounted."""
    head, equals, value = word.rpartition("=")
    if not value.startswith("/"):
        return word
    parents = [value, *map(str, Path(value).parents)]
    is_within = any(path in mounts for path in parents)
    is_above = any(path.startswith(value + "/") for path in mounts)
    assert is_within or is_above, f"{word}: not mounted"
    # In a container a mount is a folder, here a link to it.
    return f"{head}{equals}{(host / value.lstrip('/')).resolve()}"


def node_environment(node):
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in node.flags)
    return {"GPU_SESSIONS_PATH_PROCFS": flags["path.procfs"],
            "GPU_SESSIONS_NVML_LIBRARY": flags["nvml.library"]}


def rights(spec, container):
    """The user of the container; only root can take it on."""
    context = spec["securityContext"] | container["securityContext"]
    uid, gid = context["runAsUser"], context["runAsGroup"]
    assert not (context["runAsNonRoot"] and uid == 0)
    if os.geteuid() != 0:
        return []
    return [shutil.which("setpriv"), f"--reuid={uid}", f"--regid={gid}", f"--groups={gid}",
            "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
