"""A PDF as it was set without packing: the texts of its pages, read back through the letters' own table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

_STREAM = re.compile(rb"(<<(?:(?!endobj).)*?>>)\s*stream\n(.*?)\nendstream", re.DOTALL)
_PAIR = re.compile(rb"<([0-9A-Fa-f]{4})>\s*<([0-9A-Fa-f]+)>")
_OBJECT = re.compile(rb"\n(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_FONT = re.compile(rb"/(F\d+) (?:[\d.]+) Tf")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_TEXT = re.compile(rb"/(F\d+) [\d.]+ Tf|\(((?:\\.|[^\\)])*)\) ?T[jJ]|\[((?:[^\]\\]|\\.)*)\] TJ", re.DOTALL)


@dataclass(frozen=True)
class ReadPdf:
    """What a PDF says."""

    file: bytes

    @cached_property
    def pages(self) -> list[str]:
        """The texts of each page, in the order in which they were set, with spaces between."""
        found = []
        for _, content in _STREAM.findall(self.file):
            if b" Tf" in content and b"BT" in content:
                found.append(self._texts(content))
        return found

    @property
    def text(self) -> str:
        """All words, on one line."""
        return " ".join(" ".join(self.pages).split())

    def _texts(self, content: bytes) -> str:
        font, words = b"", []
        for named, shown, _ in _TEXT.findall(content):
            if named:
                font = named
                continue
            raw = _ESCAPED.sub(_unescaped, shown)
            table = self._tables[font]
            codes = [int.from_bytes(raw[i : i + 2]) for i in range(0, len(raw), 2)]
            words.append("".join(table[code] for code in codes))
        return " ".join(words)

    @cached_property
    def _tables(self) -> dict[bytes, dict[int, str]]:
        """Of each font: its codes as characters, as its ToUnicode table tells."""
        objects = dict(_OBJECT.findall(self.file))
        found: dict[bytes, dict[int, str]] = {}
        names = re.findall(rb"/(F\d+) (\d+) 0 R", self.file)
        for name, number in names:
            link = re.search(rb"/ToUnicode (\d+) 0 R", objects[number])
            assert link is not None
            pairs = _PAIR.findall(objects[link[1]])
            found[name] = {
                int(code, 16): bytes.fromhex(to.decode()).decode("utf-16-be") for code, to in pairs
            }
        return found


def _unescaped(found: re.Match[bytes]) -> bytes:
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}.get(found[1], found[1])
