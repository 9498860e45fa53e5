"""Where machine code is kept between processes: one folder for each state of all the kernels' sources.

numba looks only at the file of the function itself, and would go on using code into which an older version
of another kernel was compiled. The folder's name therefore is a digest of all of them; folders of older
sources are removed by the first process that compiles anew. Used by ``jit`` and ``forest_jit``.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# Wider than numba's own types, which do not know its settings.
SETTINGS: Any = numba.config
_HERE = Path(__file__).parent
_NAME = "kernels-"


def _base() -> Path:
    """What was set, else beside the sources, else, where these cannot be written, the system's scratch."""
    if SETTINGS.CACHE_DIR:
        return Path(SETTINGS.CACHE_DIR)
    beside = _HERE / "__pycache__"
    if os.access(beside if beside.exists() else _HERE, os.W_OK):
        return beside
    return Path(tempfile.gettempdir()) / f"headwater-kernels-{os.getuid()}"


def _digest() -> str:
    digest = hashlib.sha256()
    for source in sorted(_HERE.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


FOLDER = _base() / f"{_NAME}{_digest()}"


def announce() -> None:
    """Say that what follows takes a while, if nothing is kept yet; and drop what older sources left."""
    if FOLDER.exists() or SETTINGS.DISABLE_JIT:
        return
    logging.getLogger("headwater").warning(
        "Headwater compiles its kernels for this machine: about half a minute, once per installation."
    )
    if FOLDER.parent == _HERE / "__pycache__":
        for old in FOLDER.parent.glob(f"{_NAME}*"):
            shutil.rmtree(old, ignore_errors=True)


def kept(compile_: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """A decorator that compiles as ``compile_`` does, and keeps the code in :data:`FOLDER`."""

    def decorate(function: Function) -> Function:
        before, SETTINGS.CACHE_DIR = SETTINGS.CACHE_DIR, str(FOLDER)
        try:
            return compile_(function)
        finally:
            SETTINGS.CACHE_DIR = before

    return decorate
