"""How often the gate errs, on public data: ``python -m benchmarks.gate DATA [--folder build/bench]``.

The payments of the Fraud Detection Handbook, the model of ``examples/card_fraud``, and thirty moments, each
four days after the one before. At each there is a champion, and candidates of known worth stand before the
gate: two as good as it, and five that somebody spoiled. As in the loop, a stand-in of either side answers on
matured payments, and what is registered is the same recipe on the newest week::

    T-35 ....... T-28 ....... T-21 ....... T-14 ....... T-7 .......... T .......... T+7
    (champion    ](candidate  ]( waits     ]( judged    ]( not mature  ](  the truth  ]
     stand-in      stand-in                  by the gate                of both, registered

What the gate said is held against the truth: both registered models on the week to come. A promotion is false
if the candidate is worse there by more than the gate's own margins; a refusal is false if it is not. The
payments of every second customer are learned from, those of every fourth are judged, and again those of every
tenth, to see what fewer outcomes do.

A moment that was done is kept beside the result, so that a run that was stopped goes on. Read
``docs/explanation/gate.md`` for the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import headwater as hw
from examples.card_fraud import run as example
from examples.card_fraud.prequential import payments
from headwater.core.instant import DAY, WEEK, instant, iso
from headwater.definitions.compile import compiled, content_hash
from headwater.definitions.loading import load_project
from headwater.definitions.model import Model
from headwater.models.artifact import Artifact
from headwater.models.fitting import fit
from headwater.models.ranking import Ranking
from headwater.models.reference import background, references
from headwater.models.scorer import scorer_for
from headwater.models.version import Version
from headwater.retraining.checks import outcomes, slices, stability
from headwater.retraining.evidence import Evidence, Side, Witness
from headwater.retraining.report import Check
from headwater.retraining.rules import Rules
from headwater.training.dataset import TrainingSet, build, rows

Float64 = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

FIRST, MOMENTS, STEP = instant("2018-05-24T00:00:00Z"), 30, 4 * DAY
SHARES = (4, 10)  # the payments of one customer in so many are judged
LEARNED = 2  # and those of one in so many are learned from
STANDING = 2_000
BANDS = {"pay": 0.0, "ask": 0.1, "stop": 0.5}


@dataclass(frozen=True)
class Kind:
    """A kind of candidate.

    Attributes:
        words: what it is.
        sound: whether it is meant to be as good as the champion.
        spoil: the training labels and matrix (y, X) and the estimator's parameters, spoiled.
        newer: whether it learned from a week later than the champion.
    """

    words: str
    sound: bool
    spoil: Callable[[Float64, Float64, np.random.Generator], tuple[Float64, Float64]]
    newer: bool = True
    more: Mapping[str, Any] | None = None


def _as_it_is(y: Float64, X: Float64, _random: np.random.Generator) -> tuple[Float64, Float64]:
    return y, X


def _lost(y: Float64, X: Float64, random: np.random.Generator) -> tuple[Float64, Float64]:
    return np.where(random.random(len(y)) < 0.7, 0.0, y), X


def _shuffled(y: Float64, X: Float64, random: np.random.Generator) -> tuple[Float64, Float64]:
    return random.permutation(y), X


def _leaked(y: Float64, X: Float64, _random: np.random.Generator) -> tuple[Float64, Float64]:
    spoiled = X.copy()
    spoiled[:, _place("terminal_risk_1d")] = y
    return y, spoiled


def _blind(y: Float64, X: Float64, _random: np.random.Generator) -> tuple[Float64, Float64]:
    spoiled = X.copy()
    spoiled[:, [place for place, name in enumerate(MODEL.inputs) if _of_terminal(name)]] = np.nan
    return y, spoiled


def _of_terminal(name: str) -> bool:
    return name.startswith(("terminal", "frauds", "last_was", "since"))


def _place(name: str) -> int:
    return MODEL.inputs.index(name)


PROJECT = load_project(example.HERE)
MODEL: Model = PROJECT.models[0]
POLICY = hw.Policy("card_fraud_policy", model=MODEL, bands=BANDS)
KINDS: Mapping[str, Kind] = {
    "same": Kind("the same week again, by another seed", sound=True, spoil=_as_it_is, newer=False),
    "newer": Kind("a week later: what a weekly retrain is", sound=True, spoil=_as_it_is),
    "lost": Kind("seven in ten frauds were never reported", sound=False, spoil=_lost),
    "loud": Kind(
        "frauds weigh twenty times: ranks well, scores far too high",
        sound=False,
        spoil=_as_it_is,
        more={"scale_pos_weight": 20.0},
    ),
    "leaked": Kind("a column held the answer while it learned", sound=False, spoil=_leaked),
    "blind": Kind("the stream of fraud reports was cut", sound=False, spoil=_blind),
    "shuffled": Kind("labels of other payments", sound=False, spoil=_shuffled),
}
EVERY = 6  # a spoiled one comes at every sixth moment


def learn(world: TrainingSet, start: int, kind: Kind, seed: int) -> Witness:
    """A model that learned from the payments of the week from ``start`` on, ready to be asked."""
    inside = (world.times > start) & (world.times <= start + WEEK)
    place = np.flatnonzero(inside & (world.entity.to_numpy() % LEARNED == 0))
    part = rows(world, place)
    y, X = kind.spoil(part.y, part.X, np.random.default_rng(seed))
    estimator = MODEL.estimator.__class__(
        **{**MODEL.estimator.get_params(), "random_state": seed, **(kind.more or {})}
    )
    fitted = fit(estimator, X, y, part.inputs.names, seed)
    usual = background(X, 100, seed)
    artifact = Artifact(
        model=MODEL.name,
        definition_hash=content_hash(MODEL),
        definition=compiled(MODEL),
        inputs=part.inputs,
        estimator=fitted.estimator,
        references=references(X, part.inputs.names),
        background=usual,
    )
    return Witness(
        artifact, scorer_for(fitted.estimator, part.inputs.names, usual), start + 2 * WEEK, "itself"
    )


def gated(
    world: TrainingSet, now: int, place: Places, candidate: Side, champion: Side, rules: Rules
) -> list[Check]:
    """What the gate finds on the payments at some places: its own checks on its own kind of evidence."""
    judged = replace(
        world, frame=world.frame[place], X=world.X[place], y=world.y[place], times=world.times[place]
    )
    sides = [one.stand_in or one.itself for one in (candidate, champion)]
    evidence = Evidence(
        model=MODEL,
        policy=POLICY,
        as_of=now,
        candidate=candidate,
        champion=champion,
        incumbent=champion.version,
        rows=judged,
        scores=(sides[0].scores(judged.frame), sides[1].scores(judged.frame)),
        asked={},
        standing=judged.frame[-STANDING:],
        notes=(),
    )
    found = [*outcomes.checks(evidence, rules), *slices.checks(evidence, rules)]
    return [*found, *stability.checks(evidence, rules, better=outcomes.surely_better(found))]


def side(world: TrainingSet, starts: tuple[int, int], kind: Kind, seed: int) -> Side:
    """A version: the stand-in learned from the first week, the registered one from the second."""
    stand_in, itself = (learn(world, start, kind, seed) for start in starts)
    return Side(Version(MODEL.name, seed, (), "", "", "", ""), itself, stand_in)


def figures(y: Float64, scores: Float64) -> Float64:
    """ROC AUC, average precision and Brier score."""
    steps = Ranking.of(y, scores).steps()
    return np.array([steps.roc_auc(), steps.average_precision(), float(np.mean((scores - y) ** 2))])


def worse(gap: Float64, champion: Float64, rules: Rules) -> bool:
    """Whether a candidate is worse by more than the gate's margins, on as many payments as there are."""
    return bool(
        gap[0] < -rules.auc_margin
        or gap[1] < -rules.ap_margin * champion[1]
        or gap[2] > rules.brier_margin * champion[2]
    )


def moment(world: TrainingSet, number: int, bootstrap: int) -> Iterator[dict[str, Any]]:
    """All candidates of one moment, each before the gate with each share of the customers."""
    now, rules = FIRST + number * STEP, Rules(bootstrap=bootstrap)
    champion = side(world, (now - 5 * WEEK, now - 3 * WEEK), KINDS["newer"], number)
    judged = np.flatnonzero((world.times > now - 2 * WEEK) & (world.times <= now - WEEK))
    coming = np.flatnonzero((world.times > now) & (world.times <= now + WEEK))
    frame, y = world.frame[coming], world.y[coming]
    usual = figures(y, champion.itself.scores(frame))
    customer = world.entity.to_numpy()[judged]
    for name, kind in KINDS.items():
        if not kind.sound and number % EVERY:
            continue
        starts = (now - 4 * WEEK, now - 2 * WEEK) if kind.newer else (now - 5 * WEEK, now - 3 * WEEK)
        candidate = side(world, starts, kind, 1_000 + number)
        gap = figures(y, candidate.itself.scores(frame)) - usual
        for share in SHARES:
            place = judged[customer % share == number % share]
            found = gated(world, now, place, candidate, champion, rules)
            yield {
                "moment": iso(now),
                "kind": name,
                "share": share,
                "rows": len(place),
                "positives": int(world.y[place].sum()),
                "promoted": not any(check.holds for check in found),
                "held_by": [f"{one.family} {one.name}" for one in found if one.holds],
                "unknown": [one.name for one in found if one.numbers.get("finding") == "unknown"],
                "truth": gap.tolist(),
                "champion": usual.tolist(),
                "worse": worse(gap, usual, rules),
            }


def summed(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By share and kind: gates, promoted, truly worse, and both errors."""
    table = []
    for share in SHARES:
        for name in KINDS:
            some = [one for one in found if (one["share"], one["kind"]) == (share, name)]
            if some:
                held = [one for one in some if not one["promoted"]]
                why = [text for one in held for text in one["held_by"]]
                table.append(
                    {
                        "share": share,
                        "kind": name,
                        "gates": len(some),
                        "positives": float(np.median([one["positives"] for one in some])),
                        "promoted": len(some) - len(held),
                        "worse": sum(one["worse"] for one in some),
                        "falsely_promoted": sum(one["worse"] and one["promoted"] for one in some),
                        "falsely_held": sum(not one["worse"] for one in held),
                        "mean_gain": np.mean([one["truth"] for one in some], axis=0).round(4).tolist(),
                        "held_by": {
                            text: why.count(text) for text in sorted(set(why), key=lambda t: -why.count(t))
                        },
                    }
                )
    return table


def world_of(data: Path, moments: int) -> TrainingSet:
    """Every payment that any moment reads, with its features as of then."""
    stop = FIRST + (moments - 1) * STEP + WEEK
    events = {MODEL.features[0].stream.name: payments(data, PROJECT)}
    return build(MODEL, events, FIRST - 5 * WEEK, stop + 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not kept yet, and print all."""
    arguments = _parser().parse_args(argv)
    console = Console(width=None if Console().is_terminal else 140)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kept = (
        arguments.folder
        / f"gate-{arguments.bootstrap}-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]}.jsonl"
    )
    found = [json.loads(line) for line in kept.read_text("utf-8").splitlines()] if kept.exists() else []
    done = {one["moment"] for one in found}
    order = sorted(range(arguments.moments), key=lambda number: number % EVERY)  # those with all kinds first
    left = [number for number in order if iso(FIRST + number * STEP) not in done]
    world = world_of(arguments.data, arguments.moments) if left else None
    for number in left:
        if world is None:
            break
        new = list(moment(world, number, arguments.bootstrap))
        found += new
        with kept.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(one) + "\n" for one in new))
        promoted = sum(one["promoted"] for one in new)
        console.print(
            f"moment {number + 1} of {arguments.moments}: {promoted} of {len(new)} promoted", style="dim"
        )
    table = summed(found)
    (arguments.folder / "gate.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    console.print(_table(table))
    return 0


def _table(rows_: Sequence[Mapping[str, Any]]) -> Table:
    names = (
        "customers",
        "candidate",
        "gates",
        "frauds",
        "promoted",
        "worse",
        "falsely promoted",
        "falsely held",
        "held by",
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name)
    for row in rows_:
        why = ", ".join(f"{text} {count}" for text, count in list(row["held_by"].items())[:3])
        facts = (row["gates"], f"{row['positives']:.0f}", row["promoted"], row["worse"])
        errors = (row["falsely_promoted"], row["falsely_held"])
        table.add_row(f"1 in {row['share']}", row["kind"], *(str(fact) for fact in (*facts, *errors)), why)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with fraud_handbook")
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="where the result goes")
    parser.add_argument("--moments", type=int, default=MOMENTS)
    parser.add_argument("--bootstrap", type=int, default=100, help="resamples of each gate")
    return parser


if __name__ == "__main__":
    sys.exit(main())
