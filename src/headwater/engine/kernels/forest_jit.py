"""How the forest's kernels are compiled: as ``jit`` does it, but on the first call.

``jit`` states types beforehand, since the engine's kernels are needed in every process. A forest's are
needed only where a model of trees is, and their types (arrays of records) are plain from what
``models.forest.flat`` makes. Used by ``forest``, ``treeshap`` and ``forest_layout``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile ``function`` for the types of its first call: cached, without the GIL, without fast-math."""
    compiled = numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)
    return cast(Function, compiled)
