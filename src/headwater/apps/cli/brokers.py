"""How Kafka and a schema registry are reached: from the environment alone, secrets from it or from files.

Our own names for what most need; ``HEADWATER_KAFKA_CONFIG`` names a file for everything else that librdkafka
knows. No value is ever shown: an error names the setting, never what it is set to. Called by ``stream`` and
``replay``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from headwater.apps.access.secret import read_secret
from headwater.apps.extras import need
from headwater.core.errors import DataError

# Environment variable to librdkafka's property; secrets may also come from a file.
SECURITY = {
    "HEADWATER_KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "HEADWATER_KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "HEADWATER_KAFKA_SASL_USERNAME": "sasl.username",
    "HEADWATER_KAFKA_SSL_CA": "ssl.ca.location",
    "HEADWATER_KAFKA_SSL_CERTIFICATE": "ssl.certificate.location",
    "HEADWATER_KAFKA_SSL_KEY": "ssl.key.location",
}
SECRETS = {
    "HEADWATER_KAFKA_SASL_PASSWORD": "sasl.password",
    "HEADWATER_KAFKA_SSL_KEY_PASSWORD": "ssl.key.password",
}
CONFIG = "HEADWATER_KAFKA_CONFIG"
REGISTRY = "HEADWATER_SCHEMA_REGISTRY"
OURS = frozenset(
    {
        "bootstrap.servers",
        "client.id",
        "enable.auto.commit",
        "enable.idempotence",
        "auto.offset.reset",
        "group.id",
        "isolation.level",
        "partition.assignment.strategy",
        "partitioner",
        "transactional.id",
    }
)
"""What is exactly once stands on these: they are not anybody's to set."""


def library() -> Any:
    """``headwater.scale.kafka.door``.

    Raises:
        MissingExtraError: its library is not installed.
    """
    need("confluent-kafka", "kafka", module="confluent_kafka")
    return import_module("headwater.scale.kafka.door")


def cluster_of(kafka: Any, brokers: str, environ: Mapping[str, str]) -> Any:
    """The cluster that a command line names, reached as the environment says.

    Args:
        kafka: ``headwater.scale.kafka.door``.
        brokers: ``host:port``, commas between several.
        environ: of the process.

    Raises:
        DataError: a file cannot be read, or a setting is not one.
        LogError: the registry's settings do not fit together.
    """
    url = environ.get(REGISTRY)
    registry = kafka.Registry(url, registry_security(environ)) if url else None
    return kafka.Cluster(brokers, security(environ), registry)


def security(environ: Mapping[str, str]) -> dict[str, str]:
    """SASL, TLS and whatever else, as librdkafka names them.

    Raises:
        DataError: a file cannot be read, or sets what is ours.
    """
    name = environ.get(CONFIG)
    found = _config(Path(name)) if name else {}
    found |= {name: environ[variable] for variable, name in SECURITY.items() if environ.get(variable)}
    for variable, name in SECRETS.items():
        secret = read_secret(variable, environ)
        if secret is not None:
            found[name] = secret.reveal()
    return found


def registry_security(environ: Mapping[str, str]) -> dict[str, str]:
    """The schema registry's user and whom to trust, as its client names them.

    Raises:
        DataError: a file cannot be read.
    """
    found = {}
    password = read_secret(f"{REGISTRY}_PASSWORD", environ)
    if environ.get(f"{REGISTRY}_USERNAME"):
        hidden = "" if password is None else password.reveal()
        found["basic.auth.user.info"] = f"{environ[f'{REGISTRY}_USERNAME']}:{hidden}"
    if environ.get(f"{REGISTRY}_CA"):
        found["ssl.ca.location"] = environ[f"{REGISTRY}_CA"]
    return found


def _config(path: Path) -> dict[str, str]:
    """A file of properties: ``name=value`` on each line, ``#`` before what is for people."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        got = (error.strerror if isinstance(error, OSError) else None) or "no text"
        raise _unfit("the file cannot be read", "a file of properties", got, str(path)) from None
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()  # noqa: PLW2901 - what is left of it
        if not line or line.startswith("#"):
            continue
        name, given, value = (part.strip() for part in line.partition("="))
        where = f"{path}, line {number}"
        if not given or not name:
            raise _unfit("a line sets nothing", "name=value", "a line without =", where)
        if name in OURS:
            raise _unfit(f"{name} is not to be set", "another property of librdkafka", name, where)
        found[name] = value
    return found


def _unfit(what: str, expected: str, got: str, where: str) -> DataError:
    return DataError.of(
        f"{CONFIG}: {what}",
        expected=expected,
        got=got,
        where=where,
        do="mend the file, or unset the variable",
    )
