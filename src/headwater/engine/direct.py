"""Kernels called without a look at the types of their arguments.

numba compares the types of all arguments with those that it compiled for; for the structs, some fifty arrays,
that takes ten times as long as the call. Whoever always brings the same types may leave it out. Called by
``engine.single`` and ``engine.keys``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def direct(kernel: Function) -> Function:
    """The machine code of a kernel that is compiled for one signature; the kernel itself where there is none.

    The arguments must be of exactly the kernel's types, arrays in C order included: nobody looks.

    Example:
        >>> direct(len)([1, 2])
        2
    """
    signatures: list[Any] = getattr(kernel, "signatures", [])
    if len(signatures) != 1:  # runs as plain Python, or for several types
        return kernel
    compiled: Function = kernel.get_overload(signatures[0])  # type: ignore[attr-defined]  # numba's own
    return compiled
