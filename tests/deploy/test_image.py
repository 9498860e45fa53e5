"""The Dockerfile: linted, its files there, its locks those of the project; and compose.yaml."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from headwater.apps.settings import SETTINGS
from tools.image import copies, environment, passes, script, steps

ROOT = Path(__file__).parents[2]
HADOLINT = Path(os.environ.get("HEADWATER_DEPLOY") or ROOT / "build" / "deploy") / "bin" / "hadolint"
STEPS = list(steps((ROOT / "Dockerfile").read_text(encoding="utf-8")))
RULES = (ROOT / ".dockerignore").read_text(encoding="utf-8")


@pytest.mark.deploy
@pytest.mark.skipif(not HADOLINT.is_file(), reason="hadolint is not in build/deploy: `make helm` sets it up")
def test_hadolint_says_nothing() -> None:
    done = subprocess.run(
        [str(HADOLINT), "Dockerfile"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_let_through() -> None:
    own = [step for step in STEPS if step.word == "COPY" and "--from" not in step.rest]
    assert len(own) == 4
    for step in own:
        for source in copies(step)[0]:
            assert (ROOT / source).exists(), source
            assert passes(source, RULES), source


@pytest.mark.parametrize(
    ("path", "through"),
    [
        ("src/headwater/core/errors.py", True),
        ("deploy/image/start", True),
        ("src/headwater/core/__pycache__/errors.cpython-311.pyc", False),
        (".headwater/events.log", False),
        (".git/config", False),
        ("requirements/dev.lock", False),
        ("deploy/helm/headwater/values.yaml", False),
    ],
)
def test_nothing_else_comes_into_an_image(path: str, through: bool) -> None:
    assert passes(path, RULES) is through


def test_it_is_not_root_and_says_how_it_is() -> None:
    last = [step for step in STEPS if step.stage == 1]
    words = {step.word: step.rest for step in last}
    assert words["USER"] == "10001:10001"
    assert words["HEALTHCHECK"].endswith("/healthz', timeout=4)\"]")
    assert words["ENTRYPOINT"] == '["start"]'
    assert words["VOLUME"] == "/data"
    settings = {name for name in environment(STEPS, 1) if name.startswith("HEADWATER_")}
    assert settings <= {setting.variable for setting in SETTINGS}


def test_kernels_are_looked_for_as_they_were_compiled() -> None:
    """Numba takes a compiled kernel only for the processor that it was compiled for."""
    build, run = environment(STEPS, 0), environment(STEPS, 1)
    assert build["NUMBA_CPU_NAME"] == run["NUMBA_CPU_NAME"]
    start = (ROOT / "deploy" / "image" / "start").read_text(encoding="utf-8")
    assert build["NUMBA_CACHE_DIR"] in start
    assert "cpu-features" in start


def versions(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def test_the_image_has_what_was_tested() -> None:
    image, tested = versions("image"), versions("dev")
    assert {name: version for name, version in image.items() if tested.get(name, version) != version} == {}
    text = (ROOT / "requirements" / "image.lock").read_text(encoding="utf-8")
    assert text.count("==") <= text.count("--hash=sha256:")
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[>=!;<\[ ]", one, maxsplit=1)[0] for one in needed}
    assert names - set(image) == set()


def test_the_build_is_a_script_that_the_shell_reads(tmp_path: Path) -> None:
    text = script(STEPS, tmp_path)
    done = subprocess.run(["/bin/sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert text.count("/bin/sh -c") == 3


def test_compose_has_every_service_and_mounts_what_is_there() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert set(compose["services"]) == {
        *("kafka", "postgres", "redis", "mlflow", "airflow", "prometheus", "grafana"),
        *("headwater", "headwater-decide"),
    }
    volumes = set(compose["volumes"])
    for name, service in compose["services"].items():
        for one in service.get("volumes", []):
            source = one.split(":")[0]
            there = source in volumes or (ROOT / source).exists() or "${" in source
            assert there, f"{name}: {one}"
        for other in service.get("depends_on", []):
            assert other in compose["services"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} listens to the network"
