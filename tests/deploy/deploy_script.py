"""deploy_astrago.sh in a copy of what it needs, with programs that only write down how they
were called."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from harness import ROOT

# What the script may take from the system; helm, helmfile and kubectl are not among them,
# so that a test decides whether they are there.
SYSTEM = (
    "bash", "sh", "env", "cat", "dirname", "basename", "grep", "sed", "tail", "tr", "paste",
    "mkdir", "mv",
)

# Writes its name and arguments as one line, answers what a file beside it says.
RECORDER = """#!/usr/bin/python3
import json, pathlib, sys
me = pathlib.Path(sys.argv[0])
with open(me.parent / "calls", "a") as calls:
    print(json.dumps([me.name, *sys.argv[1:]]), file=calls)
answer = me.parent / f"{me.name}.answer"
if answer.exists():
    status, _, text = answer.read_text().partition(" ")
    print(text)
    sys.exit(int(status))
"""


class Checkout:
    """A copy of the script and its folder, with a PATH of its own."""

    def __init__(self, directory, programs=("helm", "helmfile", "kubectl")):
        self.root = Path(directory) / "checkout"
        self.root.mkdir()
        shutil.copy(ROOT / "deploy_astrago.sh", self.root)
        shutil.copytree(ROOT / "deploy", self.root / "deploy")
        self.bin = Path(directory) / "bin"
        self.bin.mkdir()
        for name in SYSTEM:
            (self.bin / name).symlink_to(shutil.which(name))
        for name in programs:
            self.record(name)

    def record(self, name):
        (self.bin / name).write_text(RECORDER)
        (self.bin / name).chmod(0o755)

    def answer(self, name, text="", status=0):
        (self.bin / f"{name}.answer").write_text(f"{status} {text}")

    def run(self, *words, stdin="", **environment):
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        return subprocess.run(
            [self.root / "deploy_astrago.sh", *map(str, words)], text=True, input=stdin,
            capture_output=True, timeout=60, env=kept | {"PATH": str(self.bin)} | environment,
        )

    def calls(self, name="helmfile"):
        """The arguments of all calls of NAME."""
        path = self.bin / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [call[1:] for call in map(json.loads, lines) if call[0] == name]

    @property
    def helmfile_path(self):
        return str(self.root / "deploy/helmfile.yaml.gotmpl")

    def values_of(self, environment):
        return self.root / f"deploy/environments/{environment}/values.yaml"
