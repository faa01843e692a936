"""Our parser of the Prometheus text format against the official one."""

import math
import subprocess

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from harness import ROOT

NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", fullmatch=True)
LABELS = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True)
# Without the line breaks of other alphabets, at which the official parser cuts too.
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), include_characters="\n"),
    max_size=30,
)
NUMBERS = st.one_of(
    st.floats().map(repr),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["NaN", "+Inf", "-Inf", "1e+06", "1E-7", ".5", "5.", "-0"]),
)
BLANKS = st.sampled_from(["", " ", "  "])


def escape(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@st.composite
def lines(draw):
    if draw(st.integers(0, 4)) == 0:
        return "# " + draw(st.from_regex(r"(HELP|TYPE) [a-z]{1,9} gauge", fullmatch=True))
    labels = draw(st.dictionaries(LABELS, TEXTS, max_size=6))
    inside = ",".join(f'{name}="{escape(text)}"' for name, text in labels.items())
    comma = "," if labels and draw(st.booleans()) else ""
    braces = f"{{{inside}{comma}}}" if labels or draw(st.booleans()) else ""
    stamp = draw(st.one_of(st.just(""), st.integers(0, 2**45).map(lambda n: f" {n}")))
    return f"{draw(NAMES)}{braces} {draw(BLANKS)}{draw(NUMBERS)}{stamp}"


def parse(build, text):
    done = subprocess.run(
        [build / "tests/tools/prom_samples"], input=text.encode(), capture_output=True,
        timeout=60, check=True,
    )
    *samples, skipped = done.stdout.decode().split("\0\1\0")
    found = []
    for sample in samples:
        name, number, *labels = sample.split("\0")
        found.append((name, float(number), dict(zip(labels[::2], labels[1::2]))))
    return found, int(skipped)


def is_same(ours, theirs):
    if math.isnan(theirs):
        return math.isnan(ours)
    return ours == theirs or math.isclose(ours, theirs, rel_tol=1e-15, abs_tol=5e-324)


def compare(build, text):
    ours, skipped = parse(build, text)
    theirs = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert skipped == 0
    assert [(name, labels) for name, _, labels in ours] == [(s.name, s.labels) for s in theirs]
    for (_, number, _), sample in zip(ours, theirs):
        assert is_same(number, sample.value), (number, sample)


def test_any_page(build):
    @settings(
        max_examples=60, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(lines(), max_size=60))
    def check(page):
        compare(build, "".join(line + "\n" for line in page))

    check()


def test_our_own_pages(build):
    for path in sorted((ROOT / "tests/scenario/golden").glob("*.prom")):
        compare(build, path.read_text())
