"""Programs that are missing, from Debian's packages. Called by the services; asks for root only then."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from threading import Lock

from tools.services.process import ServiceError

_APT = Lock()  # services start together, apt-get works alone
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/lib/jvm/*/bin")  # where Debian keeps what is not on the path


def program(name: str, package: str) -> Path:
    """A program's path; its package is installed if it is missing and we may.

    Raises:
        ServiceError: it is missing and cannot be installed.
    """
    found = _find(name)
    if found is None:
        with _APT:
            _install(name, package)
        found = _find(name)
    if found is None:
        raise ServiceError(
            f"{name} is missing, although {package} is installed\n  do:    install {name} by hand"
        )
    return found


def _find(name: str) -> Path | None:
    on_path = shutil.which(name)
    if on_path is not None:
        return Path(on_path)
    places = [found for place in _PLACES for found in Path("/").glob(f"{place[1:]}/{name}")]
    return max(places, default=None)


def _install(name: str, package: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ServiceError(
            f"{name} is missing\n  do:    as root: apt-get install {package}; or docker compose up"
        )
    # RUNLEVEL=1 keeps Debian from starting a daemon of its own
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    for command in (install, ["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
        if command is install and done.returncode == 0:
            return
    raise ServiceError(f"apt-get cannot install {package}\n  said:  {done.stderr.strip()[-500:]}")
