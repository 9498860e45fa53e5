"""A document as Markdown: its words and tables; of a picture what it shows. Called by ``training.card``."""

from __future__ import annotations

import re

from headwater.paper.document import Block, Document, Picture, Table, Tiles, Words

_MARKS = re.compile(r"([\\`*_{}\[\]<>|#])")


def markdown(document: Document) -> str:
    """The text, ending with a line feed; the same document gives the same text."""
    parts = [f"# {_plain(document.title)}", _plain(document.subtitle)]
    parts += ["\n".join(f"- {_plain(name)}: {_plain(value)}" for name, value in document.facts)]
    parts += [_block(one) for one in document.lead]
    for section in document.sections:
        parts.append(f"## {_plain(section.title)}")
        parts += [_block(one) for one in section.blocks]
        if section.missing:
            parts.append(f"*{_plain(section.missing)}*")
    return "\n\n".join(part for part in [*parts, _plain(document.closing)] if part) + "\n"


def _block(one: Block) -> str:
    if isinstance(one, Words):
        return _plain(one.text)
    if isinstance(one, Tiles):
        return "\n".join(
            f"- {_plain(tile.name)}: {_plain(tile.value)}"
            + (f" ({_plain(tile.beside)})" if tile.beside else "")
            for tile in one.tiles
        )
    if isinstance(one, Picture):
        return f"*{_plain(one.alt)}*"
    return _table(one)


def _table(table: Table) -> str:
    lines = [
        "| " + " | ".join(map(_plain, table.columns)) + " |",
        "| " + " | ".join("---:" if i in table.numbers else "---" for i in range(len(table.columns))) + " |",
        *("| " + " | ".join(_plain(cell.text) for cell in row) + " |" for row in table.rows),
    ]
    return f"{_plain(table.caption)}:\n\n" + "\n".join(lines)


def _plain(text: str) -> str:
    """Text that Markdown takes as it is, on one line."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
