"""A writer that is killed: appends pairs of events, says so once they are acknowledged, and compacts."""

from __future__ import annotations

import sys
from pathlib import Path

from headwater.log import Append, EmbeddedLog
from tests.log.lender import NOW, STREAMS, clicks, many


def main(path: Path) -> None:
    with EmbeddedLog.open(path, STREAMS) as log:
        held = log.end() // 2
        while True:
            size = 1 + held % 7
            receipts = log.append_many(
                [Append("payments", many(size, held), NOW), Append("clicks", clicks(size, held), NOW)]
            )
            held += receipts[0].accepted
            sys.stdout.write(f"{held}\n")
            sys.stdout.flush()
            if held % 50 < 7:
                log.compact()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
