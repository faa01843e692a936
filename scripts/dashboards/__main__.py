"""Writes the Grafana dashboards:  python scripts/dashboards [FOLDER]

The folder is that of the chart unless another one is named.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

import node
import overview
import users

CHART = Path(__file__).resolve().parents[2] / "deploy/charts/gpu-session-monitoring"


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CHART / "dashboards"
    for module in (overview, users, node):
        made = module.dashboard()
        text = json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True)
        (folder / f"{made.uid}.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
