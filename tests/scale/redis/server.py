"""A Redis of a test's own, which it may empty, stop and start: without a disk, so that it forgets."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from headwater.core.secret import Secret
from headwater.scale.redis.connection import Address
from tests.scale.redis.cases import until
from tools.services.debian import program

PASSWORD = "open sesame"  # noqa: S105 - of a server that lives for a test


class Server:
    """A server on a port of its own."""

    def __init__(self, *options: str, tls: bool = False) -> None:
        name = "valkey-server" if shutil.which("valkey-server") else "redis-server"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        ports = ["--port", "0", "--tls-port", str(self.port)] if tls else ["--port", str(self.port)]
        self._command = [str(program(name, "redis-server")), *ports, "--bind", "127.0.0.1"]
        self._command += ["--save", "", "--requirepass", PASSWORD, *options]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> Address:
        """Where it is."""
        return Address.of(f"redis://127.0.0.1:{self.port}", Secret(PASSWORD))

    def address_of(self, ca: str | None) -> Address:
        """Where it is, in TLS."""
        return Address.of(f"rediss://localhost:{self.port}", Secret(PASSWORD), ca)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(self._listens)

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def empty(self) -> None:
        """FLUSHALL."""
        with self.address.client() as client:
            client.flushall()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def server(*options: str, tls: bool = False) -> Iterator[Server]:
    """A server, until the block ends."""
    made = Server(*options, tls=tls)
    try:
        made.start()
        yield made
    finally:
        made.stop()
