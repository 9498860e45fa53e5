"""Stability over slices: nowhere surely worse, though better on the whole.

Slices are the thirds of the time, the categories of text and Boolean inputs, and the thirds of the input that
weighs most. A slice fails only where its interval, widened for how many slices are looked at (Bonferroni),
lies wholly beyond the margin; slices that are too small are counted and not judged.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from headwater.core.instant import iso
from headwater.retraining.evidence import Evidence, enough
from headwater.retraining.paired import Difference, paired
from headwater.retraining.report import Check
from headwater.retraining.rules import Rules
from headwater.training.dataset import TrainingSet
from headwater.training.evaluate import importance

Bool = npt.NDArray[np.bool_]

_MOST_CATEGORIES = 12
_TERMS = ("lower", "middle", "upper")


def checks(evidence: Evidence, rules: Rules) -> Iterator[Check]:
    """One check for each slice that is large enough, and one that counts the others."""
    rows, (candidate, champion) = evidence.rows, evidence.scores
    if rows is None or champion is None or not enough(rows.y, rows.entities, rules):
        return
    wanted = [(name, chosen) for name, chosen in slices(evidence, rows) if _large(rows.y[chosen], rules)]
    total = len(list(slices(evidence, rows)))
    level = 1 - (1 - rules.level) / max(len(wanted), 1)
    for name, chosen in wanted:
        found = paired(
            rows.y[chosen],
            candidate[chosen],
            champion[chosen],
            rows.entities[chosen],
            bootstrap=rules.bootstrap,
            seed=rules.seed,
            level=level,
        )["roc_auc"]
        yield _check(name, int(chosen.sum()), found, rules)
    if total > len(wanted):
        words = f"{total - len(wanted):,} of {total:,} slices are too small to be judged."
        yield Check("slices", "small ones", "not looked at", words, {"small": total - len(wanted)})


def slices(evidence: Evidence, rows: TrainingSet) -> Iterator[tuple[str, Bool]]:
    """Name and rows, shape (n,), of each slice, large or small."""
    edges = np.quantile(rows.times, [0, 1 / 3, 2 / 3]).astype(np.int64)
    third = np.searchsorted(edges, rows.times, side="right") - 1
    for part in range(3):
        chosen = third == part
        if chosen.any():
            yield f"observed from {iso(int(rows.times[chosen][0]))}", chosen
    columns = rows.inputs.columns(rows.frame)
    for name in rows.inputs.names:
        values = columns[name]
        if (name in rows.inputs.categories or values.dtype == bool) and values.n_unique() <= _MOST_CATEGORIES:
            for value in values.drop_nulls().unique().sort().to_list():
                yield f"{name} = {value}", (values == value).fill_null(False).to_numpy()
    yield from _thirds(evidence, rows)


def _thirds(evidence: Evidence, rows: TrainingSet) -> Iterator[tuple[str, Bool]]:
    """The thirds of the input that moves the candidate's scores most, where it is a number."""
    itself = evidence.candidate.itself
    X = itself.artifact.inputs.matrix(rows.frame)
    numbers = [n for n in importance(itself.scorer, X) if n not in itself.artifact.inputs.categories]
    if not numbers:
        return
    column = X[:, itself.artifact.inputs.names.index(numbers[0])]
    known = column[~np.isnan(column)]
    if len(np.unique(known)) < len(_TERMS):
        return
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    parts = (column <= low, (column > low) & (column <= high), column > high)
    for term, chosen in zip(_TERMS, parts, strict=True):
        yield f"{term} third of {numbers[0]}", chosen


def _large(y: npt.NDArray[np.float64], rules: Rules) -> bool:
    positives = int(y.sum())
    return len(y) >= rules.slice_rows and min(positives, len(y) - positives) >= rules.slice_of_a_class


def _check(name: str, rows: int, found: Difference, rules: Rules) -> Check:
    gain, champion = found.gain, found.champion
    if gain is None or champion is None:
        raise ValueError("a slice is judged against a champion")
    worse = gain.high < -rules.slice_margin
    words = (
        f"{rows:,} rows: ROC AUC {found.candidate.value:.4f}, champion {champion.value:.4f}; gain "
        f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
        + (": surely worse here." if worse else ".")
    )
    numbers = {
        "rows": rows,
        "candidate": found.candidate.to_json(),
        "champion": champion.to_json(),
        "gain": gain.to_json(),
    }
    return Check("slices", name, "fail" if worse else "pass", words, numbers, {"margin": rules.slice_margin})
