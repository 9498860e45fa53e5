"""Where a child process begins: ``python -m headwater.apps.workers MODULE ...``, started by ``worker``.

Takes over the pipes before anything heavy is imported, so that a server that is killed leaves nobody behind,
not even a child that is still being born; then imports the module of the job and calls its ``main``. What it
raises is told by its type and places, never by its text, which may quote a value.
"""

from __future__ import annotations

import json
import sys
import traceback
from importlib import import_module

from headwater.apps.workers.parent import GoneError, parent


def main(name: str, *arguments: str) -> None:
    """Do the job of a module: its ``main(parent, arguments)``, until the server is gone."""
    with parent() as server:
        try:
            import_module(name).main(server, arguments)
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the process ends, and its worker says so
            sys.stderr.write(_line(name, error))
            sys.exit(1)


def _line(name: str, error: Exception) -> str:
    """A line of the server's log."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    told = {"level": "error", "logger": "headwater.workers", "message": "a worker fails", "job": name}
    return json.dumps({**told, "error": type(error).__name__, "where": places}) + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
