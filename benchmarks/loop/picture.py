"""The weeks as a picture: AUC, how far behind the true risk, Brier score and cost, with the promotions.

SVG; the same figures give the same bits. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.loop.lives import LIVES

_TITLES = {
    "auc": "ROC AUC",
    "behind": "expected AUC\nbehind the true risk",
    "brier": "Brier score",
    "cost": "cost of a decision",
}
_NAMES = {
    "nightly": "nightly, never retrained",
    "fresh": "fresh, never retrained",
    "loop": "fresh, retrained every 7 days",
    "truth": "true risk",
}
_COLOURS = {"nightly": "#999999", "fresh": "#d55e00", "loop": "#0072b2", "truth": "#000000"}


def draw(weeks: Sequence[Mapping[str, Any]], promoted: Sequence[int], target: Path, title: str) -> None:
    """Draw the weeks.

    Args:
        weeks: as from ``recovery.weekly``.
        promoted: weeks in which a candidate became champion, of all lenders.
        target: the SVG file.
        title: above it.
    """
    with mpl.rc_context({"svg.hashsalt": "headwater", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 10), layout="constrained")
        figure.suptitle(title)
        axes = figure.subplots(len(_TITLES), 1, sharex=True)
        at = [week["week"] for week in weeks]
        for axis, (figure_name, words) in zip(axes, _TITLES.items(), strict=True):
            for life in LIVES:
                style = "--" if life == "truth" else "-"
                values = [week[life][figure_name] for week in weeks]
                axis.plot(at, values, style, color=_COLOURS[life], label=_NAMES[life], linewidth=1.4)
            axis.axvspan(0, 59 / 7, color="#f0e442", alpha=0.25, linewidth=0)
            axis.set_ylabel(words)
            axis.grid(alpha=0.3)
            axis.margins(x=0.02)
        for week in promoted:
            axes[0].axvline(week, ymax=0.05, color=_COLOURS["loop"], linewidth=1.6, alpha=0.5)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(LIVES), frameon=False)
        axes[-1].set_xlabel(
            "weeks from the change of regime (shaded: it is changing; ticks in the first panel: promotions)"
        )
        FigureCanvasSVG(figure).print_svg(str(target), metadata={"Date": None})  # type: ignore[no-untyped-call]
