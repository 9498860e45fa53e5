"""The Dockerfile read, and its build carried out without Docker: ``python -m tools.image FOLDER``.

Where there is no Docker, the build's own words can still be tried. The files that ``.dockerignore`` lets
through are copied into an empty folder; every ``RUN`` of the first stage is run there by ``/bin/sh``, with
the stage's ``ENV`` alone, in a mount namespace in which ``/opt`` and ``/build`` are empty folders. Python
here stands in for the base image. Needs Linux, root, some minutes, and a package index. ``tests/deploy``
reads the same instructions.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "Dockerfile"
_PASSED_ON = ("PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its stage from 0, its word in capitals, and the rest, continued lines joined."""

    stage: int
    word: str
    rest: str


def steps(text: str) -> Iterator[Step]:
    """The instructions of a Dockerfile, without comments."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    stage = -1
    for line in re.sub(r"\\\n", " ", lines).splitlines():
        word, _, rest = line.strip().partition(" ")
        stage += word.upper() == "FROM"
        if word:
            yield Step(stage, word.upper(), rest.strip())


def passes(path: str, rules: str) -> bool:
    """Whether ``.dockerignore`` lets a file through: the last rule that fits decides, as Docker has it."""
    kept = True
    for rule in filter(None, (line.strip() for line in rules.splitlines())):
        if rule.startswith("#"):
            continue
        plain = rule.removeprefix("!")
        parts = path.split("/")
        prefixes = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        fits = any(fnmatch(one, plain) or one == plain for one in prefixes)
        if plain.startswith("**/"):
            fits = any(fnmatch(part, plain[3:]) for part in parts)
        if fits:
            kept = rule.startswith("!")
    return kept


def copies(step: Step) -> tuple[list[str], str]:
    """Sources and target of a ``COPY`` from the build's context."""
    words = [word for word in shlex.split(step.rest) if not word.startswith("--")]
    return words[:-1], words[-1]


def environment(found: list[Step], stage: int) -> dict[str, str]:
    """What ``ENV`` sets in a stage."""
    words = [
        word for one in found if (one.stage, one.word) == (stage, "ENV") for word in shlex.split(one.rest)
    ]
    return dict(word.split("=", 1) for word in words)


def script(found: list[Step], context: Path) -> str:
    """The first stage as a script of the shell, in the order of the file."""
    lines = ["set -eu", "cd /build"]
    for one in (one for one in found if one.stage == 0):
        if one.word == "ENV":
            lines += [f"export {shlex.quote(word)}" for word in shlex.split(one.rest)]
        elif one.word == "RUN":
            lines.append(f"/bin/sh -c {shlex.quote(one.rest)}")
        elif one.word == "COPY":
            sources, target = copies(one)
            goal = shlex.quote(target)
            whole = target if target.endswith("/") else str(Path(target).parent)
            lines.append(f"mkdir -p {shlex.quote(whole)}")
            lines += [f"cp -R -p {shlex.quote(str(context / source))} {goal}" for source in sources]
    return "\n".join(lines)


def main(folder: str) -> int:
    """Carry out the first stage in a folder; what it made stays in ``FOLDER/opt``."""
    place = Path(folder).absolute()
    shutil.rmtree(place, ignore_errors=True)
    for name in ("opt", "build", "context", "bin"):
        (place / name).mkdir(parents=True)
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    for name in listed.stdout.splitlines():
        if passes(name, rules):
            (place / "context" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / "context" / name)
    (place / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    env = {"PATH": f"{place}/bin:/usr/bin:/bin", "HOME": str(place), **kept}
    text = script(list(steps(DOCKERFILE.read_text(encoding="utf-8"))), place / "context")
    mounts = "".join(f"mkdir -p /{to} && mount --bind {place}/{to} /{to} && " for to in ("opt", "build"))
    command = ["unshare", "--mount", "/bin/sh", "-c", f"{mounts}exec /bin/sh -c {shlex.quote(text)}"]
    return subprocess.run(command, env=env, check=False).returncode  # noqa: S603 - the Dockerfile's own words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
