"""The small bank behind a server, as a process of its own: ``python -m tests.http.slow_server FOLDER``.

Says where it listens on stdout, and ends when stdin does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.http.house import serving

if __name__ == "__main__":
    with serving(Path(sys.argv[1])) as house:
        sys.stdout.write(house.url + "\n")
        sys.stdout.flush()
        sys.stdin.read()
        left = [fault for fault in house.faults.faults if fault[0] != "monitors"]
        sys.exit(1 if left else 0)
