"""Appends decisions until it is killed, and says which are acknowledged. Run by ``test_crash``."""

from __future__ import annotations

import sys

from headwater.store.decisions import DecisionStore
from tests.store.cases import decision

if __name__ == "__main__":
    with DecisionStore.open(sys.argv[1]) as store:
        start = len(store)
        for place in range(start, start + 100_000):
            group = [decision(request={"n": place, "of": part}) for part in range(1 + place % 3)]
            records = store.append(group, [f"{place} {part}" for part in range(len(group))])
            sys.stdout.write(f"{records[-1].number} {place}\n")
            sys.stdout.flush()
