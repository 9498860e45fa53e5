"""Environments for contenders that cannot share ours, each made when it is first asked for.

Each is pinned by hash in ``environments/NAME.txt`` and lies in ``build/bench/environments/NAME``. What
cannot be made here (no network, no wheel for this Python) raises ``Unavailable``, and the contender is
reported as skipped, with the reason. Called by ``harness``; by hand::

    python -m benchmarks.venvs            # make them all ahead of a run
    python -m benchmarks.venvs --lock     # pin them anew
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENTS = {
    "bentoml": ("bentoml==1.4.39", "scikit-learn==1.9.1"),
    "bytewax": ("bytewax==0.21.1", "numpy"),
    "feast": ("feast[duckdb]==0.67.0",),
    "pathway": ("pathway==0.33.0",),
    "river": ("river==0.26.1",),
}
LOCKS = Path(__file__).parent / "environments"
PLACE = Path("build/bench/environments")
PATIENCE = 900  # seconds for an installation


class Unavailable(Exception):  # noqa: N818 - a state of affairs, not a fault
    """An environment cannot be made here; the text says why."""


def python_of(name: str) -> str:
    """The interpreter of an environment; ``""`` is ours.

    Raises:
        Unavailable: it is not there and cannot be made.
    """
    if not name:
        return sys.executable
    place, lock = PLACE / name, LOCKS / f"{name}.txt"
    python, stamp = place / "bin" / "python", place / ".lock"
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if not (python.exists() and stamp.exists() and stamp.read_text(encoding="ascii") == wanted):
        _make(place, python, lock)
        stamp.write_text(wanted, encoding="ascii")
    return str(python.absolute())


def _make(place: Path, python: Path, lock: Path) -> None:
    print(f"making the environment {place} from {lock.name}", file=sys.stderr)
    _run([sys.executable, "-m", "venv", "--clear", str(place)])
    uv = Path(sys.executable).with_name("uv")
    pinned = ["--quiet", "--require-hashes", "-r", str(lock)]
    if uv.exists():
        try:
            return _run([str(uv), "pip", "install", "--python", str(python), *pinned])
        except Unavailable as fault:
            print(f"uv could not ({fault}); pip tries", file=sys.stderr)
    return _run([str(python), "-m", "pip", "install", *pinned])


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as fault:
        raise Unavailable(f"not installed within {PATIENCE} s") from fault
    except subprocess.CalledProcessError as fault:
        lines = [line.strip() for line in fault.stderr.splitlines() if line.strip()]
        raise Unavailable(lines[-1] if lines else f"{command[0]} ended with {fault.returncode}") from fault


def lock(name: str) -> None:
    """Pin an environment anew, with hashes, for every platform that has wheels."""
    target = LOCKS / f"{name}.txt"
    header = f"# The environment of a contender: {', '.join(ENVIRONMENTS[name])}.\n"
    header += "# Made by: python -m benchmarks.venvs --lock\n"
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--universal"]
    command += [
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-header",
        "--no-emit-index-url",
        "--no-annotate",
        "-",
    ]
    done = subprocess.run(
        command, input="\n".join(ENVIRONMENTS[name]), check=True, capture_output=True, text=True
    )
    target.write_text(header + done.stdout, encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Environments of the contenders.")
    parser.add_argument("names", nargs="*", default=[], help=", ".join(ENVIRONMENTS))
    parser.add_argument("--lock", action="store_true", help="pin them anew instead of making them")
    arguments = parser.parse_args(argv)
    missing = 0
    for name in arguments.names or ENVIRONMENTS:
        try:
            if arguments.lock:
                lock(name)
            else:
                print(f"{name}: {python_of(name)}")
        except Unavailable as fault:
            missing += 1
            print(f"{name}: not available: {fault}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
