#!/usr/bin/env python3
"""Writes the bill of materials of a built program:  make_sbom.py PROGRAM >FILE

CycloneDX JSON: the program, and the Debian packages that the shared libraries are from which
it needs at run time, each with the files that are used. "optional" are those that are loaded
only when an optional source is on. The same program and packages give the same bytes.
"""

import hashlib
import os
import platform
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[2]

# By Debian source package: the licence of the libraries in it, as its copyright file has it.
# In words where that has more than SPDX has a name for.
LICENCES = {
    "brotli": "MIT",
    "curl": "curl",
    "cyrus-sasl2": "BSD-4-Clause and others of the same kind",
    "e2fsprogs": "MIT-style, of the com_err library",
    "glibc": "LGPL-2.1-or-later",
    "gmp": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "gnutls28": "LGPL-2.1-or-later",
    "keyutils": "LGPL-2.0-or-later",
    "krb5": "MIT Kerberos",
    "libcyaml": "ISC",
    "libffi": "MIT",
    "libidn2": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libmicrohttpd": "LGPL-2.1-or-later",
    "libpsl": "MIT",
    "libseccomp": "LGPL-2.1-only",
    "libssh2": "BSD-3-Clause",
    "libtasn1-6": "LGPL-2.1-or-later",
    "libunistring": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libxcrypt": "LGPL-2.1-or-later",
    "libyaml": "MIT",
    "libzstd": "BSD-3-Clause OR GPL-2.0-only",
    "nettle": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "nghttp2": "MIT",
    "openldap": "OLDAP-2.8",
    "openssl": "Apache-2.0",
    "p11-kit": "BSD-3-Clause",
    "protobuf-c": "BSD-2-Clause",
    "rtmpdump": "LGPL-2.1-or-later",
    "zlib": "Zlib",
}


@dataclass
class Package:
    name: str
    source: str
    version: str
    architecture: str
    files: list[Path] = field(default_factory=list)


def ask(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed_by(file):
    """The names of the libraries that an ELF file is linked with."""
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", ask("readelf", "-dW", str(file))))


def find_owners(files):
    """File → the package it is from. Some were registered as /lib/…, without /usr."""
    spellings = {}
    for file in files:
        real = os.path.realpath(file)
        spellings |= {real: file, real.removeprefix("/usr"): file}
    # Not check=True: of two spellings one is not known.
    listed = subprocess.run(["dpkg", "-S", *spellings], capture_output=True, text=True).stdout
    owners = {spellings[path]: package
              for package, path in re.findall(r"^(\S+): (/\S+)$", listed, re.M)}
    for file in files:
        if file not in owners:
            sys.exit(f"make_sbom: {file} is from no Debian package; install Debian's")
    return owners


def find_packages(libraries):
    """Package name → Package, for the files of LIBRARIES."""
    packages = {}
    for file, owner in find_owners(libraries).items():
        if owner not in packages:
            fields = "${Package}\n${source:Package}\n${Version}\n${Architecture}"
            packages[owner] = Package(*ask("dpkg-query", "-W", "-f", fields, owner).split("\n"))
        packages[owner].files.append(file)
    return {package.name: package for package in packages.values()}


def linked_files(program, by_name):
    """The libraries that are loaded at every start."""
    found, waiting = set(), [program]
    while waiting:
        for name in needed_by(waiting.pop()) & by_name.keys() - found:
            found.add(name)
            waiting.append(by_name[name])
    return found


def describe_file(file):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Component(
        name=file.name, type=ComponentType.FILE, bom_ref=f"file:{file.name}",
        hashes=[HashTypeFactory().from_hashlib_alg("sha256", digest)],
    )


def describe_package(package, required, distribution):
    try:
        licence = LICENCES[package.source]
    except KeyError:
        sys.exit(f"make_sbom: add the licence of the source package {package.source} to "
                 "LICENCES; /usr/share/doc/" f"{package.name}/copyright has it")
    is_required = any(file.name in required for file in package.files)
    purl = PackageURL("deb", "debian", package.name, package.version,
                      {"arch": package.architecture, "distro": distribution})
    return Component(
        name=package.name, version=package.version, type=ComponentType.LIBRARY,
        scope=ComponentScope.REQUIRED if is_required else ComponentScope.OPTIONAL,
        licenses=[LicenseFactory().make_from_string(licence)],
        purl=purl, bom_ref=purl.to_string(),
        properties=[Property(name="debian:source", value=package.source)],
        components=[describe_file(file) for file in package.files],
    )


def describe_program(program, version, architecture):
    purl = PackageURL("generic", None, "gpu-sessions", version, {"arch": architecture})
    return Component(
        name="gpu-sessions", version=version, type=ComponentType.APPLICATION,
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        purl=purl, bom_ref=purl.to_string(), components=[describe_file(program)],
    )


def join(bom, components, packages, program, libraries):
    """Adds who needs whom: the program its libraries, a package's libraries other packages'."""
    owner = {file.name: name for name, package in packages.items() for file in package.files}
    loaded = {file.name for file in libraries if file.name.startswith("libcurl")}
    bom.register_dependency(bom.metadata.component, {
        components[owner[name]] for name in (needed_by(program) | loaded) & owner.keys()})
    for name, package in packages.items():
        needed = set().union(*map(needed_by, package.files)) & owner.keys()
        others = {owner[file] for file in needed} - {name}
        bom.register_dependency(components[name], {components[other] for other in others})


def make_bom(program):
    listed = ask(str(ROOT / "scripts/package/list_libraries.sh"), str(program))
    libraries = [Path(line) for line in listed.split()]
    packages = find_packages(libraries)
    required = linked_files(program, {file.name: file for file in libraries})
    release = platform.freedesktop_os_release()
    distribution = f"{release['ID']}-{release['VERSION_ID']}"
    version = ask(str(program), "--version").split()[1]
    architecture = ask("dpkg", "--print-architecture").strip()

    bom = Bom()
    bom.metadata.component = describe_program(program, version, architecture)
    components = {name: describe_package(package, required, distribution)
                  for name, package in packages.items()}
    bom.components.update(components.values())
    join(bom, components, packages, program, libraries)
    return bom


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    bom = make_bom(Path(sys.argv[1]).resolve())
    # What would change from run to run comes from what is described.
    changed = ask("dpkg-parsechangelog", "-l", str(ROOT / "debian/changelog"), "-S", "Timestamp")
    bom.metadata.timestamp = datetime.fromtimestamp(int(changed), timezone.utc)
    bom.serial_number = uuid.UUID(int=0)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, JsonV1Dot6(bom).output_as_string())
    print(JsonV1Dot6(bom).output_as_string(indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
