"""Reads the code that stands in a page, and runs what is marked.

A comment on the line before a fenced block marks it::

    <!-- run -->                    run it: Python shares its names down the page, console lines that
                                    start with $ run in the page's own folder (cd goes on
                                    from there) and must end well
    <!-- run: DefinitionError -->   run it; it must raise that error
    <!-- says -->                   the text of that error, word for word
    <!-- file: NAME -->             write it to a file in the page's folder
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_MARK = re.compile(r"^<!-- (?:run|says|file)\b", re.MULTILINE)
_BLOCK = re.compile(
    r"^<!-- (?P<mark>run|says|file)(?:: (?P<word>[^ ]+))? -->\n```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A marked block: its mark, what stands behind the colon, its language, code and first line."""

    mark: str
    word: str | None
    language: str
    code: str
    line: int


@dataclass
class Reader:
    """Goes down a page and does what its marks say."""

    page: Path
    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    said: str = ""
    begun: bool = False

    def read(self) -> None:
        text = self.page.read_text(encoding="utf-8")
        blocks = marked(text)
        alone = len(_MARK.findall(text)) - len(blocks)
        assert not alone, f"{self.page}: a mark without a fenced block behind it"
        for block in blocks:
            self._perform(block)

    def _perform(self, block: Block) -> None:
        place = f"{self.page}:{block.line}"
        if block.mark == "file":
            (self.folder / str(block.word)).write_text(block.code, encoding="utf-8")
        elif block.mark == "says":
            assert block.code.rstrip("\n") == self.said, f"{place}: the error says otherwise:\n{self.said}"
        elif block.language == "python":
            self._python(block, place)
        else:
            assert block.language == "console", f"{place}: cannot run {block.language}"
            self._console(block, place)

    def _python(self, block: Block, place: str) -> None:
        code = compile("\n" * block.line + block.code, str(self.page), "exec")
        try:
            exec(code, self.names)  # noqa: S102 - the page is ours
        except Exception as error:  # any error is compared with the one that was announced
            if type(error).__name__ != block.word:
                raise
            self.said = str(error)
        else:
            assert block.word is None, f"{place}: {block.word} was announced and did not come"

    def _console(self, block: Block, place: str) -> None:
        for line in block.code.splitlines():
            if line.startswith("$ "):
                words = shlex.split(line[2:], comments=True)
                if words[0] == "cd":
                    self.folder /= words[1]
                    continue
                code, said = self._command(words)
                assert code == 0, f"{place}: {line}\n{said}"

    def _command(self, words: list[str]) -> tuple[int, str]:
        """The exit code and what was said.

        The page's first command is the installed program; later ones run in this process, which has imported
        by then what a new one would import again for seconds.
        """
        if words[0] == "headwater" and self.begun:
            said = StringIO()
            with chdir(self.folder), redirect_stdout(said), redirect_stderr(said):
                return run(cli, words[1:]), said.getvalue()
        if words[0] == "headwater":
            self.begun = True
            words[0] = str(Path(sys.executable).parent / "headwater")
        done = subprocess.run(
            words, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False
        )
        return done.returncode, done.stdout + done.stderr


def marked(text: str) -> list[Block]:
    """The marked blocks of a page, in order."""
    return [
        Block(**found.groupdict(), line=text[: found.start("code")].count("\n"))
        for found in _BLOCK.finditer(text)
    ]


def pages_to_run() -> list[Path]:
    """The pages that hold a mark."""
    return [page for page in PAGES if _MARK.search(page.read_text(encoding="utf-8"))]
