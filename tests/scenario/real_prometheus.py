"""A real Prometheus for the tests: started with a configuration, asked by its HTTP API."""

import contextlib
import json
import urllib.parse
import urllib.request

from harness import background, find_program, free_port, wait_until

GLOBAL = "global: {{scrape_interval: {0}, scrape_timeout: {0}, evaluation_interval: 1s}}\n"


class Prometheus:
    def __init__(self, port):
        self.api = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path, **parameters):
        url = f"{self.api}/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())["data"]

    def is_up(self):
        try:
            return self.query("vector(1)")
        except OSError:
            return False

    def rows(self, expression):
        """[(labels, value)] of an instant query, all labels."""
        data = self.get("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in data["result"]]

    def query(self, expression):
        """{labels: value} without what only says where a row was scraped."""
        return {
            tuple(sorted(
                (name, text) for name, text in labels.items()
                if name not in ("__name__", "instance", "job")
            )): number
            for labels, number in self.rows(expression)
        }

    def wait(self, expression, what, timeout=60):
        """Until EXPRESSION has an answer at all, which is returned."""
        return wait_until(lambda: self.query(expression), what, timeout)


@contextlib.contextmanager
def running_prometheus(directory, scrape_configs, interval="1s", rules=None):
    """SCRAPE_CONFIGS and RULES are texts of YAML."""
    directory.mkdir(exist_ok=True)
    config = directory / "prometheus.yml"
    text = GLOBAL.format(interval)
    if rules:
        (directory / "rules.yml").write_text(rules)
        text += 'rule_files: ["rules.yml"]\n'
    config.write_text(f"{text}scrape_configs:\n{scrape_configs}")
    port = free_port()
    command = [
        find_program("prometheus"), f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
    ]
    with background(command, directory / "prometheus.log"):
        prometheus = Prometheus(port)
        wait_until(prometheus.is_up, f"Prometheus answers, see {directory}", timeout=60)
        yield prometheus
