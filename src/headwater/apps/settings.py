"""The settings: where project file, data and model registry are. The one reader of the environment.

An option on the command line wins over its environment variable, which wins over the default. Made once by
the edge (``cli``), then handed down; ``docs/reference/settings.md`` is generated from :data:`SETTINGS`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headwater.apps.database import DatabaseSettings
from headwater.core.errors import DataError
from headwater.store.folder import DataFolder

PROJECT_FILE = "project.py"
DATA_FOLDER = ".headwater"


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set.

    Attributes:
        variable: the environment variable.
        option: the command line's option, if it has one.
        default: in words.
        meaning: one sentence.
    """

    variable: str
    option: str | None
    default: str
    meaning: str


SETTINGS: tuple[Setting, ...] = (
    Setting("HEADWATER_PROJECT", "--project", PROJECT_FILE, "The project file, or the folder that holds it."),
    Setting(
        "HEADWATER_HOME",
        "--data",
        f"{DATA_FOLDER} beside the project file",
        "The data folder: event log, model registry, last applied definitions.",
    ),
    Setting(
        "MLFLOW_TRACKING_URI",
        None,
        "SQLite in the data folder",
        "Where runs and models are kept, if not in the data folder: an MLflow server or another store.",
    ),
    Setting(
        "HEADWATER_DATABASE_URL",
        "--database",
        "not set: all records in the data folder",
        "The Postgres database that servers share for decision records, audit trail, dead letters and jobs:"
        " `postgresql://user:password@host:5432/name`. A secret: better in a file.",
    ),
    Setting("HEADWATER_DATABASE_URL_FILE", None, "not set", "A file that holds that address."),
    Setting(
        "HEADWATER_DATABASE_POOL",
        None,
        "5",
        "Connections to the database that each process keeps, 1 to 100; twice as many when they are needed.",
    ),
    Setting(
        "HEADWATER_DATABASE_PATIENCE",
        None,
        "5",
        "Seconds, 0 to 60, that a decision waits for a database that is away before it is refused.",
    ),
    Setting(
        "HEADWATER_LOG_BYTES",
        None,
        "no bound",
        "The size that the event log may reach, in bytes; an import beyond it ends as on a full disk.",
    ),
    Setting(
        "HEADWATER_PARITY_SHARE",
        None,
        "0.01",
        "How much of what is served is derived again from the log and compared to the bit, from 0 to 1.",
    ),
    Setting(
        "HEADWATER_SHADOW_SHARE",
        None,
        "1",
        "How many of the decisions a challenger scores in the shadow, from 0 to 1.",
    ),
    Setting(
        "HEADWATER_JOBS",
        None,
        "on",
        "`off`: the server runs no jobs by itself; they are run by `headwater jobs run`, or by Airflow.",
    ),
    Setting(
        "HEADWATER_JOBS_EVERY",
        None,
        "as the jobs and models say",
        "How often jobs are due, by kind or by name: `drift=6h,fairness=off,retrain.risk=14d`.",
    ),
    Setting(
        "HEADWATER_JOBS_TRIGGERS",
        None,
        "on",
        "`off`: models are trained again by their schedule alone, not for drift, outcomes or new labels.",
    ),
    Setting(
        "HEADWATER_JOBS_PROMOTE",
        None,
        "off",
        "`on`: a model that a job trained becomes champion by itself if its gate says promote.",
    ),
    Setting(
        "HEADWATER_API_KEY",
        None,
        "not set",
        "The key that the client and its commands send. A secret: better in a file.",
    ),
    Setting("HEADWATER_API_KEY_FILE", None, "not set", "A file that holds that key."),
    Setting("HEADWATER_RATE", None, "5000", "Requests a second that one caller may send; 0 for no limit."),
    Setting("HEADWATER_BURST", None, "10000", "How many of them may come at once."),
    Setting(
        "HEADWATER_TLS_CERTIFICATE",
        None,
        "not set: plain HTTP",
        "The server's certificate with its chain, a PEM file.",
    ),
    Setting("HEADWATER_TLS_KEY", None, "not set", "The certificate's key, a PEM file."),
    Setting(
        "HEADWATER_TLS_KEY_PASSWORD",
        None,
        "not set",
        "The password of the key's file. A secret: better in a file.",
    ),
    Setting("HEADWATER_TLS_KEY_PASSWORD_FILE", None, "not set", "A file that holds that password."),
    Setting(
        "HEADWATER_TLS_MINIMUM", None, "1.2", "The oldest version of TLS that the server speaks: 1.2 or 1.3."
    ),
    Setting(
        "HEADWATER_OIDC_ISSUER",
        None,
        "not set: API keys alone",
        "The identity provider, as it names itself in its tokens.",
    ),
    Setting("HEADWATER_OIDC_AUDIENCE", None, "not set", "The audience that a token must name."),
    Setting(
        "HEADWATER_OIDC_JWKS",
        None,
        "as the issuer's discovery page says",
        "The address of the provider's public keys.",
    ),
    Setting(
        "HEADWATER_OIDC_ALGORITHMS",
        None,
        "RS256,PS256,ES256,Ed25519",
        "Which signatures are taken; with public keys only.",
    ),
    Setting(
        "HEADWATER_OIDC_ROLES_CLAIM",
        None,
        "roles",
        "The claim that holds the roles, or a path such as `realm_access.roles`.",
    ),
    Setting(
        "HEADWATER_OIDC_ROLES",
        None,
        "each name stands for itself",
        "The provider's names for our roles: `risk-team=analyst,ops=admin`.",
    ),
    Setting(
        "HEADWATER_OIDC_LEEWAY",
        None,
        "60s",
        "By how much the provider's clock may differ from ours, at most 10m.",
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        None,
        "not set: no traces",
        "Where traces go, by OTLP over HTTP, with the extra `otel`; every other `OTEL_` variable of the"
        " OpenTelemetry SDK holds too.",
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None, "not set", "The same for traces alone, with its path."
    ),
    Setting("OTEL_TRACES_EXPORTER", None, "not set", "`otlp`: traces go to this machine; `none`: nowhere."),
    Setting(
        "HEADWATER_ALERT_WEBHOOK",
        None,
        "not set",
        "Where alerts are posted: an address with https, or with http on this machine. May be a secret: then"
        " better in a file.",
    ),
    Setting("HEADWATER_ALERT_WEBHOOK_FILE", None, "not set", "A file that holds that address."),
    Setting(
        "HEADWATER_ALERT_WEBHOOK_SECRET",
        None,
        "not set; the webhook needs it",
        "What posted alerts are signed with, at least 16 characters. A secret: better in a file.",
    ),
    Setting("HEADWATER_ALERT_WEBHOOK_SECRET_FILE", None, "not set", "A file that holds that secret."),
    Setting(
        "HEADWATER_ALERT_MAIL_TO", None, "not set", "Who gets alerts by e-mail; commas between addresses."
    ),
    Setting(
        "HEADWATER_ALERT_MAIL_FROM", None, "the first recipient", "Who those e-mails, and reports, are from."
    ),
    Setting(
        "HEADWATER_REPORT_MAIL_TO",
        None,
        "not set: no report is mailed",
        "Who gets the report each morning by e-mail; commas between addresses.",
    ),
    Setting("HEADWATER_REPORT_MAIL_AS", None, "html", "What is attached: `html`, the page; or `pdf`."),
    Setting("HEADWATER_REPORT_MAIL_AT", None, "06:00", "When the report is mailed, hours and minutes, UTC."),
    Setting("HEADWATER_SMTP_HOST", None, "not set; e-mail needs it", "The mail server."),
    Setting("HEADWATER_SMTP_PORT", None, "587, or 465 with ssl", "The mail server's port."),
    Setting(
        "HEADWATER_SMTP_SECURITY",
        None,
        "starttls",
        "How the mail server is spoken to: starttls or ssl; none for a server on this machine alone.",
    ),
    Setting("HEADWATER_SMTP_USER", None, "not set", "The user that the mail server asks for."),
    Setting("HEADWATER_SMTP_PASSWORD", None, "not set", "That user's password. A secret: better in a file."),
    Setting("HEADWATER_SMTP_PASSWORD_FILE", None, "not set", "A file that holds that password."),
    Setting(
        "HEADWATER_SMTP_CA",
        None,
        "the system's authorities alone",
        "A PEM file of certificates to trust beside the system's, for a mail server of your own.",
    ),
    Setting(
        "HEADWATER_KAFKA_SECURITY_PROTOCOL",
        None,
        "plaintext",
        "How Kafka is spoken to: plaintext, ssl, sasl_plaintext or sasl_ssl.",
    ),
    Setting("HEADWATER_KAFKA_SASL_MECHANISM", None, "not set", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."),
    Setting("HEADWATER_KAFKA_SASL_USERNAME", None, "not set", "The user that Kafka asks for."),
    Setting(
        "HEADWATER_KAFKA_SASL_PASSWORD", None, "not set", "That user's password. A secret: better in a file."
    ),
    Setting("HEADWATER_KAFKA_SASL_PASSWORD_FILE", None, "not set", "A file that holds that password."),
    Setting("HEADWATER_KAFKA_SSL_CA", None, "the system's authorities", "Whom to trust, a PEM file."),
    Setting("HEADWATER_KAFKA_SSL_CERTIFICATE", None, "not set", "This client's certificate, a PEM file."),
    Setting("HEADWATER_KAFKA_SSL_KEY", None, "not set", "The certificate's key, a PEM file."),
    Setting(
        "HEADWATER_KAFKA_SSL_KEY_PASSWORD",
        None,
        "not set",
        "That key's password. A secret: better in a file.",
    ),
    Setting("HEADWATER_KAFKA_SSL_KEY_PASSWORD_FILE", None, "not set", "A file that holds that password."),
    Setting(
        "HEADWATER_KAFKA_CONFIG",
        None,
        "not set",
        "A file of librdkafka's properties, name=value on each line, for what has no setting of its own.",
    ),
    Setting(
        "HEADWATER_SCHEMA_REGISTRY", None, "not set", "Where schemas of Kafka's topics are registered: a URL."
    ),
    Setting("HEADWATER_SCHEMA_REGISTRY_USERNAME", None, "not set", "The user that the registry asks for."),
    Setting(
        "HEADWATER_SCHEMA_REGISTRY_PASSWORD",
        None,
        "not set",
        "That user's password. A secret: better in a file.",
    ),
    Setting("HEADWATER_SCHEMA_REGISTRY_PASSWORD_FILE", None, "not set", "A file that holds that password."),
    Setting(
        "HEADWATER_SCHEMA_REGISTRY_CA",
        None,
        "the system's authorities",
        "Whom to trust as the registry, a PEM file.",
    ),
    Setting(
        "HEADWATER_METRICS",
        "--metrics",
        "not set: nowhere",
        "Where `headwater stream` shows its metrics: `HOST:PORT`, or a port of this machine alone.",
    ),
    Setting(
        "HEADWATER_METRICS_TOKEN",
        None,
        "not set: this machine alone may read them",
        "What whoever reads those metrics sends as bearer token. A secret: better in a file.",
    ),
    Setting("HEADWATER_METRICS_TOKEN_FILE", None, "not set", "A file that holds that token."),
    Setting(
        "HEADWATER_ROLE",
        "--role",
        "all",
        "What a server does of the work: all; ingest, which owns the log; decide, from the online store.",
    ),
    Setting(
        "HEADWATER_ONLINE",
        "--online",
        "not set: no online store",
        "Redis or Valkey: `redis://[user@]host:port/database`, or `rediss://` for TLS.",
    ),
    Setting(
        "HEADWATER_ONLINE_PASSWORD",
        None,
        "not set",
        "The password that it asks for. A secret: better in a file.",
    ),
    Setting("HEADWATER_ONLINE_PASSWORD_FILE", None, "not set", "A file that holds that password."),
    Setting("HEADWATER_ONLINE_CA", None, "the system's authorities", "Whom to trust with TLS, a PEM file."),
    Setting(
        "HEADWATER_LAKE",
        "--lake",
        "not set: no job; the commands use `lake` in the data folder",
        "Where the lake is: a folder or, for Delta, an address. Set, a server keeps it up to date.",
    ),
    Setting("HEADWATER_LAKE_FORMAT", "--format", "parquet", "What the lake's tables are: parquet or delta."),
    Setting("HEADWATER_LAKE_BY", "--by", "day", "How long a partition of the lake is: day or month."),
    Setting(
        "HEADWATER_LAKE_PERSONAL",
        "--personal",
        "omit",
        "What becomes of personal values in the lake: omit, hash or plain.",
    ),
    Setting(
        "HEADWATER_LAKE_HASH_KEY",
        None,
        "not set; hash needs it",
        "What those hashes are made with, at least 16 characters. A secret: better in a file.",
    ),
    Setting("HEADWATER_LAKE_HASH_KEY_FILE", None, "not set", "A file that holds that key."),
    Setting(
        "HEADWATER_DEBUG",
        None,
        "0",
        "1 shows the traceback of an unexpected failure and the libraries' warnings.",
    ),
    Setting("NO_COLOR", None, "not set", "Any value: no colours in tables and messages."),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What was set.

    Attributes:
        project: the project file.
        data: the data folder.
        tracking_uri: of an MLflow server or another store; None for the data folder.
        log_bytes: the size that the log may reach; None for no bound.
        parity_share: how much of what is served is derived again.
        shadow_share: how many of the decisions a challenger scores.
        database: that servers share; None where all records are in the data folder.

    Example:
        >>> settings = Settings.read({"HEADWATER_PROJECT": "bank/project.py"})
        >>> settings.data.as_posix(), settings.log.name
        ('bank/.headwater', 'events.log')
    """

    project: Path
    data: Path
    tracking_uri: str | None = None
    log_bytes: int | None = None
    parity_share: float = 0.01
    shadow_share: float = 1.0
    database: DatabaseSettings | None = None

    @classmethod
    def read(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        project: str | None = None,
        data: str | None = None,
        database: str | None = None,
    ) -> Settings:
        """Read the settings: given options first, then the environment, then the defaults.

        Args:
            environ: the environment; the process's own if none is given.
            project: the option ``--project``.
            data: the option ``--data``.
            database: the option ``--database``.

        Raises:
            DataError: a setting cannot be read.
        """
        known = os.environ if environ is None else environ
        file = Path(project or known.get("HEADWATER_PROJECT") or PROJECT_FILE)
        file = file / PROJECT_FILE if file.is_dir() else file
        folder = data or known.get("HEADWATER_HOME")
        return cls(
            project=file,
            data=Path(folder) if folder else file.parent / DATA_FOLDER,
            tracking_uri=known.get("MLFLOW_TRACKING_URI") or None,
            log_bytes=_number("HEADWATER_LOG_BYTES", known),
            parity_share=_share("HEADWATER_PARITY_SHARE", known, 0.01),
            shadow_share=_share("HEADWATER_SHADOW_SHARE", known, 1.0),
            database=DatabaseSettings.read(known, database),
        )

    @property
    def log(self) -> Path:
        """The event log's file."""
        return DataFolder(self.data).log

    def handed_down(self) -> dict[str, str]:
        """The environment that lets a child process find what an option of this one named."""
        return {} if self.database is None else self.database.handed_down()

    @property
    def applied(self) -> Path:
        """The definitions that were in force at the last import or training."""
        return self.data / "definition.json"

    @property
    def imports(self) -> Path:
        """Which files went into streams without ids."""
        return self.data / "imports.json"


def environment() -> Mapping[str, str]:
    """The process's environment, for the settings that are read elsewhere (``access.settings``)."""
    return os.environ


def debugging(environ: Mapping[str, str] | None = None) -> bool:
    """Whether HEADWATER_DEBUG asks for tracebacks and warnings."""
    known = os.environ if environ is None else environ
    return known.get("HEADWATER_DEBUG", "") not in ("", "0")


def _number(variable: str, environ: Mapping[str, str]) -> int | None:
    text = environ.get(variable, "")
    if text and not text.isdecimal():
        raise DataError.of(
            f"the setting {variable} cannot be read",
            expected="a whole number",
            got=repr(text),
            do="correct the environment variable, or unset it",
        )
    return int(text) if text else None


def _share(variable: str, environ: Mapping[str, str], default: float) -> float:
    text = environ.get(variable, "")
    try:
        found = float(text) if text else default
    except ValueError:
        found = -1.0
    if not 0.0 <= found <= 1.0:
        raise DataError.of(
            f"the setting {variable} cannot be read",
            expected="a number from 0 to 1",
            got=repr(text),
            do="correct the environment variable, or unset it",
        )
    return found
