"""Arrays as one block of bytes: written in one pass, checked when they are read, without a copy.

::

    "HWSNAP04" | arrays, each from a page on | header (JSON) | its sha256 | its length | "HWSNAP04"

The header says what lies where, with a checksum of each piece of an array: XXH3, which is as quick as memory
is, or in older blocks, ``HWSNAP03``, a CRC-32. It comes last, so that whoever writes need not go back. The
arrays can be taken over by an engine: they are the file's own pages (``mapped``) or, where they are small or
the system cannot do that, memory of their own. Imports next to nothing, so that a server can begin to read
before its libraries are there. Called by ``engine.snapshot`` and ``store.ahead``.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from headwater.core.errors import StoreError
from headwater.engine import mapped

LAYOUT = b"HWSNAP03"  # of the arrays: another number, here and below, whenever memory is laid out otherwise
MAGIC = b"HWSNAP04"  # of the block
PIECE = 64 << 20  # bytes that are written, read and checked at once
MAPPED = 1 << 20  # bytes from which on an array is mapped
_TAIL = 32 + 8 + len(MAGIC)
_SUMS: Mapping[bytes, tuple[str, Callable[[memoryview], int]]] = {
    MAGIC: ("xxh3", xxh3_64_intdigest),
    LAYOUT: ("crc32", zlib.crc32),
}

Array = npt.NDArray[Any]
File = io.BytesIO | io.FileIO


@dataclass(frozen=True, slots=True)
class Sections:
    """What was written.

    Attributes:
        facts: plain JSON values.
        arrays: by name.
        roomy: those with empty rows behind them, which can be used without moving anything.
    """

    facts: dict[str, Any]
    arrays: dict[str, Array]
    roomy: dict[str, Array] = field(default_factory=dict)


def pieces(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Iterator[memoryview | bytes]:
    """The block in parts, in order; none of the arrays is copied."""
    yield MAGIC
    kind, checksum = _SUMS[MAGIC]
    listed, place = [], len(MAGIC)
    for name, array in arrays.items():
        yield bytes(-place % mapped.PAGE)
        place += -place % mapped.PAGE
        flat, sums = _bytes(np.ascontiguousarray(array)), []
        for part in _parts(flat):
            sums.append(checksum(part))
            yield part
        listed.append({"name": name, "type": array.dtype.str, "shape": array.shape, kind: sums})
        place += len(flat)
    yield bytes(-place % mapped.PAGE)
    header = json.dumps({"facts": facts, "arrays": listed}).encode()
    yield header
    yield hashlib.sha256(header).digest() + len(header).to_bytes(8, "little") + MAGIC


def read(file: File) -> Sections:
    """What :func:`pieces` gave.

    Raises:
        StoreError: it is not whole, or not as it was written.
        OSError: it cannot be read.
    """
    size = file.seek(0, 2)
    magic, header, end = _header(file, size)
    kind, checksum = _SUMS[magic]
    found = Sections(header["facts"], {})
    place = len(MAGIC)
    for entry in header["arrays"]:
        place = _gap(file, place, end, size)
        array = _read_array(file, place, entry, found, size)
        if [checksum(part) for part in _parts(_bytes(array))] != entry[kind]:
            raise damaged(size)
        place += array.nbytes
    if _gap(file, place, end, size) != end:
        raise damaged(size)
    return found


def knows(magic: bytes) -> bool:
    """Whether a block that begins like this can be read."""
    return magic in _SUMS


def damaged(size: int) -> StoreError:
    """Why a block is not used."""
    return StoreError.of(
        "a snapshot is damaged, or of another version",
        expected="a whole snapshot of this version",
        got=f"{size} bytes whose checksum does not match",
        do="use an older snapshot, or replay the log",
    )


def _header(file: File, size: int) -> tuple[bytes, dict[str, Any], int]:
    """How the block begins, its header, and where that begins."""
    if size < len(MAGIC) + _TAIL:
        raise damaged(size)
    first, tail = _at(file, 0, len(MAGIC), size), _at(file, size - _TAIL, _TAIL, size)
    length = int.from_bytes(tail[32:40], "little")
    start = size - _TAIL - length
    if first not in _SUMS or tail[40:] != first or start < len(MAGIC):
        raise damaged(size)
    header = _at(file, start, length, size)
    if hashlib.sha256(header).digest() != tail[:32]:
        raise damaged(size)
    found: dict[str, Any] = json.loads(header)
    return first, found, start


def _gap(file: File, place: int, end: int, size: int) -> int:
    """Where the page behind a place begins; nothing but zeros lie between."""
    gap = -place % mapped.PAGE
    if place + gap > end or any(_at(file, place, gap, size)):
        raise damaged(size)
    return place + gap


def _read_array(file: File, place: int, entry: Mapping[str, Any], found: Sections, size: int) -> Array:
    name, shape, kind = entry["name"], entry["shape"], np.dtype(entry["type"])
    bytes_ = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if place + bytes_ > size:
        raise damaged(size)
    memory = None
    if mapped.POSSIBLE and isinstance(file, io.FileIO) and bytes_ >= MAPPED:
        memory = mapped.piece(file.fileno(), place, bytes_)
    if memory is None:
        array = np.empty(shape, dtype=kind)
        file.seek(place)
        for part in _parts(_bytes(array)):
            _fill(file, part, size)
    else:
        row = bytes_ // shape[0]
        room = memory[: len(memory) // row * row].view(kind).reshape(-1, *shape[1:])
        array = room[: shape[0]]
        found.roomy[name] = room
    found.arrays[name] = array
    return array


def _at(file: File, place: int, length: int, size: int) -> bytes:
    file.seek(place)
    buffer = bytearray(length)
    _fill(file, memoryview(buffer), size)
    return bytes(buffer)


def _fill(file: File, part: memoryview, size: int) -> None:
    done = 0
    while done < len(part):
        got = file.readinto(part[done:])
        if not got:
            raise damaged(size)
        done += got


def _bytes(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _parts(flat: memoryview) -> list[memoryview]:
    return [flat[first : first + PIECE] for first in range(0, len(flat), PIECE)]
