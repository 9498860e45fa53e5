"""The Helm chart, linted and rendered with each file of values in its ``ci`` folder, as JSON on stdout.

Run by the Python of ``make helm`` (``build/deploy``), which has Helm's own library and Kubernetes' schemas;
called by ``tests/deploy``. Each variant is told as ``lint`` (severity and words), ``objects`` (what was
rendered) and ``faults`` (what Kubernetes' schemas say against it); a kind that Kubernetes does not know is
told in ``unknown``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate as kubernetes
import yaml

VERSION = "1.33"  # of Kubernetes
SEVERITIES = ("unknown", "info", "warning", "error")


def main(chart: str, *variants: str) -> None:
    """Render a chart with each file of values, and say what is wrong."""
    found = {Path(one).stem: _variant(chart, Path(one)) for one in variants}
    json.dump(found, sys.stdout)


def _variant(chart: str, values: Path) -> dict[str, Any]:
    given = yaml.safe_load(values.read_text(encoding="utf-8")) or {}
    report = helm.lint(chart, given, strict=True, kube_version=f"v{VERSION}.0")
    told = [(SEVERITIES[one["severity"]], str(one["error"])) for one in report["messages"]]
    try:
        with helm.Chart.load(chart) as loaded:
            loaded.validate_schema(given)
            files = loaded.render(given, name="live", namespace="lender")
    except helm.HelmError as error:
        return {"lint": told, "objects": [], "faults": [str(error)], "unknown": []}
    objects = [
        one
        for name, text in sorted(files.items())
        if not name.endswith(".txt")
        for one in yaml.safe_load_all(text)
        if one is not None
    ]
    faults: list[str] = []
    unknown: list[str] = []
    for one in objects:
        try:
            kubernetes.validate(one, VERSION, strict=True)
        except kubernetes.ValidationError as error:
            faults.append(f"{one['kind']} {one['metadata']['name']}: {error.message}")
        except kubernetes.SchemaNotFoundError:
            unknown.append(str(one["kind"]))
    return {"lint": told, "objects": objects, "faults": faults, "unknown": unknown}


if __name__ == "__main__":
    main(*sys.argv[1:])
