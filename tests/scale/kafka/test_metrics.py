"""The command's metrics and probes, with a real broker: what was produced is counted, hosts come and go."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.definitions.loading import load_project
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics
from headwater.scale.kafka.publish import publish
from tests.apps.cli.shop import payments, project_text, write_csv
from tests.scale.redis.cases import address

PATIENCE = 60.0  # seconds


class Host:
    """The command in a process of its own, asked from here."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        assert child.stderr is not None
        self.child = child
        found = re.search(r"http://127\.0\.0\.1:\d+", child.stderr.readline())
        assert found is not None
        self.url = found[0]

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - our own
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def sample(self, name: str, **labels: str) -> float:
        """The sum of a sample over all that has these labels; -1 if there is none."""
        found = [
            sample.value
            for family in text_string_to_metric_families(self.ask("/metrics")[1])
            for sample in family.samples
            if sample.name == f"headwater_{name}" and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else -1.0

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert self.child.poll() is None, "the command ended"
            assert time.monotonic() < end, self.ask("/metrics")[1]
            time.sleep(0.05)


@contextmanager
def hosting(name: str, brokers: str, *more: str) -> Iterator[Host]:
    """Ended by TERM, and well."""
    command = [sys.executable, "-m", "headwater.apps.cli.main", "stream", "--kafka", brokers, "--name", name]
    with subprocess.Popen(
        [*command, "--metrics", "0", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            yield Host(child)
        finally:
            child.send_signal(signal.SIGTERM)
            _, told = child.communicate(timeout=60)
    assert child.returncode == 0, told


def test_what_was_produced_is_counted_and_hosts_are_ready_when_they_have_read_it(
    services: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers, redis, name = services["HEADWATER_KAFKA"], address(services), f"shop{uuid4().hex[:8]}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADWATER_ONLINE_PASSWORD", "" if redis.password is None else redis.password.reveal())
    Path("project.py").write_text(project_text().replace('"shop"', f'"{name}"'), encoding="utf-8")
    frame = payments(customers=10)
    write_csv(frame, Path("payments.csv"))
    assert run(cli, ["import", "payments.csv"]) == 0
    assert run(cli, ["train", "--bootstrap", "0"]) == 0
    project, cluster = load_project(Path("project.py")), Cluster(brokers)
    topics = Topics(project)
    make_topics(cluster, topics, partitions=2)
    publish(cluster, topics, project.streams[0], frame[:200])
    publish(cluster, topics, project.streams[0], frame[:5])  # again
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(topics.of("payments"), b"not json", b"3", 0)
    assert producer.flush(10) == 0

    with ExitStack() as stack:
        one = stack.enter_context(hosting("a", brokers, "--online", str(redis)))
        status, text = one.ask("/readyz")
        assert (status, json.loads(text)["problems"][0]["got"]) == (
            503,
            "the group has given it no partitions yet",
        )
        assert one.ask("/livez") == (200, '{"status":"ok"}')
        one.until(lambda: one.ask("/readyz")[0] == 200)
        assert one.ask("/readyz")[1] == '{"status":"ready","partitions":2}'
        one.until(lambda: one.sample("stream_records_total") == 206)
        of = {"stream": "payments"}
        assert one.sample("stream_records_total", **of) == 206
        assert one.sample("stream_events_total", outcome="accepted", **of) == 200
        assert one.sample("stream_events_total", outcome="duplicate", **of) == 5
        assert one.sample("stream_dead_letters_total", reason="not-json", **of) == 1
        assert one.sample("stream_scores_total", **of) >= 10
        assert one.sample("stream_lag_records", **of) == 0
        assert one.sample("stream_keys", view="behaviour") == 10
        assert one.sample("stream_partitions") == 2
        assert one.sample("stream_behind_partitions") == 0
        commits = one.sample("stream_commit_seconds_count")
        assert one.sample("stream_turn_records_sum") == 206
        assert (
            one.sample("stream_visible_seconds_count") == one.sample("stream_turn_seconds_count") == commits
        )
        assert 0 < one.sample("stream_commit_seconds_sum") < PATIENCE
        assert 0 < one.sample("stream_visible_seconds_sum") < PATIENCE * commits
        assert abs(one.sample("stream_commit_timestamp_seconds") - time.time()) < PATIENCE
        assert one.sample("stream_rebalances_total", event="assigned") == 1
        assert one.sample("stream_rebalances_total", event="revoked") == 0
        assert one.sample("stream_restore_seconds_count") == 2
        assert one.sample("stream_ready") == 1
        assert one.sample("faults_total") == -1
        one.until(lambda: one.sample("online_whole") == 1 and one.sample("online_lag_events") == 0)
        assert one.sample("online_epoch") > 0
        assert one.sample("online_fillings_total") == 2

        two = stack.enter_context(hosting("b", brokers))
        two.until(lambda: two.ask("/readyz") == (200, '{"status":"ready","partitions":1}'))
        one.until(lambda: one.ask("/readyz") == (200, '{"status":"ready","partitions":1}'))
        assert one.sample("stream_rebalances_total", event="revoked") >= 1
        assert one.sample("stream_rebalances_total", event="assigned") >= 2
        publish(cluster, topics, project.streams[0], frame[200:300])
        each = "stream_events_total"
        one.until(
            lambda: one.sample(each, outcome="accepted") - 200 + two.sample(each, outcome="accepted") == 100
        )
        assert one.sample("stream_restore_seconds_count") == 3
        assert two.sample("stream_restore_seconds_count") == 1
        assert two.sample("stream_undone_total") == 0
