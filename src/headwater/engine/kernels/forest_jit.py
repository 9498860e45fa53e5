"""How the forest's kernels are compiled: as ``jit`` does it, but on the first call.

``jit`` states types beforehand, since the engine's kernels are needed in every process. A forest's are
needed only where a model of trees is, and their types (arrays of records) are plain from what
``models.forest.flat`` makes. Used by ``forest``, ``treeshap`` and ``forest_layout``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from headwater.engine.kernels.machine_code import kept

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile ``function`` for the types of its first call: cached, without the GIL, without fast-math."""
    return kept(nogil=True)(function)
