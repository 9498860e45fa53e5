"""Shadow: what the candidate said of live decisions that the champion answered. For information alone.

It never holds a candidate: live decisions have no outcomes yet; ``stability`` judges standing ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headwater.retraining.report import Check
from headwater.store.shadow import Summary


def checks(found: Sequence[Summary], candidate: str, champion: str | None) -> Iterator[Check]:
    """One check.

    Args:
        found: what the shadow ledger says of the model.
        candidate: its seal.
        champion: the seal of the champion; None where there is none.
    """
    for one in found:
        if (one.challenger, one.served) == (candidate, champion):
            yield Check("shadow", "live decisions", "for information", one.words(), one.to_json())
            return
    words = "It has not scored live decisions in the shadow of the champion."
    yield Check("shadow", "live decisions", "not looked at", words)
