"""What the compiler of a caller reads of a kernel, kept apart from the machine code that runs.

::

    numba keeps    machine code + the code before it, to be compiled into callers      both read at each start
    here           machine code + the names in it │ NAME.bc, read when a caller is compiled

The code before the machine code is the larger part by far, and to read it took two thirds of the time that it
takes to load the kernels; yet a process that finds all kernels compiled never needs it. Called by
``machine_code``.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from llvmlite import binding  # type: ignore[import-untyped]


def apart(dispatcher: Any, folder: Path) -> Any:
    """Let a dispatcher that keeps what it compiles keep these two apart.

    Args:
        dispatcher: numba's, with a cache, and not compiled yet.
        folder: where the part for callers goes; made when it is needed.
    """
    cache = dispatcher._cache
    load, save = cache.load_overload, cache.save_overload

    def load_overload(signature: Any, context: Any) -> Any:
        found = load(signature, context)
        if found is not None:
            library = found.library

            def whole() -> Any:
                library._shared_module = binding.parse_bitcode(_read(_file(folder, found)))
                del library._get_module_for_linking  # the class's own gives it from now on
                return library._shared_module

            library._get_module_for_linking = whole
        return found

    def save_overload(signature: Any, made: Any) -> None:
        library = made.library
        whole = library._get_module_for_linking()
        _write(_file(folder, made), whole.as_bitcode())
        library._shared_module = _names(made, whole)
        try:
            save(signature, made)
        finally:
            library._shared_module = whole

    cache.load_overload, cache.save_overload = load_overload, save_overload
    return dispatcher


def _file(folder: Path, made: Any) -> Path:
    name = hashlib.sha256(made.fndesc.mangled_name.encode()).hexdigest()[:32]
    return folder / f"{name}.bc"


def _names(made: Any, whole: Any) -> Any:
    """A module in which a kernel's entries are defined with nothing behind them: they are only looked up."""
    known = made.fndesc
    own = {known.llvm_func_name, known.llvm_cpython_wrapper_name, known.llvm_cfunc_wrapper_name}
    defined = [one.name for one in whole.functions if one.name in own and not one.is_declaration]
    return binding.parse_assembly(
        "\n".join(f'define linkonce_odr void @"{name}"() {{ ret void }}' for name in defined)
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RuntimeError(
            f"{path} is missing: remove its folder, and the kernels are compiled anew"
        ) from error


def _write(path: Path, code: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")  # one thread of a process compiles at a time
    beside.write_bytes(code)
    beside.replace(path)
