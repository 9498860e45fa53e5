"""Turns what docstrings say in plain Python manner into what the site understands.

A griffe extension, named in ``mkdocs.yml``: our docstrings have an ``Example:`` each, griffe knows
``Examples:``; cross-references and literal blocks are written for the reader of the source.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_CHANGES = (
    (re.compile(r"^( *)Example:$", re.MULTILINE), r"\1Examples:"),
    (re.compile(r":(?:class|func|meth|mod|data):`~?([^`]+)`"), r"`\1`"),
    (re.compile(r"::$", re.MULTILINE), ":"),
)


class PlainDocstrings(griffe.Extension):
    """Rewrites every docstring once, when its object has been read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object, if it has one."""
        if obj.docstring is not None:
            for pattern, better in _CHANGES:
                obj.docstring.value = pattern.sub(better, obj.docstring.value)
