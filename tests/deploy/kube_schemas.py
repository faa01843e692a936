"""Strict validation of Kubernetes objects: unknown fields, wrong types, wrong words.

Core kinds by the schemas that kubernetes-validate bundles for each Kubernetes version; those
of the Prometheus operator by its own definitions, which tools/operator-definitions has.
"""

import functools
import json
from importlib import resources

import jsonschema
import kubernetes_validate
import yaml
from referencing import Registry, Resource

from harness import ROOT

DEFINITIONS = ROOT / ".tools/operator-definitions"


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


def close(schema):
    """Refuses fields that the definition does not name, which an API server would drop."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for one in schema.values():
            close(one)
    elif isinstance(schema, list):
        for one in schema:
            close(one)


@functools.cache
def operator_validator(kind):
    path = DEFINITIONS / f"monitoring.coreos.com_{kind.lower()}s.yaml"
    definition = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    close(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft202012Validator(schema)


def faults(found, version):
    """What an API server of VERSION would find wrong with an object."""
    if found["apiVersion"].startswith("monitoring.coreos.com/"):
        validator = operator_validator(found["kind"])
    else:
        validator = core_validator(found["apiVersion"], found["kind"], version)
    name = f"{found['kind']} {found['metadata']['name']}"
    return [f"{name}: {fault.json_path}: {fault.message}"
            for fault in validator.iter_errors(found)]
