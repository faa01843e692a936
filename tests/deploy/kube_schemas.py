"""Strict validation of Kubernetes objects: unknown fields, wrong types, wrong words.

Core kinds by the schemas that kubernetes-validate bundles for each Kubernetes version; those
of the Prometheus operator by its own Go types and by what npm has of its definitions
(tools/operator-objects, tools/kubernetes-models).
"""

import functools
import json
import subprocess
from importlib import resources

import jsonschema
import kubernetes_validate
from referencing import Registry, Resource

from harness import ROOT

TOOLS = ROOT / "tests/deploy/tools"
OPERATOR_CHECKS = [
    [ROOT / ".tools/bin/operator-objects"],  # unknown fields
    ["node", TOOLS / "kubernetes-models/validate.mjs", ROOT / ".tools/kubernetes-models"],  # words
]


@functools.cache
def folder_of(version):
    schemas = resources.files(kubernetes_validate) / "kubernetes-json-schema"
    folder = schemas / f"v{'.'.join(version.split('.')[:2])}.0-local-strict"
    assert folder.is_dir(), f"kubernetes-validate knows no Kubernetes {version}"
    return folder


@functools.cache
def registry_of(version):
    definitions = json.loads((folder_of(version) / "_definitions.json").read_text())
    return Resource.from_contents(definitions) @ Registry()


@functools.cache
def core_validator(api_version, kind, version):
    group, _, rest = api_version.rpartition("/")
    name = f"{kind.lower()}-{group.split('.')[0] + '-' if group else ''}{rest}.json"
    schema = json.loads((folder_of(version) / name).read_text())
    return jsonschema.Draft202012Validator(schema, registry=registry_of(version))


@functools.cache
def operator_faults(listed):
    """What the Prometheus operator's own types refuse, and its definitions, of a JSON list. Most
    objects are the same for each version of Kubernetes."""
    return [
        line for program in OPERATOR_CHECKS
        for line in subprocess.run(program, input=listed, text=True, capture_output=True,
                                   check=True).stdout.splitlines()
        if line
    ]


def faults(found, version):
    """What an API server of VERSION would find wrong with an object."""
    name = f"{found['kind']} {found['metadata']['name']}"
    if found["apiVersion"].startswith("monitoring.coreos.com/"):
        return [f"{name}: {fault}" for fault in operator_faults(json.dumps([found]))]
    validator = core_validator(found["apiVersion"], found["kind"], version)
    return [f"{name}: {fault.json_path}: {fault.message}"
            for fault in validator.iter_errors(found)]
