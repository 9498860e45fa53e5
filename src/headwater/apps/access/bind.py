"""Where to listen, as one text: ``HOST:PORT``, or a port of this machine alone. Read by ``cli.metering``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from headwater.core.errors import DataError

LOOPBACK = "127.0.0.1"
_PORTS = 65_535


@dataclass(frozen=True, slots=True)
class Bind:
    """A host and a port; 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str, where: str) -> Self:
        """Read it.

        Args:
            text: ``HOST:PORT``, ``[::1]:PORT`` or ``PORT``.
            where: the option or variable that it stands in.

        Raises:
            DataError: it is none.

        Example:
            >>> str(Bind.of("9108", "--metrics")), str(Bind.of("[::]:0", "--metrics"))
            ('127.0.0.1:9108', '[::]:0')
        """
        host, _, port = text.rpartition(":")
        name = host.removeprefix("[").removesuffix("]")
        bare = ":" in name and not host.startswith("[")
        if (
            bare
            or host == "[]"
            or text.startswith(":")
            or not (port.isascii() and port.isdigit())
            or int(port) > _PORTS
        ):
            raise DataError.of(
                "the address to listen on cannot be read",
                expected="HOST:PORT, such as 127.0.0.1:9108, or a port of this machine alone",
                got=repr(text[:60]),
                where=where,
                do="name a port from 1 to 65535, or 0 for a free one",
            )
        return cls(name or LOOPBACK, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
