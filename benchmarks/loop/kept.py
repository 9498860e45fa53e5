"""A life as it is kept on disk: turn by turn while it is lived, and whole once it is over.

    lives/16000-7-6-18-100-3f2a9c01b7de/
        so_far.npz     rewritten after every turn, beside the registry and the audit trail
        life.npz       the whole life; the rest of the folder is removed then

A folder is named after size, seed and the code that lives it, so that no life is finished by other code than
began it. Called by ``lives`` and ``__main__``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import headwater
from benchmarks.loop.life import Lives, Size, Turn

Float64 = npt.NDArray[np.float64]

_SO_FAR, _WHOLE = "so_far.npz", "life.npz"
_ARRAYS = ("times", "accounts", "y", "bookings")


def code() -> str:
    """The digest of everything that lives a life, 12 hex digits."""
    found = hashlib.sha256()
    home = Path(headwater.__file__).parent
    for source in [*sorted(home.rglob("*.py")), Path(__file__).with_name("lives.py")]:
        found.update(source.name.encode() + b"\0" + source.read_bytes())
    return found.hexdigest()[:12]


def folder_of(home: Path, size: Size, digest: str) -> Path:
    """Where a life is kept.

    Example:
        >>> folder_of(Path("lives"), Size(accounts=400, seed=7, before=2, after=3), "3f2a").as_posix()
        'lives/400-7-2-3-100-3f2a'
    """
    parts = (size.accounts, size.seed, size.before, size.after, size.bootstrap)
    return home / "-".join([*(str(part) for part in parts), digest])


def save_so_far(
    folder: Path, turns: Sequence[Turn], scores: Float64, candidates: Mapping[int, Float64]
) -> None:
    """Keep what was lived up to the last turn; whoever is killed meanwhile leaves the file before."""
    _save(folder / _SO_FAR, {"scores": scores, **_packed(turns, candidates)})


def load_so_far(folder: Path) -> tuple[list[Turn], Float64, dict[int, Float64]] | None:
    """What was lived up to the last turn that was kept; None if it is to begin."""
    if not (folder / _SO_FAR).exists():
        return None
    with np.load(folder / _SO_FAR) as kept:
        return _turns(kept["turns"]), kept["scores"], _candidates(kept)


def save(folder: Path, lives: Lives) -> None:
    """Keep the whole life, and nothing else in its folder."""
    content = {name: getattr(lives, name) for name in _ARRAYS}
    content |= {f"life_{name}": scores for name, scores in lives.scores.items()}
    content |= {"size": _text(asdict(lives.size)), "regime": np.array(lives.regime)}
    _save(folder / _WHOLE, content | _packed(lives.turns, lives.candidates))
    for other in folder.iterdir():
        if other.name != _WHOLE:
            shutil.rmtree(other) if other.is_dir() else other.unlink()


def load(folder: Path) -> Lives | None:
    """The whole life; None if it is not over."""
    if not (folder / _WHOLE).exists():
        return None
    with np.load(folder / _WHOLE) as kept:
        scores = {name.removeprefix("life_"): kept[name] for name in kept.files if name.startswith("life_")}
        return Lives(
            size=Size(**json.loads(str(kept["size"]))),
            regime=int(kept["regime"]),
            scores=scores,
            turns=tuple(_turns(kept["turns"])),
            candidates=_candidates(kept),
            **{name: kept[name] for name in _ARRAYS},
        )


def _save(target: Path, content: Mapping[str, Any]) -> None:
    half = target.with_suffix(".half.npz")
    np.savez_compressed(half, **content)
    half.replace(target)


def _packed(turns: Sequence[Turn], candidates: Mapping[int, Float64]) -> dict[str, Any]:
    return {
        "turns": _text([asdict(turn) for turn in turns]),
        "weeks": np.array(list(candidates), np.int64),
        "candidates": np.array(list(candidates.values())),
    }


def _candidates(kept: Mapping[str, Any]) -> dict[int, Float64]:
    return dict(zip(kept["weeks"].tolist(), kept["candidates"], strict=True))


def _turns(text: Any) -> list[Turn]:
    names = [one.name for one in fields(Turn)]
    return [Turn(*(_tuple(turn[name]) for name in names)) for turn in json.loads(str(text))]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _text(form: Any) -> npt.NDArray[np.str_]:
    return np.array(json.dumps(form))
