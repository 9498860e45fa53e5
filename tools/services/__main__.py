"""``python -m tools.services up|down|status``: what ``make services`` and ``make services-stop`` do.

``build/services/env`` says where everything is (ports are chosen free, once, and kept); tests read it. Each
service is told of in one line; what cannot be had is told with what to do, and the exit code is 1.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.services.jars import jars
from tools.services.kafka import Kafka
from tools.services.postgres import Postgres
from tools.services.process import Process, ServiceError, free_port
from tools.services.redis import Redis
from tools.services.registry import API, SchemaRegistry

FOLDER = Path(__file__).resolve().parents[2] / "build" / "services"
ENV = FOLDER / "env"

_KAFKA, _POSTGRES, _REDIS = "HEADWATER_KAFKA", "HEADWATER_POSTGRES", "HEADWATER_REDIS"
_REGISTRY = "HEADWATER_SCHEMA_REGISTRY"


def places() -> dict[str, str]:
    """Where the services are, or are to be: kept once chosen."""
    known = dict(line.split("=", 1) for line in ENV.read_text().splitlines()) if ENV.exists() else {}
    password = secrets.token_hex(12)
    found = {
        _KAFKA: f"127.0.0.1:{free_port()}",
        _POSTGRES: f"postgresql://headwater:{password}@127.0.0.1:{free_port()}/headwater",
        _REDIS: f"redis://:{password}@127.0.0.1:{free_port()}/0",
        _REGISTRY: f"http://127.0.0.1:{free_port()}{API}",
    } | known
    if found == known:
        return known
    FOLDER.mkdir(parents=True, exist_ok=True)
    beside = ENV.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_text("".join(f"{name}={value}\n" for name, value in found.items()))
    beside.replace(ENV)
    return found


def up() -> int:
    """Start what does not run; 1 if something cannot be had."""
    where = places()
    password = where[_REDIS].split(":")[2].split("@")[0]
    kafka, postgres, redis, registry = _services()
    starts: dict[str, Callable[[], object]] = {
        "PostgreSQL": lambda: postgres.start(_port(where[_POSTGRES]), password),
        "Redis": lambda: redis.start(_port(where[_REDIS]), password),
        "Kafka": lambda: kafka.start(_port(where[_KAFKA])),
        "Schema registry": lambda: registry.start(_port(where[_REGISTRY])),
        "Spark's Kafka connector": lambda: jars(FOLDER / "spark", "spark"),
    }
    with ThreadPoolExecutor(len(starts)) as pool:
        told = {name: pool.submit(_started, start) for name, start in starts.items()}
    failed = False
    for name, future in told.items():
        error, took = future.result()
        failed |= error is not None
        print(f"{name}: {f'ready after {took:.1f} s' if error is None else error}")
    print(f"Addresses are in {ENV.relative_to(FOLDER.parents[1])}; `make services-stop` stops them.")
    return int(failed)


def down() -> int:
    """Stop what runs."""
    for name, process in _processes().items():
        print(f"{name}: {'stopped' if process.stop() else 'did not run'}")
    return 0


def status() -> int:
    """Say what runs; 1 if something does not."""
    alive = {name: process.pid for name, process in _processes().items()}
    for name, pid in alive.items():
        print(f"{name}: {'does not run' if pid is None else f'runs, pid {pid}'}")
    return int(None in alive.values())


def _services() -> tuple[Kafka, Postgres, Redis, SchemaRegistry]:
    kafka, postgres = Kafka(FOLDER / "kafka", FOLDER / "jars"), Postgres(FOLDER / "postgres")
    return kafka, postgres, Redis(FOLDER / "redis"), SchemaRegistry(FOLDER / "registry")


def _processes() -> dict[str, Process]:
    kafka, postgres, redis, registry = _services()
    return {
        "Kafka": kafka.process,
        "PostgreSQL": postgres.process,
        "Redis": redis.process,
        "Schema registry": registry.process,
    }


def _started(start: Callable[[], object]) -> tuple[ServiceError | None, float]:
    began = time.monotonic()
    try:
        start()
    except ServiceError as error:
        return error, 0.0
    return None, time.monotonic() - began


def _port(address: str) -> int:
    return int(address.rpartition(":")[2].partition("/")[0])


if __name__ == "__main__":
    commands = {"up": up, "down": down, "status": status}
    command = commands.get(sys.argv[1] if len(sys.argv) == 2 else "")
    sys.exit(command() if command else f"python -m tools.services {'|'.join(commands)}")
