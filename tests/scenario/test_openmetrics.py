"""The OpenMetrics page by the official, strict parser: the same samples as the text page."""

from prometheus_client.openmetrics import parser

from harness import ROOT, samples

GOLDEN = ROOT / "tests/unit/output/golden"


def test_same_samples_as_the_text_page():
    page = (GOLDEN / "daemon.openmetrics").read_text()
    found = {}
    for family in parser.text_string_to_metric_families(page):
        assert family.type in ("gauge", "counter")
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    assert found == samples((GOLDEN / "daemon.prom").read_text())
