"""The operator's guide: the two languages say the same, and what it names exists."""

import re
import subprocess

import pytest
import yaml

from chart import CHART, has_value
from harness import ROOT, find_program

GUIDES = {"en": ROOT / "docs/operators-guide.md", "ko": ROOT / "docs/operators-guide.ko.md"}
EACH = pytest.mark.parametrize("path", GUIDES.values(), ids=GUIDES)


def commands(text):
    """The lines of its code blocks, without the comments, which are in its language."""
    lines = re.findall(r"^    (.+)$", text, re.M)
    return [re.sub(r" +#.*", "", line) for line in lines]


def shape(text):
    """What does not depend on the language: headings by depth, rows of tables, pictures."""
    rows = [line.count(" | ") for line in text.splitlines() if line.startswith("|")]
    pictures = re.findall(r"```\n(.*?)```", text, re.S)
    return [line.split()[0] for line in text.splitlines() if line.startswith("#")], rows, pictures


def test_both_languages_have_the_same_commands():
    english, korean = (path.read_text() for path in GUIDES.values())
    assert commands(english) == commands(korean)
    assert len(commands(english)) > 30
    assert shape(english) == shape(korean)


@EACH
def test_values_are_those_of_the_chart(path):
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    keys = set(re.findall(r"`([a-z][\w-]*(?:\.\w+)+)(?:[=`:])", path.read_text()))
    known = {key for key in keys if key.split(".")[0] in values}
    assert len(known) > 15
    assert [key for key in known if not has_value(values, key)] == []


@EACH
def test_queries_are_promql(path, tmp_path):
    text = path.read_text()
    queries = re.findall(r"'query=(.+?)'", text)
    queries += re.findall(r"^\| [^|`]+ \| `((?:sum|time|gpu_|\().+)` \|$", text, re.M)
    assert len(queries) == 10
    rules = [{"record": f"a:b{i}", "expr": query} for i, query in enumerate(queries)]
    written = tmp_path / "rules.yml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "guide", "rules": rules}]}))
    checked = subprocess.run([find_program("promtool"), "check", "rules", written],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
