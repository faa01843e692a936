"""src/source/nvml/nvml_abi.h against NVIDIA's own nvml.h.

Every struct, constant and prototype is read out of our header, so that none can be
forgotten here. Two programs are made from that, one compiled against each header; they
must print the same table of sizes, offsets and values.
"""

import pathlib
import re
import shutil
import subprocess
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS = ROOT / "src" / "source" / "nvml" / "nvml_abi.h"

# Longer in every few headers; a client may only ever have more room than the library's
# header, of which it touches no more entries than asked for.
GROWING_CONSTANT = "NVML_GPM_METRIC_MAX"
GROWING_STRUCT = "nvmlGpmMetricsGet_t"

# Ours alone: one name of NVIDIA's for two widths, and the maker of version numbers, whose
# results are compared.
OFFICIAL_SPELLING = {
    "NVML_VALUE_NOT_AVAILABLE_U64": "(unsigned long long)NVML_VALUE_NOT_AVAILABLE",
    "NVML_VALUE_NOT_AVAILABLE_U32": "(unsigned)NVML_VALUE_NOT_AVAILABLE",
}

# An enum of NVIDIA's, an int of ours: the same register.
OTHER_TYPES = {"nvmlDeviceGetTemperature"}


def official_headers():
    site = pathlib.Path(sysconfig.get_path("purelib"))
    return sorted(site.glob("nvidia/**/include/nvml.h"))


@pytest.fixture(params=official_headers() or [None], ids=lambda path: path and path.parts[-3])
def official(request):
    if request.param is None:
        pytest.skip("no nvidia/**/include/nvml.h in site-packages (nvidia-nvml-dev)")
    return request.param


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"//[^\n]*", " ", text)


def declarator_names(body, prefix=""):
    """Names of the fields in a struct's body, nested ones as "outer.inner"."""
    names = []
    nested = re.compile(r"struct\s*\{([^{}]*)\}\s*(\w+)\s*;", re.S)
    for inner, name in nested.findall(body):
        names.append(prefix + name)
        names += declarator_names(inner, f"{prefix}{name}.")
    for declaration in nested.sub("", body).split(";"):
        match = re.search(r"(\w+)\s*(\[[^\]]*\])?\s*$", declaration.strip())
        if match:
            names.append(prefix + match.group(1))
    return names


def structs(text):
    """{type name: names of its fields}"""
    found = {}
    for match in re.finditer(r"typedef struct \{", text):
        depth, at = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        name = re.match(r"\s*(\w+)\s*;", text[at:]).group(1)
        found[name] = declarator_names(text[match.end() : at - 1])
    return found


def constants(text):
    enums = re.findall(r"^\s*(NVML_\w+) = ", text, flags=re.M)
    macros = re.findall(r"^#define (\w+) +\S", text, flags=re.M)
    return enums + [name for name in macros if name != "NVML_ABI_EXPORT"]


def prototypes(text):
    """{function: its declaration, without attributes}"""
    pattern = r"NVML_ABI_EXPORT\s+((?:const char \*|nvmlReturn_t\s+)(\w+)\s*\([^;]*\));"
    return {name: " ".join(whole.split()) for whole, name in re.findall(pattern, text)}


def table_program(text, spelling, known, extra=""):
    """Prints name, size and offset or value of all that is in KNOWN."""
    lines = []
    for type_name, fields in structs(text).items():
        if type_name != GROWING_STRUCT:
            lines.append(f'row("{type_name}", sizeof({type_name}), 0);')
        for field in fields:
            size = f"sizeof((({type_name} *)0)->{field})"
            if (type_name, field) == (GROWING_STRUCT, "metrics"):
                size = f"sizeof((({type_name} *)0)->{field}[0])"
            lines.append(f'row("{type_name}.{field}", {size}, offsetof({type_name}, {field}));')
    for name in constants(text):
        if name != GROWING_CONSTANT and (name in known or name in OFFICIAL_SPELLING):
            value = spelling.get(name, name)
            lines.append(f'row("{name}", sizeof({value}), (unsigned long long)({value}));')
    body = "\n    ".join(lines)
    return f"""
#include <stddef.h>
#include <stdio.h>
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include NVML_HEADER
{extra}
static void row(const char *name, size_t size, unsigned long long value)
{{
    printf("%s %zu %llu\\n", name, size, value);
}}
int main(void)
{{
    {body}
    fprintf(stderr, "%d", (int){GROWING_CONSTANT});
    return 0;
}}
"""


def prototype_checks(text, names_there):
    """Fails to compile where a prototype of ours is not compatible with NVIDIA's."""
    checks = []
    for name, declaration in prototypes(text).items():
        if name in names_there and name not in OTHER_TYPES:
            mine = re.sub(rf"\b{name}\b", f"our_{name}", declaration)
            checks.append(
                f"{mine};\n_Static_assert(__builtin_types_compatible_p("
                f'__typeof__({name}), __typeof__(our_{name})), "{name}");'
            )
    return "\n".join(checks)


def run_table(folder, name, source, header):
    compiler = shutil.which("cc") or pytest.skip("no cc")
    (folder / f"{name}.c").write_text(source)
    command = [compiler, "-std=gnu17", f'-DNVML_HEADER="{header}"']
    command += [f"{folder}/{name}.c", "-o", f"{folder}/{name}"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([folder / name], capture_output=True, text=True, check=True)
    return ran.stdout.splitlines(), int(ran.stderr)


def words(path):
    return set(re.findall(r"\w+", without_comments(path.read_text(errors="replace"))))


def test_the_headers_describe_the_same_binary_interface(official, tmp_path):
    text, known = without_comments(OURS.read_text()), words(official)
    ours, our_metrics = run_table(tmp_path, "ours", table_program(text, {}, known), OURS)
    checks = prototype_checks(text, known)
    source = table_program(text, OFFICIAL_SPELLING, known, checks)
    theirs, their_metrics = run_table(tmp_path, "theirs", source, official)
    assert len(ours) > 100
    assert ours == theirs
    assert our_metrics >= their_metrics, "a longer array of GPM metrics has come"


@pytest.mark.skipif(not official_headers(), reason="no nvml.h in site-packages")
def test_no_name_is_ours_alone():
    known = set().union(*map(words, official_headers()))
    text = without_comments(OURS.read_text())
    names = {*constants(text), *structs(text), *prototypes(text)}
    assert names - known == set(OFFICIAL_SPELLING)


def test_the_header_is_read_completely():
    text = without_comments(OURS.read_text())
    assert len(prototypes(text)) == text.count("NVML_ABI_EXPORT") - 1
    assert len(structs(text)) == text.count("typedef struct {")
    assert structs(text)["nvmlGpmMetric_t"] == [
        "metricInfo",
        "metricInfo.shortName",
        "metricInfo.longName",
        "metricInfo.unit",
        "metricId",
        "nvmlReturn",
        "value",
    ]
