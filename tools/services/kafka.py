"""Apache Kafka 4, a real broker in KRaft mode: one process that is broker and controller.

Made for one machine: everything has one replica, and the disk is trusted as Kafka trusts it. Called by
``__main__``, and by the fault tests, which kill a broker of their own.
"""

from __future__ import annotations

import subprocess
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tools.services.certificates import make_certificates
from tools.services.debian import program
from tools.services.jars import jars
from tools.services.process import Process, ServiceError, free_port, listens

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.coordinator.append.linger.ms=0
group.coordinator.rebalance.protocols=classic,consumer
log.segment.bytes=67108864
"""

_SECURED = """\
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SASL_PLAINTEXT://127.0.0.1:{sasl},\
SSL://127.0.0.1:{ssl}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://127.0.0.1:{ssl}
listener.security.protocol.map=\
PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
"""

_COLLECTOR = (  # as Kafka's own script has it: the serial one stops all for 60 ms every few seconds
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
)

_LOGGING = """\
<Configuration status="ERROR">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d %p %m (%c)%n"/></Console>
  </Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


@dataclass(frozen=True, slots=True)
class Secured:
    """Two listeners more: SASL (SCRAM-SHA-512) for one user, and TLS for whoever has a certificate.

    Attributes:
        sasl, ssl: their ports.
        user, password: who SASL lets in.
    """

    sasl: int
    ssl: int
    user: str
    password: str


class Kafka:
    """A broker.

    Args:
        folder: its data, settings and pid.
        libraries: where its jars are, or are to be put.
        secured: listeners more; certificates are then in the folder, see ``certificates``.
    """

    def __init__(self, folder: Path, libraries: Path, secured: Secured | None = None) -> None:
        self._secured = secured
        self.process = Process(folder)
        self._folder = folder
        self._libraries = libraries

    def start(self, port: int) -> None:
        """Start it, unless it lives, and wait until it answers.

        Raises:
            ServiceError: it cannot be had.
        """
        if self.process.pid is None:
            java = program("java", "openjdk-17-jre-headless")
            command: list[str | Path] = [java, "-Xms256m", "-Xmx512m", *_COLLECTOR]
            command += [f"-Dlog4j2.configurationFile={self._folder / 'log4j2.xml'}"]
            command += ["-cp", f"{jars(self._libraries)}/*"]
            self._format(command, port)
            self.process.start([*command, "kafka.Kafka", self._folder / "server.properties"])
        self.process.wait(lambda: listens(port))

    def _format(self, java: list[str | Path], port: int) -> None:
        """Write the settings and, the first time, prepare the data folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        data, properties = self._folder / "data", self._folder / "server.properties"
        (self._folder / "log4j2.xml").write_text(_LOGGING)
        controller, secured = free_port(), self._secured
        text = _PROPERTIES.format(port=port, controller=controller, data=data)
        if secured is not None:  # of two lines of one name the later counts
            make_certificates(self._folder)
            ports = {"port": port, "controller": controller, "sasl": secured.sasl, "ssl": secured.ssl}
            text += _SECURED.format(folder=self._folder, **ports)
        properties.write_text(text)
        if (data / "meta.properties").exists():
            return
        cluster = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        format_: list[str | Path] = [
            "kafka.tools.StorageTool",
            "format",
            "-t",
            f"H{cluster[1:]}",
            "-c",
            properties,
        ]
        if self._secured is not None:
            who = f"name={self._secured.user},password={self._secured.password}"
            format_ += ["--add-scram", f"SCRAM-SHA-512=[{who}]"]
        done = subprocess.run([*java, *format_], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise ServiceError(
                f"Kafka's data folder cannot be prepared\n  said:  {done.stderr.strip()[-500:]}"
            )
