"""PostgreSQL of Debian, a cluster of our own. It refuses to run as root, so root lends it another user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from tools.services.debian import program
from tools.services.process import Process, ServiceError, listens


class Postgres:
    """A server with a superuser ``headwater`` and a database of the same name, on this machine alone.

    Args:
        folder: its data and pid.
    """

    def __init__(self, folder: Path) -> None:
        self.process = Process(folder, signal.SIGINT)  # ends sessions instead of waiting for them
        self._folder = folder

    def start(self, port: int, password: str) -> None:
        """Start it, unless it lives, and wait until it answers.

        Raises:
            ServiceError: it cannot be had.
        """
        data = self._folder / "data"
        if self.process.pid is None:
            server = program("postgres", "postgresql").resolve()
            self._folder.mkdir(parents=True, exist_ok=True)
            user = self._user()
            if not (data / "PG_VERSION").exists():
                self._initialise(server.with_name("initdb"), data, user, password)
            where = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self._folder}"]
            self.process.start([server, "-D", data, "-p", str(port), *where], user)
        self.process.wait(lambda: listens(port))

    def _user(self) -> str | None:
        """Who it runs as: us, or another than root."""
        if os.geteuid() != 0:
            return None
        known = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in known else "nobody"
        shutil.chown(self._folder, user)
        may = subprocess.run(  # noqa: S603
            ["/usr/bin/test", "-w", self._folder], user=user, group=user, extra_groups=[], check=False
        )
        if may.returncode != 0:
            raise ServiceError(
                f"PostgreSQL does not run as root, and the user {user} may not enter {self._folder}\n"
                "  do:    run as another user, or put the clone where others may read"
            )
        return user

    def _initialise(self, initdb: Path, data: Path, user: str | None, password: str) -> None:
        shutil.rmtree(data, ignore_errors=True)  # what an interrupted start left
        secret = self._folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        if user is not None:
            shutil.chown(secret, user)
        who = ["-U", "headwater", "-A", "scram-sha-256", f"--pwfile={secret}"]
        done = subprocess.run(  # noqa: S603
            [initdb, "-D", data, *who, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        secret.unlink()
        if done.returncode != 0:
            raise ServiceError(f"PostgreSQL cannot be prepared\n  said:  {done.stderr.strip()[-500:]}")
        self._create_database(initdb.with_name("postgres"), data, user)

    def _create_database(self, server: Path, data: Path, user: str | None) -> None:
        """The database, made by a server in single-user mode, before anybody can connect."""
        subprocess.run(  # noqa: S603
            [server, "--single", "-D", data, "postgres"],
            input=b"create database headwater owner headwater\n",
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=self._folder,
            capture_output=True,
            check=True,
        )
