"""DAG files: what they say, and that Airflow itself runs them, with a model in the registry at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.definitions.loading import load_project
from headwater.scale.airflow.dags import Place, Timed, dag_files
from headwater.store.folder import DataFolder
from headwater.store.jobs import JobStore
from headwater.training.train import open_registry
from tests.retraining.lender import write_place

HOME = Path(os.environ.get("HEADWATER_AIRFLOW") or Path(__file__).parents[3] / "build" / "airflow")
AIRFLOW = HOME / "bin" / "airflow"
PLACE = Place(
    "lender", "/opt/head water/headwater", "/srv/project.py", "/srv/.headwater", "http://mlflow:5000"
)


def test_what_a_file_says() -> None:
    jobs = [Timed("retrain.risk", "Train again.", None), Timed("drift.risk", "Compare.", 6 * 3_600_000_000)]
    files = dag_files(PLACE, jobs, retries=1)
    assert list(files) == ["headwater_lender_retrain_risk.py", "headwater_lender_drift_risk.py"]
    by_hand, timed = files.values()
    for text in (by_hand, timed):
        compile(text, "dag", "exec")
        assert "import headwater" not in text
    assert "schedule=None," in by_hand
    assert "schedule=timedelta(seconds=21600)," in timed
    assert (
        "bash_command=\"'/opt/head water/headwater' jobs run drift.risk "
        "--at '{{ dag_run.run_after.isoformat() }}' --why 'Airflow.' --json\"," in timed
    )
    assert 'env={"HEADWATER_PROJECT": "/srv/project.py", "HEADWATER_HOME": "/srv/.headwater", ' in timed
    assert '"MLFLOW_TRACKING_URI": "http://mlflow:5000"}' in timed


def test_the_command_writes_them(tmp_path: Path) -> None:
    write_place(tmp_path, days=1)
    out = tmp_path / "dags"
    assert run(cli, ["airflow", "dags", str(out), "--project", str(tmp_path)]) == 0
    assert sorted(file.name for file in out.iterdir()) == [
        "headwater_lender_alerts.py",
        "headwater_lender_drift_risk.py",
        "headwater_lender_outcomes_risk.py",
        "headwater_lender_retrain_risk.py",
    ]


@pytest.mark.airflow
@pytest.mark.skipif(
    not AIRFLOW.is_file(), reason="Airflow is not in build/airflow: `make airflow` sets it up"
)
def test_airflow_runs_a_retraining(tmp_path: Path) -> None:
    write_place(tmp_path, days=100)
    at = ["--project", str(tmp_path)]
    assert run(cli, ["import", str(tmp_path / "payments.csv"), *at]) == 0
    home = tmp_path / "airflow"
    assert run(cli, ["airflow", "dags", str(home / "dags"), *at]) == 0
    environment = {
        **{
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "HEADWATER"))
        },
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
    }

    def airflow(*arguments: str) -> str:
        done = subprocess.run(
            [str(AIRFLOW), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    airflow("db", "migrate")
    airflow("dags", "test", "headwater_lender_retrain.risk")
    folder = DataFolder(tmp_path / ".headwater")
    with JobStore.open(folder.jobs) as jobs:
        (job,) = jobs.page(name="retrain.risk")
    assert (job.state, job.why) == ("done", "Airflow.")
    registry = open_registry(folder.path, load_project(tmp_path))
    (version,) = registry.versions("risk")
    assert version.aliases == ("challenger",)
    assert job.outcome["digest"] == version.digest
    shutil.rmtree(home)
