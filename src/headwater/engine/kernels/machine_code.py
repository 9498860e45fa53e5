"""Where machine code is kept between processes: one folder for each state of all the kernels' sources.

numba looks only at the file of the function itself, and would go on using code into which an older version
of another kernel was compiled. The folder's name therefore is a digest of all of them; folders of older
sources are removed by the first process that compiles anew. Used by ``jit``, ``brief`` and ``forest_jit``;
``linking`` says in what form.
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
from numba import types
from numba.core import typeinfer

from headwater.engine.kernels import linking

Function = TypeVar("Function", bound=Callable[..., Any])

# Wider than numba's own types, which do not know its settings, nor the options that leave out wrappers.
SETTINGS: Any = numba.config
NJIT: Callable[..., Any] = numba.njit
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
        "Headwater compiles its kernels for this machine: half a minute to three, once per installation."
    )
    if FOLDER.parent == _HERE / "__pycache__":
        for old in FOLDER.parent.glob(f"{_NAME}*"):
            shutil.rmtree(old, ignore_errors=True)


def kept(signature: tuple[types.Type, ...] | None = None, **options: bool) -> Callable[[Function], Function]:
    """Compile without fast-math, and keep the code in :data:`FOLDER`.

    Args:
        signature: compile at once for these types and no others; None: whenever it is called.
        options: numba's own.
    """
    jit: Callable[[Function], Function] = NJIT(cache=True, fastmath=False, error_model="numpy", **options)

    def decorate(function: Function) -> Function:
        before, SETTINGS.CACHE_DIR = SETTINGS.CACHE_DIR, str(FOLDER)
        try:
            made = jit(function)
        finally:
            SETTINGS.CACHE_DIR = before
        return made if SETTINGS.DISABLE_JIT else compiled(linking.unparsed(made), signature)

    return decorate


def compiled(dispatcher: Any, signature: tuple[types.Type, ...] | None) -> Any:
    """A dispatcher that has been compiled for the signature, and no other, if there is one."""
    if signature is not None:
        with typeinfer.register_dispatcher(dispatcher):  # as numba does, so that one may call itself
            dispatcher.compile(signature)
        dispatcher.disable_compile()
    return dispatcher
