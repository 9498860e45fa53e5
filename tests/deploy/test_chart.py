"""The Helm chart: linted by Helm, rendered in three ways, each object held against Kubernetes' schemas."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from headwater.apps.settings import SETTINGS

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "headwater"
HOME = Path(os.environ.get("HEADWATER_DEPLOY") or ROOT / "build" / "deploy")
PYTHON = HOME / "bin" / "python"
VARIANTS = sorted((CHART / "ci").glob("*.yaml"))

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(not PYTHON.is_file(), reason="Helm is not in build/deploy: `make helm` sets it up"),
]

Rendered = Mapping[str, Any]


def rendered(*values: Path) -> Rendered:
    command = [str(PYTHON), str(ROOT / "tools" / "chart.py"), str(CHART), *map(str, values)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found: Rendered = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def found() -> Rendered:
    return rendered(*VARIANTS)


def one(variant: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    (wanted,) = [
        each for each in variant["objects"] if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return dict(wanted)


def kinds(variant: Mapping[str, Any]) -> list[str]:
    return sorted(f"{each['kind']}/{each['metadata']['name']}" for each in variant["objects"])


@pytest.mark.parametrize("name", [path.stem for path in VARIANTS])
def test_lint_and_schemas_say_nothing(name: str, found: Rendered) -> None:
    variant = found[name]
    assert [words for severity, words in variant["lint"] if severity != "info"] == []
    assert variant["faults"] == []
    assert set(variant["unknown"]) <= {"ScaledObject", "ServiceMonitor"}  # of operators, not of Kubernetes


def test_defaults_are_one_owner_and_no_more(found: Rendered) -> None:
    assert kinds(found["minimal"]) == [
        "ConfigMap/live-headwater-project",
        "NetworkPolicy/live-headwater",
        "PodDisruptionBudget/live-headwater-ingest",
        "Service/live-headwater-ingest",
        "ServiceAccount/live-headwater",
        "StatefulSet/live-headwater-ingest",
    ]
    spec = one(found["minimal"], "StatefulSet", "live-headwater-ingest")["spec"]
    assert spec["replicas"] == 1
    assert spec["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_everything_is_on(found: Rendered) -> None:
    assert kinds(found["everything"]) == [
        "Deployment/live-headwater-decide",
        "HorizontalPodAutoscaler/live-headwater-decide",
        "NetworkPolicy/live-headwater",
        "PodDisruptionBudget/live-headwater-decide",
        "PodDisruptionBudget/live-headwater-ingest",
        "PodDisruptionBudget/live-headwater-stream",
        "ScaledObject/live-headwater-stream",
        "Service/live-headwater-decide",
        "Service/live-headwater-ingest",
        "Service/live-headwater-stream",
        "ServiceAccount/live-headwater",
        "ServiceMonitor/live-headwater",
        "StatefulSet/live-headwater-ingest",
        "StatefulSet/live-headwater-stream",
    ]
    scaler = one(found["everything"], "HorizontalPodAutoscaler", "live-headwater-decide")["spec"]
    assert [metric["type"] for metric in scaler["metrics"]] == ["Resource", "Pods"]
    assert "replicas" not in one(found["everything"], "Deployment", "live-headwater-decide")["spec"]
    assert one(found["external"], "Deployment", "live-headwater-decide")["spec"]["replicas"] == 3


@pytest.mark.parametrize("name", [path.stem for path in VARIANTS])
def test_no_pod_may_more_than_it_must(name: str, found: Rendered) -> None:
    held = [each for each in found[name]["objects"] if each["kind"] in ("StatefulSet", "Deployment")]
    assert held
    for spec in (each["spec"]["template"]["spec"] for each in held):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert len(spec["topologySpreadConstraints"]) == 2
        assert spec["terminationGracePeriodSeconds"] >= 20  # the server waits ten for open requests
        for container in (*spec["containers"], *spec.get("initContainers", [])):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} == set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            writable = {
                mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")
            }
            assert writable == {"/data", "/tmp"}  # noqa: S108 - a mount of the pod


def test_servers_are_asked_whether_they_serve(found: Rendered) -> None:
    for kind, name in (("StatefulSet", "live-headwater-ingest"), ("Deployment", "live-headwater-decide")):
        spec = one(found["everything"], kind, name)["spec"]["template"]["spec"]
        (server,) = spec["containers"]
        paths = {
            probe: server[f"{probe}Probe"]["httpGet"]["path"]
            for probe in ("startup", "readiness", "liveness")
        }
        assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"}
        assert server["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"  # a certificate is set


def test_stream_hosts_answer_probes_and_show_metrics_to_whom_the_monitor_is(found: Rendered) -> None:
    (host,) = one(found["everything"], "StatefulSet", "live-headwater-stream")["spec"]["template"]["spec"][
        "containers"
    ]
    paths = {
        probe: host[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")
    }
    assert paths == {"startup": "/livez", "readiness": "/readyz", "liveness": "/livez"}
    assert host["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert "--metrics=0.0.0.0:8000" in host["args"]
    assert host["ports"] == [{"name": "http", "containerPort": 8000}]
    env = {each["name"]: each for each in host["env"]}
    assert env["HEADWATER_METRICS_TOKEN"]["valueFrom"]["secretKeyRef"] == {
        "name": "headwater-metrics",
        "key": "token",
    }
    (bare,) = one(found["external"], "StatefulSet", "live-headwater-stream")["spec"]["template"]["spec"][
        "containers"
    ]
    assert "HEADWATER_METRICS_TOKEN" not in {each["name"] for each in bare["env"]}  # and metrics are closed
    service = one(found["everything"], "Service", "live-headwater-stream")["spec"]
    assert service["ports"] == [{"name": "http", "port": 8000, "targetPort": "http"}]


def test_secrets_are_referred_to_and_variables_are_known(found: Rendered) -> None:
    """A variable that no setting names is a misspelt one."""
    known = {setting.variable for setting in SETTINGS} | {"HEADWATER_PORT", "POD"}
    for name in ("minimal", "everything", "external"):
        for each in found[name]["objects"]:
            for container in (
                each["spec"]["template"]["spec"]["containers"] if "template" in each.get("spec", {}) else []
            ):
                assert {one["name"] for one in container["env"]} <= known
    server = one(found["everything"], "StatefulSet", "live-headwater-ingest")["spec"]["template"]["spec"]
    env = {each["name"]: each for each in server["containers"][0]["env"]}
    assert env["HEADWATER_DATABASE_URL"]["valueFrom"]["secretKeyRef"] == {
        "name": "headwater-postgres",
        "key": "url",
    }
    assert env["HEADWATER_ROLE"]["value"] == "ingest"
    alone = one(found["minimal"], "StatefulSet", "live-headwater-ingest")["spec"]["template"]["spec"]
    assert "HEADWATER_ROLE" not in {each["name"] for each in alone["containers"][0]["env"]}


def test_the_database_has_its_tables_before_anything_is_served(found: Rendered) -> None:
    def before(name: str) -> list[tuple[str, object]]:
        spec = one(found[name], "StatefulSet", "live-headwater-ingest")["spec"]["template"]["spec"]
        return [(each["name"], each["args"]) for each in spec.get("initContainers", [])]

    assert before("everything")[0] == ("database", ["database", "upgrade"])
    assert [name for name, _ in before("everything")] == ["database", "first-key"]
    assert before("external") == [("database", ["database", "upgrade"])]
    assert [name for name, _ in before("minimal")] == ["first-key"]


def test_decide_servers_without_a_place_for_records_are_not_rendered(tmp_path: Path) -> None:
    given = yaml.safe_load((CHART / "ci" / "external.yaml").read_text(encoding="utf-8"))
    del given["settings"]["HEADWATER_DATABASE_URL_FILE"]
    (tmp_path / "forgetful.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    (fault,) = rendered(tmp_path / "forgetful.yaml")["forgetful"]["faults"]
    assert (
        "decide servers keep nothing themselves: set HEADWATER_DATABASE_URL, under settings or secrets"
        in fault
    )


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("ingest", "replicas"), 2, "additional properties 'replicas' not allowed"),
        (("settings",), {"HEADWATER_SMTP_PASSWORD": "hunter2"}, "HEADWATER_SMTP_PASSWORD"),
        (("image", "digest"), "latest", "does not match pattern"),
        (("decide", "terminationGracePeriodSeconds"), 5, "minimum: got 5, want 20"),
    ],
)
def test_values_that_cannot_hold_are_refused(
    where: tuple[str, ...], value: object, words: str, tmp_path: Path
) -> None:
    given = copy.deepcopy(yaml.safe_load((CHART / "ci" / "minimal.yaml").read_text(encoding="utf-8")))
    inner = given
    for name in where[:-1]:
        inner = inner.setdefault(name, {})
    inner[where[-1]] = value
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    odd = rendered(tmp_path / "odd.yaml")["odd"]
    assert odd["objects"] == []
    assert words in odd["faults"][0]


def test_without_a_project_nothing_is_rendered(tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text("{}", encoding="utf-8")
    (fault,) = rendered(tmp_path / "bare.yaml")["bare"]["faults"]
    assert "a project file is needed: --set-file project.file=project.py" in fault
