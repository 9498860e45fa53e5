"""A schema registry, Apicurio's of Maven Central: in memory, on this machine alone, for Confluent's clients.

The last line that runs on Java 17. Called by ``__main__``.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tools.services.debian import program
from tools.services.jars import CENTRAL
from tools.services.process import Process, ServiceError, listens

VERSION = "2.6.13.Final"
DIGEST = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"
NAME = f"apicurio-registry-app-{VERSION}-all.tar.gz"
ADDRESS = f"{CENTRAL}/io/apicurio/apicurio-registry-app/{VERSION}/{NAME}"
API = "/apis/ccompat/v7"


class SchemaRegistry:
    """A registry.

    Args:
        folder: its program, pid and output; it keeps nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self.process = Process(folder)
        self._folder = folder

    def start(self, port: int) -> None:
        """Start it, unless it lives, and wait until it answers.

        Raises:
            ServiceError: it cannot be had.
        """
        if self.process.pid is None:
            java = program("java", "openjdk-17-jre-headless")
            where = [
                f"-Dquarkus.http.port={port}",
                "-Dquarkus.http.host=127.0.0.1",
                "-Dquarkus.log.level=WARN",
            ]
            memory = ["-Xmx300m", "-XX:+UseSerialGC"]
            self.process.start([java, *memory, *where, "-jar", self._program()])
        self.process.wait(lambda: listens(port))

    def _program(self) -> Path:
        """Its jar, fetched and unpacked the first time."""
        jar = self._folder / "app" / f"apicurio-registry-app-{VERSION}-runner.jar"
        if not jar.is_file():
            self._folder.mkdir(parents=True, exist_ok=True)
            archive = self._folder / NAME
            if not archive.is_file():
                _fetch(archive)
            found = sha256(archive.read_bytes()).hexdigest()
            if found != DIGEST:
                archive.unlink()
                raise ServiceError(f"{NAME} is not the file that was pinned\n  got:      {found}")
            beside = self._folder / "app.new"
            shutil.rmtree(beside, ignore_errors=True)
            with tarfile.open(archive) as opened:
                opened.extractall(beside, filter="data")
            beside.replace(self._folder / "app")
            archive.unlink()
        return jar


def _fetch(archive: Path) -> None:
    """By Maven with its mirrors, where it is installed; else directly."""
    mvn = shutil.which("mvn")
    if mvn is not None:
        what = f"-Dartifact=io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
        copy = [mvn, "-q", "-B", "dependency:copy", what, f"-DoutputDirectory={archive.parent}"]
        done = subprocess.run(copy, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode == 0 and archive.is_file():
            return
    beside = archive.with_suffix(".new")
    try:
        with urlopen(ADDRESS, timeout=300) as answer, beside.open("wb") as file:  # noqa: S310 - always https
            shutil.copyfileobj(answer, file)
    except URLError as error:
        raise ServiceError(
            f"{NAME} cannot be fetched\n  got:   {error.reason}\n  where: {ADDRESS}\n"
            "  do:    install Maven and name a mirror in its settings, or put the file there by hand"
        ) from error
    beside.replace(archive)
