"""What measures 7 to 11 share: the bank that is served, and how their figures are shown.

Generator and server share the same cores, for every contender alike; the notes say how much of them the
generator used. Called by ``decisions``, ``freshness``, ``ready``, ``soak`` and
``retrain``.
"""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Contender, Setting, once

EVENTS, KEYS = 300_000, 10_000
SIZES = ("live.events", "live.keys")
FRESH = 3 * 3_600  # seconds: features are as of now, so the bank must not be old
AT = "benchmarks.contenders.live"
SHARED = """The load generator (headwater bench load's own) runs on the same cores as the server, for every
contender; latency counts from the moment at which a request was due. Headwater is asked once its monitors,
which run beside it and go on, have looked through the history that came with the bank."""


def bank(
    setting: Setting, name: str = "live", events: int = EVENTS, keys: int = KEYS
) -> tuple[Path, dict[str, Any]]:
    """The folder with the bank, made if there is no recent one; and the options that say its size."""
    folder = setting.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    size = {
        "events": int(setting.size(f"{name}.events", events, 20_000)),
        "keys": int(setting.size(f"{name}.keys", keys, 500)),
    }
    mark = folder / f"bank-{size['events']}-{size['keys']}"
    if not _fresh(mark):
        for old in folder.glob("bank-*"):
            old.unlink()
        others = setting.folder.glob(f"*/{mark.name}") if setting.quick else ()
        same = next(filter(_fresh, others), None)
        if same is None:
            setting.tell(f"  making the bank: {size['events']:,} events, {size['keys']:,} accounts, a model")
            once(setting, Contender("bank", f"{AT}.bank", size), folder)
            mark.touch()
        else:  # another measure's is as large
            shutil.rmtree(folder / "bank", ignore_errors=True)
            shutil.copytree(same.parent / "bank", folder / "bank")
            shutil.copy2(same, mark)  # and as old
    return folder, size


def _fresh(mark: Path) -> bool:
    """Whether a bank was made a short while ago."""
    return mark.exists() and time.time() - mark.stat().st_mtime < FRESH and (mark.parent / "bank").exists()


def ms(told: dict[str, Any], percent: str) -> str:
    """A percentile of a load."""
    return f"{told['latency_ms'][percent]:.2f}"


def generator(told: dict[str, Any]) -> str:
    """What the generator itself took."""
    own = told["generator"]
    late = own["late_ms"]["p99"]
    how = "never had a connection free" if math.isnan(late) else f"late itself by {late:.2f} ms at p99"
    return f"{own['cores']:.2f} of a core, {how}"
