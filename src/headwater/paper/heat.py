"""A heat map: rows by columns, each cell with its value in words as well as in colour. Called by writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.paper.bars import clipped
from headwater.paper.chart import COLOURS, Canvas, thinned
from headwater.paper.document import Picture

_LEFT, _RIGHT, _ROW, _HEAD = 210.0, 848.0, 22.0, 44.0
_READABLE = 34.0  # width of a cell from which a value fits in


@dataclass(frozen=True, slots=True)
class Heat:
    """One cell: its value, how hot from 0 to 5, whether it is an alarm, and whether it was judged at all.

    A value of None is not known; one that nobody judged stands in brackets, uncoloured.
    """

    value: float | None
    degree: int = 0
    alarm: bool = False
    judged: bool = True


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[Heat]],
    steps: Sequence[str],
    *,
    alt: str,
    caption: str,
) -> Picture:
    """Rows by columns.

    Args:
        rows: n names, from the top.
        columns: m names.
        cells: n by m.
        steps: what each of the six degrees means.
        alt: what it shows.
        caption: below it.
    """
    canvas = Canvas(_HEAD + _ROW * len(rows) + 10)
    wide = min((_RIGHT - _LEFT) / max(len(columns), 1), 96)
    canvas.legend(_LEFT, 14, [(name, f"heat{place}", "box") for place, name in enumerate(steps)])
    for place in thinned(len(columns), int((wide * len(columns)) // 58) or 1):
        canvas.text(
            _LEFT + wide * (place + 0.5), _HEAD - 7, columns[place], colour="dim", at="middle", size=11
        )
    for line, (name, row) in enumerate(zip(rows, cells, strict=True)):
        top = _HEAD + _ROW * line
        canvas.text(_LEFT - 10, top + 15, clipped(name, 30), at="end")
        for place, cell in enumerate(row):
            _cell(canvas, cell, _LEFT + wide * place, top, wide, f"{name}, {columns[place]}")
    return Picture(canvas.svg(alt), alt, caption)


def _cell(canvas: Canvas, cell: Heat, left: float, top: float, wide: float, where: str) -> None:
    if cell.value is None:
        canvas.text(left + wide / 2, top + 15, "·", colour="dim", at="middle")
        return
    told = f"{where}: {cell.value:.3g}" + (", alarm" if cell.alarm else "")
    told += "" if cell.judged else ", not judged"
    degree = cell.degree if cell.judged else 0  # what nobody judged does not shout
    canvas.rect(left + 1, top + 1, wide - 2, _ROW - 2, f"heat{degree}", told)
    if wide >= _READABLE:
        # The cells keep their colours in the dark, so their texts do, too.
        colour = COLOURS["paper"] if degree >= 4 else COLOURS["ink"]
        text = f"{cell.value:.2f}" + ("!" if cell.alarm else "")
        text = text if cell.judged else f"({text})"
        place = f'x="{left + wide / 2:.1f}" y="{top + 15:.1f}" text-anchor="middle" font-size="11"'
        canvas.parts.append(f'<text {place} fill="{colour}">{text}</text>')
    elif cell.alarm:
        canvas.dot(left + wide / 2, top + _ROW / 2, "paper", 2.5)
