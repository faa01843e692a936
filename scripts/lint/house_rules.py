#!/usr/bin/python3
"""The house rules that no off-the-shelf tool knows.

    house_rules.py banned|folders|mirror|length|text

banned   functions that this project does not call
folders  who may include whom
mirror   every source file has its unit test
length   no function over 100 lines; prints the longest
text     no trailing blanks, no tabs in C, a newline at the end of each file
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Files whose job no unit test can do without the whole program; scenario tests cover them.
WITHOUT_MIRROR = {
    "src/main.c",
    "src/agent/command_collect.c",
    "src/agent/command_list.c",
    "src/agent/command_prepare_textfile.c",
    "src/agent/command_serve.c",
    "src/agent/command_simulate.c",
    "src/agent/cycle.c",
    "src/agent/daemon.c",
    "src/agent/server_process.c",
    "src/agent/supervisor.c",
    "src/agent/worker.c",
    "src/server/server.c",
    "src/server/web_gate.c",
}

BANNED = re.compile(
    r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strncpy|strncat|strtok|strtok_r|sscanf|atoi|"
    r"atol|atoll|atof|strtol|strtoll|strtoul|strtoull|gets|alloca|system|popen)\s*\("
)
# Where one of them is right: (file, function) and why it is.
EXCEPT = {
    ("src/agent/supervisor.c", "exit"): "the end of the worker process",
    ("src/agent/server_process.c", "exit"): "the end of the server process",
}
# A module's own object comes from calloc; what grows with the input from an arena or a buf.
ALLOCATORS = re.compile(
    r"(?<![\w.>])(malloc|realloc|strdup|strndup|asprintf|vasprintf)\s*\("
)
EXIT = re.compile(r"(?<![\w.>])(exit)\s*\(")

# folder → folders (or single headers) of the project that its files may include.
MAY_INCLUDE = {
    "src/base": {"base"},
    "src/model": {"base", "model"},
    "src/source": {"base", "model", "source"},
    "src/output": {"base", "model", "output"},
    "src/server": {"base", "server"},
    "src/agent": {"base", "model", "source", "output", "server", "agent", "sim"},
    "src/main.c": {"base", "agent"},
    "sim": {"base", "sim", "source/nvml/nvml_abi.h"},
}


def files(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()
    return [name for name in sorted(set(listed)) if (ROOT / name).is_file()]


def without_comments_and_text(source):
    """The code with comments and literals blanked out, line numbers kept."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), source)


def code(name):
    return without_comments_and_text((ROOT / name).read_text())


def check_banned():
    for name in files("src/*.c", "src/*.h", "sim/*.c", "sim/*.h"):
        rules = [(BANNED, "is banned")]
        if not name.startswith(("src/base/", "sim/")):
            rules.append((ALLOCATORS, "outside src/base (use an arena or a buf)"))
        if name != "src/main.c" and not name.startswith("sim/smi/"):
            rules.append((EXIT, "outside main.c"))
        for number, line in enumerate(code(name).splitlines(), 1):
            for pattern, words in rules:
                for match in pattern.finditer(line):
                    if (name, match[1]) not in EXCEPT:
                        yield f"{name}:{number}: {match[1]} {words}"


def rule_for(name):
    return max((rule for rule in MAY_INCLUDE if name.startswith(rule)), key=len, default=None)


def resolve_header(name, header):
    """The header's path below src/, or below the root for one of sim/."""
    for base in (ROOT / "src", (ROOT / name).parent, ROOT / "sim"):
        path = (base / header).resolve()
        if path.is_file():
            return str(path.relative_to(ROOT)).removeprefix("src/")
    return header


def check_folders():
    include = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
    for name in files("src/*.c", "src/*.h", "sim/*.c", "sim/*.h"):
        rule = rule_for(name)
        if rule is None:
            yield f"{name}: no rule says what this folder may include"
            continue
        for header in include.findall((ROOT / name).read_text()):
            target = resolve_header(name, header)
            allowed = MAY_INCLUDE[rule]
            if target not in allowed and target.split("/")[0] not in allowed:
                yield f'{name}: must not include "{header}"'


def check_mirror():
    for name in files("src/*.c"):
        path = Path(name)
        test = Path("tests/unit") / path.relative_to("src").parent / f"test_{path.name}"
        if not (ROOT / test).exists() and name not in WITHOUT_MIRROR:
            yield f"{name}: has no unit test {test}"
    for name in WITHOUT_MIRROR:
        if not (ROOT / name).exists():
            yield f"{name}: listed as an exception, but there is no such file"


def functions(name):
    """(lines, function) of each function of a file in this project's format."""
    start, title = None, ""
    lines = code(name).splitlines()
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
            head = " ".join(lines[max(0, number - 4) : number - 1])
            names = re.findall(r"(\w+)\s*\(", head)
            title = next((n for n in names if n != "__attribute__"), "?")
        elif line == "}" and start:
            yield number - start + 1, title
            start = None


def check_length():
    longest = sorted(
        ((length, name, function)
         for name in files("src/*.c", "sim/*.c")
         for length, function in functions(name)),
        reverse=True,
    )
    if longest:
        median = longest[len(longest) // 2][0]
        print(f"{len(longest)} functions, median {median} lines; the longest:")
    for length, name, function in longest[:10]:
        print(f"  {length:4} {name} {function}")
    for length, name, function in longest:
        if length > 100:
            yield f"{name}: {function} has {length} lines"


def check_text():
    patterns = ["*.c", "*.h", "*.py", "*.sh", "*.md", "*.build", "Makefile", "*.yaml", "*.yml"]
    for name in files(*patterns):
        if name.startswith(("tests/fuzz/corpus/", "tests/data/")):
            continue
        text = (ROOT / name).read_text(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() and not name.endswith(".md"):
                yield f"{name}:{number}: blanks at the end of the line"
            if "\t" in line and name.endswith((".c", ".h", ".py")):
                yield f"{name}:{number}: tab"
        if text and not text.endswith("\n"):
            yield f"{name}: no newline at the end"


CHECKS = {
    "banned": check_banned,
    "folders": check_folders,
    "mirror": check_mirror,
    "length": check_length,
    "text": check_text,
}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in CHECKS:
        print(__doc__, file=sys.stderr)
        return 2
    findings = list(CHECKS[sys.argv[1]]())
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
