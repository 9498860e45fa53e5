"""The event log beside other ways to keep events: durable appends and reading them back.

Method: an event has five columns (int64 id, int64 account, time, two-valued enum, float64 amount). Each
contender runs in its own process on the same events and the same disk, and waits for that disk on every
commit. Three kinds of work: one event per commit, 1,000 events per commit, and a scan of everything into
Polars frames. Contenders take turns over the rounds and the median counts, since a disk has moods. Beside
them, in each round, what the disk itself takes: `fsync` of a file that grows by 4 KiB (or 40 bytes an event),
and `fdatasync` of as much that is overwritten in place, which is what a commit of `headwater` waits for.
Only `headwater` refuses duplicate ids as it goes, checks bytes when reading and keeps a hash chain; its
second line has random texts as ids. `sqlite-rows` and `duckdb` refuse duplicates by primary key; `arrow-file`
(length-prefixed Arrow IPC, one fsync per append) does none of it and shows the floor. `processor` is the time
of user and system that one append of a single event takes.

    python benchmarks/log_append.py --json build/bench/log_append.json
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Protocol

import duckdb
import numpy as np
import polars as pl

import headwater as hw
from headwater.log import EmbeddedLog

SINGLES, BATCHES, BATCH = 2_000, 300, 1_000
SIDES = ["credit", "debit"]
SCHEMA = pl.Schema(
    {
        "id": pl.Int64(),
        "account": pl.Int64(),
        "time": pl.Datetime("us", "UTC"),
        "side": pl.Enum(SIDES),
        "amount": pl.Float64(),
    }
)
Row = tuple[int, int, int, str, float]


class Contender(Protocol):
    """A place for events: opened in a folder, appended to durably, read back whole."""

    def prepared(self, frame: pl.DataFrame) -> pl.DataFrame: ...

    def append(self, frame: pl.DataFrame) -> None: ...

    def scan(self) -> Iterable[pl.DataFrame]: ...


def events(count: int, start: int) -> pl.DataFrame:
    random = np.random.default_rng(start)
    ids = np.arange(start, start + count)
    return pl.DataFrame(
        {
            "id": ids,
            "account": random.integers(0, 4_500, count),
            "time": pl.Series(1_700_000_000_000_000 + ids * 1_000_000).cast(pl.Datetime("us", "UTC")),
            "side": pl.Series(random.choice(SIDES, count)).cast(pl.Enum(SIDES)),
            "amount": random.normal(size=count),
        },
        schema=SCHEMA,
    )


class AsItIs:
    def prepared(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame


class Headwater(AsItIs):
    ids: pl.DataType = pl.Int64()

    def __init__(self, folder: Path) -> None:
        stream = hw.Stream("events", {**SCHEMA, "id": self.ids}, id="id")
        self._log = EmbeddedLog.open(folder / "events.log", [stream])

    def append(self, frame: pl.DataFrame) -> None:
        self._log.append("events", frame, arrival=0)

    def scan(self) -> Iterable[pl.DataFrame]:
        return (batch.frame for batch in self._log.scan())


class HeadwaterTexts(Headwater):
    ids = pl.String()

    def prepared(self, frame: pl.DataFrame) -> pl.DataFrame:
        texts = [str(uuid.UUID(int=Random(i).getrandbits(128))) for i in frame["id"]]
        return frame.with_columns(id=pl.Series(texts, dtype=pl.String))


class SqliteRows(AsItIs):
    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "events.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE e (id INTEGER PRIMARY KEY, account, time, side, amount)")

    def append(self, frame: pl.DataFrame) -> None:
        self._connection.execute("BEGIN")
        rows = frame.with_columns(pl.col("time").cast(pl.Int64)).rows()
        self._connection.executemany("INSERT INTO e VALUES (?, ?, ?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def scan(self) -> Iterable[pl.DataFrame]:
        cursor = self._connection.execute("SELECT * FROM e ORDER BY id")
        plain = {**SCHEMA, "time": pl.Int64()}
        while rows := cursor.fetchmany(65_536):
            yield pl.DataFrame(rows, schema=plain, orient="row").cast({"time": SCHEMA["time"]})


class Duckdb(AsItIs):
    def __init__(self, folder: Path) -> None:
        self._connection = duckdb.connect(str(folder / "events.duckdb"))
        self._connection.execute("SET threads = 2")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(
            "CREATE TABLE e (id BIGINT PRIMARY KEY, account BIGINT, time TIMESTAMPTZ,"
            " side ENUM ('credit', 'debit'), amount DOUBLE)"
        )

    def append(self, frame: pl.DataFrame) -> None:
        table = frame.to_arrow()
        self._connection.register("came", table)
        self._connection.execute("INSERT INTO e SELECT * FROM came")

    def scan(self) -> Iterable[pl.DataFrame]:
        yield pl.DataFrame(self._connection.execute("SELECT * FROM e ORDER BY id").to_arrow_table())


class ArrowFile(AsItIs):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.bin"
        self._file = self._path.open("wb", buffering=0)

    def append(self, frame: pl.DataFrame) -> None:
        record = io.BytesIO()
        frame.write_ipc_stream(record, compression="uncompressed")
        content = record.getvalue()
        self._file.write(len(content).to_bytes(8, "little") + content)
        os.fsync(self._file.fileno())

    def scan(self) -> Iterable[pl.DataFrame]:
        with self._path.open("rb") as source:
            while size := source.read(8):
                yield pl.read_ipc_stream(io.BytesIO(source.read(int.from_bytes(size, "little"))))


class Fsync(AsItIs):
    """Not a log: what the disk itself takes for a file that grows."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "fsync").open("wb", buffering=0)

    def append(self, frame: pl.DataFrame) -> None:
        self._file.write(bytes(max(4_096, 40 * frame.height)))
        os.fsync(self._file.fileno())

    def scan(self) -> Iterable[pl.DataFrame]:
        return ()


class Overwrite(AsItIs):
    """Not a log: what the disk itself takes for bytes in their place."""

    SIZE = 2**24

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "overwritten").open("wb", buffering=0)
        self._file.write(b"\1" * self.SIZE)
        os.fsync(self._file.fileno())
        self._at = 0

    def append(self, frame: pl.DataFrame) -> None:
        data = bytes(max(4_096, 40 * frame.height))
        if self._at + len(data) > self.SIZE:
            self._at = 0
        os.pwrite(self._file.fileno(), data, self._at)
        self._at += len(data)
        os.fdatasync(self._file.fileno())

    def scan(self) -> Iterable[pl.DataFrame]:
        return ()


CONTENDERS: dict[str, Callable[[Path], Contender]] = {
    "headwater": Headwater,
    "headwater, text ids": HeadwaterTexts,
    "arrow-file": ArrowFile,
    "sqlite-rows": SqliteRows,
    "duckdb": Duckdb,
    "fsync only": Fsync,
    "fdatasync in place": Overwrite,
}


def measure(name: str, folder: Path) -> dict[str, float]:
    """One round of one contender, in this process."""
    single = CONTENDERS[name](_made(folder / "single"))
    batched = CONTENDERS[name](_made(folder / "batched"))
    ones = [single.prepared(events(1, i)) for i in range(SINGLES + 50)]
    many = [batched.prepared(events(BATCH, i * BATCH)) for i in range(BATCHES + 5)]
    for frame in ones[:50]:
        single.append(frame)
    for frame in many[:5]:
        batched.append(frame)
    before = time.process_time()
    waits = [_timed(single, frame) for frame in ones[50:]]
    processor = time.process_time() - before
    batch_waits = [_timed(batched, frame) for frame in many[5:]]
    result = {
        "singles_per_s": len(waits) / sum(waits),
        "single_p50_us": 1e6 * statistics.median(waits),
        "single_processor_us": 1e6 * processor / len(waits),
        "single_p99_us": 1e6 * float(np.percentile(waits, 99)),
        "batched_events_per_s": BATCH * len(batch_waits) / sum(batch_waits),
        "batch_p50_us": 1e6 * statistics.median(batch_waits),
        "batch_p99_us": 1e6 * float(np.percentile(batch_waits, 99)),
    }
    for kind, place in (("singles", single), ("batched", batched)):
        count, took = 0, []
        for _ in range(3):
            start = time.perf_counter()
            count = sum(frame.height for frame in place.scan())
            took.append(time.perf_counter() - start)
        if count:
            result[f"scan_{kind}_events_per_s"] = count / min(took)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--folder", type=Path, default=Path("build"), help="a folder on the disk to measure")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.only:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print(json.dumps(measure(arguments.only, Path(folder))))
        return
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(arguments.rounds):
        for name in CONTENDERS:
            rounds[name].append(_own_process(name, arguments.folder))
    medians = {
        name: {key: statistics.median(one[key] for one in results) for key in results[0]}
        for name, results in rounds.items()
    }
    _table(medians)
    if arguments.json:
        facts = {"machine": _machine(), "method": __doc__, "median": medians, "rounds": rounds}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(facts, indent=2))


def _own_process(name: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--only", name, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _table(medians: dict[str, dict[str, float]]) -> None:
    ours = medians["headwater"]
    columns = [
        ("singles_per_s", "1 a commit"),
        ("single_p50_us", "p50 us"),
        ("single_p99_us", "p99 us"),
        ("single_processor_us", "processor us"),
        ("batched_events_per_s", "1,000 a commit"),
        ("batch_p99_us", "p99 us"),
        ("scan_batched_events_per_s", "scan"),
        ("scan_singles_events_per_s", "scan of singles"),
    ]
    print(f"{'events/s (headwater : other)':<30}" + "".join(f"{title:>22}" for _, title in columns))
    for name, figures in medians.items():
        cells = []
        for key, _ in columns:
            value = figures.get(key)
            ratio = (
                f" ({ours[key] / value:.2f}x)"
                if value and key in ours and not name.startswith("headwater")
                else ""
            )
            cells.append(f"{'-' if value is None else f'{value:,.0f}'}{ratio}")
        print(f"{name:<30}" + "".join(f"{cell:>22}" for cell in cells))


def _machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "polars": pl.__version__,
    }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _timed(place: Contender, frame: pl.DataFrame) -> float:
    start = time.perf_counter()
    place.append(frame)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
