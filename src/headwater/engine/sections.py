"""Arrays as one block of bytes: written in one pass, checked while they are read, without a copy.

::

    "HWSNAP03" | the arrays, one behind the other | header (JSON) | its sha256 | its length | "HWSNAP03"

The header says what lies where, with a CRC-32 for each piece of an array; it comes last, so that whoever
writes need not go back. Each array is read into memory of its own, which an engine can take over. Imports
next to nothing, so that a server can begin to read before its libraries are there. Called by
``engine.snapshot`` and ``store.ahead``.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from headwater.core.errors import StoreError

MAGIC = b"HWSNAP03"  # another number whenever the memory is laid out otherwise
PIECE = 64 << 20  # bytes that are written, read and checked at once
_TAIL = 32 + 8 + len(MAGIC)

Array = npt.NDArray[Any]


class Readable(Protocol):
    """What can be read from: an unbuffered file, or bytes in memory."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go somewhere; where that is."""
        ...

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill a buffer, or a part of it; how much."""
        ...


@dataclass(frozen=True, slots=True)
class Sections:
    """What was written.

    Attributes:
        facts: plain JSON values.
        arrays: by name; each owns its memory.
    """

    facts: dict[str, Any]
    arrays: dict[str, Array]


def pieces(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Iterator[memoryview | bytes]:
    """The block in parts, in order; none of the arrays is copied."""
    yield MAGIC
    listed = []
    for name, array in arrays.items():
        flat = _bytes(np.ascontiguousarray(array))
        parts = [flat[first : first + PIECE] for first in range(0, len(flat), PIECE)]
        sums = []
        for part in parts:
            sums.append(zlib.crc32(part))
            yield part
        listed.append({"name": name, "type": array.dtype.str, "shape": array.shape, "crc32": sums})
    header = json.dumps({"facts": facts, "arrays": listed}).encode()
    yield header
    yield hashlib.sha256(header).digest() + len(header).to_bytes(8, "little") + MAGIC


def read(file: Readable) -> Sections:
    """What :func:`pieces` gave.

    Raises:
        StoreError: it is not whole, or not as it was written.
        OSError: it cannot be read.
    """
    size = file.seek(0, 2)
    header, end = _header(file, size)
    place, arrays = len(MAGIC), {}
    for entry in header["arrays"]:
        array = np.empty(entry["shape"], dtype=np.dtype(entry["type"]))
        if place + array.nbytes > end:
            raise damaged(size)
        file.seek(place)
        flat = _bytes(array)
        for i, first in enumerate(range(0, len(flat), PIECE)):
            part = flat[first : first + PIECE]
            _fill(file, part, size)
            if zlib.crc32(part) != entry["crc32"][i]:
                raise damaged(size)
        place += array.nbytes
        arrays[entry["name"]] = array
    if place != end:
        raise damaged(size)
    return Sections(header["facts"], arrays)


def damaged(size: int) -> StoreError:
    """Why a block is not used."""
    return StoreError.of(
        "a snapshot is damaged, or of another version",
        expected="a whole snapshot of this version",
        got=f"{size} bytes whose checksum does not match",
        do="use an older snapshot, or replay the log",
    )


def _header(file: Readable, size: int) -> tuple[dict[str, Any], int]:
    """The header, and where it begins."""
    if size < len(MAGIC) + _TAIL:
        raise damaged(size)
    first, tail = _at(file, 0, len(MAGIC), size), _at(file, size - _TAIL, _TAIL, size)
    length = int.from_bytes(tail[32:40], "little")
    start = size - _TAIL - length
    if first != MAGIC or tail[40:] != MAGIC or start < len(MAGIC):
        raise damaged(size)
    header = _at(file, start, length, size)
    if hashlib.sha256(header).digest() != tail[:32]:
        raise damaged(size)
    found: dict[str, Any] = json.loads(header)
    return found, start


def _at(file: Readable, place: int, length: int, size: int) -> bytes:
    file.seek(place)
    buffer = bytearray(length)
    _fill(file, memoryview(buffer), size)
    return bytes(buffer)


def _fill(file: Readable, part: memoryview, size: int) -> None:
    done = 0
    while done < len(part):
        got = file.readinto(part[done:])
        if not got:
            raise damaged(size)
        done += got


def _bytes(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
