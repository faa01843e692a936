"""The bill of materials: valid, complete, and the same each time."""

import json
import re
import subprocess
import sys

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from harness import ROOT, clean_environment


def make_sbom(program):
    done = subprocess.run([sys.executable, ROOT / "scripts/package/make_sbom.py", program],
                          capture_output=True, text=True, env=clean_environment())
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def text(build):
    return make_sbom(build / "gpu-sessions")


@pytest.fixture(scope="module")
def sbom(text):
    return json.loads(text)


def test_the_schema_is_kept(text):
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"scope": "required"', '"scope": "always"'))


def test_the_same_program_gives_the_same_bytes(build, text):
    assert make_sbom(build / "gpu-sessions") == text


def files_of(sbom, scope):
    return {file["name"] for part in sbom["components"] if part["scope"] == scope
            for file in part["components"]}


def test_what_the_loader_takes_is_listed(build, sbom):
    listed = subprocess.run(["ldd", build / "gpu-sessions"], check=True, capture_output=True,
                            text=True).stdout
    linked = set(re.findall(r"^\t(\S+) => /", listed, re.M))
    required, optional = files_of(sbom, "required"), files_of(sbom, "optional")
    assert linked <= required
    assert "libcurl-gnutls.so.4" in optional and not linked & optional


def test_every_package_is_named_as_dpkg_has_it(sbom):
    for part in sbom["components"]:
        purl = PackageURL.from_string(part["purl"])
        assert (purl.type, purl.namespace, purl.name, purl.version) == (
            "deb", "debian", part["name"], part["version"])
        installed = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}",
             f"{part['name']}:{purl.qualifiers['arch']}"],
            check=True, capture_output=True, text=True).stdout
        assert part["version"] == installed
        assert part["licenses"] and part["components"]


def test_everything_hangs_on_the_program(sbom):
    """Nothing is listed that nobody needs."""
    needs = {row["ref"]: row.get("dependsOn", []) for row in sbom["dependencies"]}
    reached, waiting = set(), [sbom["metadata"]["component"]["bom-ref"]]
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += needs[ref]
    assert reached == needs.keys() and len(reached) == len(sbom["components"]) + 1
