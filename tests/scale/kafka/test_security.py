"""SASL and TLS against a real broker, as the environment sets them; and secrets that nobody sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.apps.cli.brokers import security
from headwater.core.errors import DataError, LogError
from headwater.scale.kafka.cluster import Cluster, make_topics
from headwater.scale.kafka.host import Host, Member
from headwater.scale.kafka.publish import publish
from tests.scale.kafka.cases import Bank, Counted, payments, run
from tests.scale.kafka.conftest import PASSWORD, USER
from tests.serving import bank as small
from tools.services.certificates import KEY_PASSWORD
from tools.services.kafka import Kafka, Secured


def sasl(password: str = PASSWORD) -> dict[str, str]:
    return {
        "HEADWATER_KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
        "HEADWATER_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "HEADWATER_KAFKA_SASL_USERNAME": USER,
        "HEADWATER_KAFKA_SASL_PASSWORD": password,
    }


def tls(folder: Path) -> dict[str, str]:
    return {
        "HEADWATER_KAFKA_SECURITY_PROTOCOL": "ssl",
        "HEADWATER_KAFKA_SSL_CA": str(folder / "ca.pem"),
        "HEADWATER_KAFKA_SSL_CERTIFICATE": str(folder / "client.pem"),
        "HEADWATER_KAFKA_SSL_KEY": str(folder / "client.key"),
        "HEADWATER_KAFKA_SSL_KEY_PASSWORD": KEY_PASSWORD,
    }


@pytest.mark.parametrize("way", ["sasl", "tls", "file"])
def test_events_go_in_and_scores_come_out(
    way: str, broker: Kafka, brokers: str, secured: Secured, tmp_path: Path
) -> None:
    environ, port = (tls(broker.process.folder), secured.ssl) if way == "tls" else (sasl(), secured.sasl)
    if way == "file":
        file = tmp_path / "kafka.properties"
        lines = ["# of the tests", "security.protocol = sasl_plaintext", "sasl.mechanism=SCRAM-SHA-512"]
        file.write_text("\n".join([*lines, f"sasl.username={USER}", f"sasl.password={PASSWORD}"]))
        environ = {"HEADWATER_KAFKA_CONFIG": str(file)}
    bank = Bank(brokers, tmp_path)
    cluster = Cluster(f"127.0.0.1:{port}", security(environ))
    publish(cluster, bank.topics, small.PAYMENTS, payments(40))
    counted = Counted()
    served = {"risk": bank.scoring}
    member = Member(bank.project.name, "a", session_ms=6_000)
    with Host(cluster, bank.project, served, tmp_path / "s", member, counted.hooks) as host:
        run([host], lambda: counted.events == 40)
    assert bank.scores()


def test_a_wrong_password_is_told_soon_and_not_shown(
    broker: Kafka, brokers: str, secured: Secured, tmp_path: Path
) -> None:
    bank = Bank(brokers, tmp_path)
    where = f"127.0.0.1:{secured.sasl}"
    cluster = Cluster(where, security(sasl("another-one")))
    with pytest.raises(LogError) as raised:
        make_topics(cluster, bank.topics)
    assert str(raised.value) == (
        "Kafka does not answer as it should\n"
        "  expected: brokers that take this client\n"
        "  got:      SASL authentication error: Authentication failed during authentication due to invalid"
        " credentials with SASL mechanism SCRAM-SHA-512\n"
        f"  where:    {where}\n"
        "  do:       see that the brokers run, and that HEADWATER_KAFKA_ settings name the right credentials"
    )
    assert "another-one" not in repr(cluster)
    assert broker.process.pid is not None


def test_a_broker_that_nobody_vouches_for_is_not_spoken_to(
    broker: Kafka, brokers: str, secured: Secured, tmp_path: Path
) -> None:
    bank = Bank(brokers, tmp_path)
    environ = tls(broker.process.folder)
    del environ["HEADWATER_KAFKA_SSL_CA"]
    with pytest.raises(LogError) as raised:
        make_topics(Cluster(f"127.0.0.1:{secured.ssl}", security(environ)), bank.topics)
    assert "certificate verify failed" in str(raised.value)


def test_a_key_under_another_password_is_told(
    broker: Kafka, brokers: str, secured: Secured, tmp_path: Path
) -> None:
    bank = Bank(brokers, tmp_path)
    environ = tls(broker.process.folder) | {"HEADWATER_KAFKA_SSL_KEY_PASSWORD": "another-one"}
    with pytest.raises(LogError) as raised:
        make_topics(Cluster(f"127.0.0.1:{secured.ssl}", security(environ)), bank.topics)
    assert "ssl.key.location failed" in str(raised.value)
    assert "another-one" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "group.id=mine",
            (
                "HEADWATER_KAFKA_CONFIG: group.id is not to be set\n"
                "  expected: another property of librdkafka\n"
                "  got:      group.id\n"
                "  where:    {path}, line 1\n"
                "  do:       mend the file, or unset the variable"
            ),
        ),
        (
            "# ours\nsasl.password secret",
            (
                "HEADWATER_KAFKA_CONFIG: a line sets nothing\n"
                "  expected: name=value\n"
                "  got:      a line without =\n"
                "  where:    {path}, line 2\n"
                "  do:       mend the file, or unset the variable"
            ),
        ),
        (
            None,
            (
                "HEADWATER_KAFKA_CONFIG: the file cannot be read\n"
                "  expected: a file of properties\n"
                "  got:      No such file or directory\n"
                "  where:    {path}\n"
                "  do:       mend the file, or unset the variable"
            ),
        ),
    ],
)
def test_a_file_of_properties_is_judged(text: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "kafka.properties"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError) as raised:
        security({"HEADWATER_KAFKA_CONFIG": str(path)})
    assert str(raised.value) == told.format(path=path)
