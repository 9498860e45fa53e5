"""Errors are pinned in full: ``with says(DataError, '''...''')``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

import pytest

from headwater.core.errors import HeadwaterError


@contextmanager
def says(kind: type[HeadwaterError], text: str) -> Iterator[None]:
    """The block raises exactly this class with exactly this text, indentation aside."""
    with pytest.raises(kind) as caught:
        yield
    assert type(caught.value) is kind
    assert str(caught.value) == dedent(text).strip()
