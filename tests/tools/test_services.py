"""``make services``: what it starts answers, a second call starts nothing, and a process is known again."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tools.services.jars import jars
from tools.services.process import Process, ServiceError

ROOT = Path(__file__).resolve().parents[2]


def services_status() -> str:
    command = [sys.executable, "-m", "tools.services", "status"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.usefixtures("services")
def test_services_run_and_a_second_start_changes_nothing() -> None:
    before = services_status()
    subprocess.run([sys.executable, "-m", "tools.services", "up"], cwd=ROOT, check=True)
    assert services_status() == before


def test_redis_answers_who_has_the_password(services: Mapping[str, str]) -> None:
    where = urlsplit(services["HEADWATER_REDIS"])
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=5) as redis:
        redis.sendall(b"PING\r\n")
        assert redis.recv(100).startswith(b"-NOAUTH")
        redis.sendall(f"AUTH {where.password}\r\nPING\r\n".encode())
        assert b"".join(iter(lambda: redis.recv(1), b"G")).endswith(b"+OK\r\n+PON")


def test_postgres_has_the_database(services: Mapping[str, str]) -> None:
    query = ["psql", services["HEADWATER_POSTGRES"], "-tAc", "select current_database()"]
    assert subprocess.run(query, capture_output=True, text=True, check=True).stdout == "headwater\n"


def test_a_process_that_ends_at_once_says_why(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.start([sys.executable, "-c", "print('no room')", tmp_path])
    with pytest.raises(ServiceError) as caught:
        process.wait(lambda: False)
    assert str(caught.value) == (
        f"{tmp_path.name} does not answer\n"
        "  said:  no room\n"
        f"  where: {tmp_path}\n"
        "  do:    look there; `make services-stop` and remove that folder to begin anew"
    )


def test_a_process_is_stopped_and_a_pid_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.start([sys.executable, "-c", "import time; time.sleep(60)", tmp_path])
    assert process.pid is not None
    assert Process(tmp_path).pid == process.pid
    assert process.stop()
    assert not process.stop()
    (tmp_path / "pid").write_text("1")
    assert process.pid is None


def test_a_jar_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    for line in (ROOT / "tools" / "services" / "kafka.lock").read_text().splitlines():
        _, artifact, version = line.split()[0].split(":")
        (tmp_path / f"{artifact}-{version}.jar").write_bytes(b"not it")
    with pytest.raises(ServiceError, match=r"^hash4j-0\.22\.0\.jar is not the file that was pinned"):
        jars(tmp_path)


def test_compose_names_files_that_are_there() -> None:
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    mounted = [one.split(":")[0] for each in composed.values() for one in each.get("volumes", ())]
    assert [path for path in mounted if path.startswith("./") and not (ROOT / path).exists()] == []
    asked = {name: each.get("profiles") for name, each in composed.items()}
    assert {name for name, profiles in asked.items() if profiles is None} == {
        "kafka",
        "postgres",
        "redis",
        "mlflow",
        "prometheus",
        "grafana",
    }
    assert {name: profiles for name, profiles in asked.items() if profiles is not None} == {
        "airflow": ["airflow"],
        "headwater": ["headwater"],
        "headwater-decide": ["decide"],
    }
