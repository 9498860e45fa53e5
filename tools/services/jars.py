"""Jars from Maven Central, each held against its SHA-256: Kafka's, Delta's, Iceberg's, Spark's connector's.

``mvn`` fetches them where it is installed, with the mirrors that its settings name; else they are fetched
directly. Called by ``kafka`` and ``__main__``; ``make tables`` runs it as a program.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tools.services.process import ServiceError

HERE = Path(__file__).parent
CENTRAL = "https://repo1.maven.org/maven2"


def jars(folder: Path, what: str = "kafka") -> Path:
    """The folder that holds what is pinned in ``WHAT.lock``, each file as it is there, and no other jars.

    Raises:
        ServiceError: a file cannot be fetched, or is not what was pinned.
    """
    pinned = [line.split() for line in (HERE / f"{what}.lock").read_text().splitlines()]
    if not all((folder / _name(jar)).is_file() for jar, _ in pinned):
        folder.mkdir(parents=True, exist_ok=True)
        _fetch([jar for jar, _ in pinned], folder, what)
    for left in {*folder.glob("*.jar")} - {folder / _name(jar) for jar, _ in pinned}:
        left.unlink()  # of another version
    for jar, digest in pinned:
        path = folder / _name(jar)
        found = sha256(path.read_bytes()).hexdigest()
        if found != digest:
            path.unlink()
            raise ServiceError(
                f"{path.name} is not the file that was pinned\n  expected: {digest}\n  got:      {found}\n"
                "  do:       try again; if it stays, somebody stands between this machine and Maven Central"
            )
    return folder


def _name(jar: str) -> str:
    _, artifact, version = jar.split(":")
    return f"{artifact}-{version}.jar"


def _fetch(wanted: list[str], folder: Path, what: str) -> None:
    mvn = shutil.which("mvn")
    if mvn is not None:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
        done = subprocess.run(  # noqa: S603 - our own pom
            [mvn, "-q", "-B", "-f", HERE / f"{what}.xml", *goal], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda jar: _download(jar, folder), wanted))


def _download(jar: str, folder: Path) -> None:
    group, artifact, version = jar.split(":")
    address = f"{CENTRAL}/{group.replace('.', '/')}/{artifact}/{version}/{_name(jar)}"
    beside = folder / f"{_name(jar)}.new"
    try:
        with urlopen(address, timeout=60) as answer:  # noqa: S310 - always https
            beside.write_bytes(answer.read())
    except URLError as error:
        raise ServiceError(
            f"{_name(jar)} cannot be fetched\n  got:   {error.reason}\n  where: {address}\n"
            "  do:    install Maven and name a mirror in its settings, or put the file there by hand"
        ) from error
    beside.replace(folder / _name(jar))


if __name__ == "__main__":
    try:
        jars(Path(sys.argv[2]).resolve(), sys.argv[1])
    except ServiceError as error:
        sys.exit(str(error))
