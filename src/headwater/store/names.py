"""Names that people give to keys: any script, but nothing that hides, imitates or steers.

Called by ``store.credentials``.
"""

from __future__ import annotations

import unicodedata

from headwater.core.errors import DataError

_MOST = 64


def checked_name(name: str) -> str:
    """The name in Unicode's normal form C.

    Raises:
        DataError: it is empty, too long, or holds control, format or unassigned characters or odd spaces.

    Example:
        >>> checked_name("Zoe\u0308's loader")
        "Zoë's loader"
    """
    name = unicodedata.normalize("NFC", name)
    odd = next((c for c in name if c != " " and unicodedata.category(c)[0] in "CZ"), None)
    if name and len(name) <= _MOST and odd is None and name == name.strip():
        return name
    raise DataError.of(
        "the name of a key is unfit",
        expected=f"1 to {_MOST} visible characters, spaces only between them",
        got=f"the character U+{ord(odd):04X}" if odd is not None else f"{len(name):,} characters",
        do="choose another name",
    )


def folded(name: str) -> str:
    """What two names have in common that a reader would take for the same.

    Example:
        >>> folded("Ｌoader") == folded("loader")
        True
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
