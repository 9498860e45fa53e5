"""The command's metrics and probes, with a real broker: what was produced is counted, hosts come and go."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.cli.metering import Meter
from headwater.core.clock import SystemClock
from headwater.scale.kafka.host import Hooks, Host, Member
from tests.scale.kafka.cases import Bank, payments
from tests.scale.metered import PATIENCE, Command, beside, sample
from tests.scale.redis.cases import address
from tools.services.process import free_port

PROJECT = """\
import headwater as hw
from tests.serving import bank

project = hw.Project("{name}", models=[bank.model(features=[bank.SPENDING], derived={{}})])
"""


def test_what_was_produced_is_counted_and_hosts_are_ready_when_they_have_read_it(
    services: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis, port = address(services), free_port()
    monkeypatch.setenv("HEADWATER_ONLINE_PASSWORD", "" if redis.password is None else redis.password.reveal())
    monkeypatch.chdir(tmp_path)
    bank = Bank(services["HEADWATER_KAFKA"], tmp_path, partitions=2)
    Path("project.py").write_text(PROJECT.format(name=bank.project.name), encoding="utf-8")
    frame = payments(300)
    bank.publish(frame[:200])
    bank.publish(frame[:5])  # again
    bank.send(b"not json")

    command = ["stream", "--kafka", bank.cluster.brokers, "--online", str(redis), "--name", "a"]
    with beside(port, partial(looked_at, bank=bank, more=frame[200:])):
        assert run(cli, [*command, "--metrics", str(port)]) == 0


def looked_at(one: Command, bank: Bank, more: pl.DataFrame) -> None:
    status, text = one.ask("/readyz")
    assert (status, json.loads(text)["problems"][0]["got"]) == (
        503,
        "the group has given it no partitions yet",
    )
    one.until(lambda: one.ask("/readyz")[0] == 200)
    assert one.ask("/readyz")[1] == '{"status":"ready","partitions":2}'
    one.until(lambda: one.sample("stream_records_total") == 206)
    counted(one.sample)
    assert one.sample("stream_lag_records", stream="payments") == 0
    assert one.sample("stream_keys", view="spending") == 20
    assert one.sample("stream_partitions") == 2
    assert one.sample("stream_behind_partitions") == 0
    assert one.sample("stream_rebalances_total", event="assigned") == 1
    assert one.sample("stream_rebalances_total", event="revoked") == 0
    assert one.sample("stream_restore_seconds_count") == 2
    assert one.sample("stream_ready") == 1
    assert one.sample("faults_total") == -1
    one.until(lambda: one.sample("online_whole") == 1 and one.sample("online_lag_events") == 0)
    assert one.sample("online_epoch") > 0
    assert one.sample("online_fillings_total") == 2

    meter = Meter.of(SystemClock())
    member = Member(f"headwater-{bank.project.name}", "b", session_ms=6_000)
    with Host(
        bank.cluster,
        bank.project,
        {"risk": bank.scoring},
        bank.folder / "b",
        member,
        meter.around(Hooks()),
        time.perf_counter_ns,
    ) as two:

        def turned() -> bool:
            two.turn(0.05)
            meter.pulse.beat()
            return meter.pulse.is_ready() and one.ask("/readyz")[0] == 200

        one.until(turned)
        assert one.ask("/readyz")[1] == '{"status":"ready","partitions":1}'
        assert meter.pulse.ready() == {"status": "ready", "partitions": 1}
        assert one.sample("stream_rebalances_total", event="revoked") == 1
        assert one.sample("stream_rebalances_total", event="assigned") == 2
        bank.publish(more)
        here = partial(sample, lambda: meter.metrics.page().decode())
        total = "stream_events_total"
        one.until(lambda: turned() and one.sample(total) + here(total) == 305)
        assert one.sample("stream_restore_seconds_count") == 3
        assert here("stream_restore_seconds_count") == 1
        assert here("stream_undone_total") == 0
        assert here("stream_scores_total", stream="payments") == len(bank.scores()) > 0


def counted(sample: Callable[..., float]) -> None:
    """What is counted of 200 events, of which 5 came twice, and of one record that holds none."""
    of = {"stream": "payments"}
    assert sample("stream_records_total", **of) == 206
    assert sample("stream_events_total", outcome="accepted", **of) == 200
    assert sample("stream_events_total", outcome="duplicate", **of) == 5
    assert sample("stream_dead_letters_total", reason="not-json", **of) == 1
    assert sample("stream_turn_records_sum") == 206
    commits = sample("stream_commit_seconds_count")
    assert sample("stream_visible_seconds_count") == sample("stream_turn_seconds_count") == commits > 0
    assert 0 < sample("stream_commit_seconds_sum") < PATIENCE * commits
    assert 0 < sample("stream_visible_seconds_sum") < PATIENCE * commits
    assert abs(sample("stream_commit_timestamp_seconds") - time.time()) < PATIENCE
