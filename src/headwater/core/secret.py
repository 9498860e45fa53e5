"""A secret as a value that does not show itself: not in a repr, a format, a log line or a traceback.

Made where a secret enters (``apps.access``) or is drawn (``store.credentials``); read with
:meth:`Secret.reveal`, which is easy to search for.
"""

from __future__ import annotations

from typing import NoReturn

HIDDEN = "(secret)"


class Secret:
    """A text that is not to be seen.

    Example:
        >>> password = Secret("hunter2")
        >>> print(password, f"{password}", [password], password.reveal())
        (secret) (secret) [Secret((secret))] hunter2
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text."""
        return self._text

    def __str__(self) -> str:
        return HIDDEN

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        """Not pickled: a copy would lie in a file or another process."""
        raise TypeError("a secret is not pickled")
