"""Latency: how long the candidate takes to score one row, beside the champion.

Time is told by a function that the caller brings, since nothing below ``apps`` reads a clock. Rows are scored
one by one, as a decision scores them; the two models take turns, so that a busy moment of the machine falls
on both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from headwater.retraining.evidence import Evidence, Witness
from headwater.retraining.report import Check
from headwater.retraining.rules import Rules

Ticks = Callable[[], int]

_ROUNDS = 300
_WARM_UP = 20


def checks(evidence: Evidence, rules: Rules, ticks: Ticks | None) -> Iterator[Check]:
    """One check; not looked at without a clock.

    Args:
        evidence: with standing rows.
        rules: the bounds.
        ticks: nanoseconds that only rise, such as ``time.perf_counter_ns``.
    """
    if ticks is None or not len(evidence.standing):
        why = "No clock was given." if ticks is None else "There is no row to score."
        yield Check("latency", "one row", "not looked at", why)
        return
    sides = [evidence.candidate.itself]
    if evidence.champion is not None:
        sides.append(evidence.champion.itself)
    took = _measured(sides, evidence, ticks)
    p50, p99 = (np.quantile(took, share, axis=1) / 1e6 for share in (0.5, 0.99))
    bound = rules.latency_ms
    if len(sides) > 1:
        bound = max(bound, rules.latency_ratio * float(p99[1]))
    fits = p99[0] <= bound
    words = f"One row is scored in {p50[0]:.3f} ms (p50) and {p99[0]:.3f} ms (p99)"
    words += f"; the champion takes {p50[1]:.3f} and {p99[1]:.3f} ms." if len(sides) > 1 else "."
    numbers = {"p50_ms": float(p50[0]), "p99_ms": float(p99[0])}
    if len(sides) > 1:
        numbers |= {"champion_p50_ms": float(p50[1]), "champion_p99_ms": float(p99[1])}
    yield Check("latency", "one row", "pass" if fits else "fail", words, numbers, {"most_ms": bound})


def _measured(sides: list[Witness], evidence: Evidence, ticks: Ticks) -> npt.NDArray[np.float64]:
    """Nanoseconds, shape (sides, rounds)."""
    matrices = [one.artifact.inputs.matrix(evidence.standing) for one in sides]
    took = np.empty((len(sides), _ROUNDS))
    for turn in range(-_WARM_UP, _ROUNDS):
        for place, (one, X) in enumerate(zip(sides, matrices, strict=True)):
            row = X[turn % len(X)]
            before = ticks()
            one.scorer.score_one(row)
            after = ticks()
            if turn >= 0:
                took[place, turn] = after - before
    return took
