"""Redis, or Valkey, of Debian: on this machine alone, with a password. Called by ``__main__``."""

from __future__ import annotations

import shutil
from pathlib import Path

from tools.services.debian import program
from tools.services.process import Process, listens


class Redis:
    """A server.

    Args:
        folder: its data, settings and pid.
    """

    def __init__(self, folder: Path) -> None:
        self.process = Process(folder)
        self._folder = folder

    def start(self, port: int, password: str) -> None:
        """Start it, unless it lives, and wait until it answers.

        Raises:
            ServiceError: it cannot be had.
        """
        if self.process.pid is None:
            name = "valkey-server" if shutil.which("valkey-server") else "redis-server"
            server = program(name, "redis-server")
            self._folder.mkdir(parents=True, exist_ok=True)
            settings = self._folder / "redis.conf"
            settings.touch(mode=0o600)
            lines = (f"port {port}", "bind 127.0.0.1", f"requirepass {password}", f'dir "{self._folder}"')
            settings.write_text("\n".join((*lines, "appendonly yes", "")))
            # the server writes over its command line, so the folder is named in its title
            self.process.start([server, settings, "--proc-title-template", f"{name} {self._folder}"])
        self.process.wait(lambda: listens(port))
