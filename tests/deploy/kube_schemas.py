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
def ask_operator(listed):
    """What the operator's types and definitions refuse, a line for each object of a JSON list; most
    lists are the same for each version of Kubernetes."""
    return [subprocess.run(program, input=listed, text=True, capture_output=True,
                           check=True).stdout.splitlines() for program in OPERATOR_CHECKS]


def name_of(found):
    return f"{found['kind']} {found['metadata']['name']}"


def is_operators(found):
    return found["apiVersion"].startswith("monitoring.coreos.com/")


def operator_faults(objects):
    return [f"{name_of(found)}: {fault}" for lines in ask_operator(json.dumps(objects))
            for found, fault in zip(objects, lines, strict=True) if fault]


def core_faults(found, version):
    validator = core_validator(found["apiVersion"], found["kind"], version)
    return [f"{name_of(found)}: {fault.json_path}: {fault.message}"
            for fault in validator.iter_errors(found)]


def faults(objects, version):
    """What an API server of VERSION would find wrong with the objects of a chart."""
    operators = [found for found in objects if is_operators(found)]
    others = [found for found in objects if not is_operators(found)]
    return [*(fault for found in others for fault in core_faults(found, version)),
            *(operator_faults(operators) if operators else [])]
