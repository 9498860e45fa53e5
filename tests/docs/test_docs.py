"""The documentation is true and whole: its code runs, and the reference names everything public."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import headwater
from headwater.apps.cli.exits import MEANINGS
from headwater.apps.cli.main import cli
from headwater.apps.settings import SETTINGS
from tests.docs.pages import ROOT, Reader, marked, pages_to_run
from tools import docs, reference


@pytest.mark.parametrize("page", pages_to_run(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_marked_code_runs(page: Path, tmp_path: Path) -> None:
    Reader(page, tmp_path).read()


def test_a_mark_without_a_block_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- run -->\n\n```python\n1 / 0\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="a mark without a fenced block behind it"):
        Reader(page, tmp_path).read()


@pytest.fixture(scope="module")
def reference_text() -> str:
    return "\n".join(text for name, text in docs.pages().items() if name.startswith("reference/"))


@pytest.mark.parametrize("name", [name for name in headwater.__all__ if not name.startswith("_")])
def test_public_name_is_in_the_reference(name: str, reference_text: str) -> None:
    assert f"::: headwater.{name}\n" in reference_text


@pytest.mark.parametrize("kind", reference.error_classes())
def test_error_code_is_in_the_reference(
    kind: type[headwater.core.errors.HeadwaterError], reference_text: str
) -> None:
    assert f"| `{kind.code}` | `{kind.__name__}` |" in reference_text


def test_error_codes_are_distinct() -> None:
    codes = [kind.code for kind in reference.error_classes()]
    assert len(codes) == len(set(codes))


def test_every_command_has_a_section(reference_text: str) -> None:
    for context in reference.walk(click.Context(cli, info_name="headwater")):
        assert f"## {context.command_path}\n" in reference_text
        assert context.command.help, f"{context.command_path} says nothing in its help"


def test_every_setting_and_exit_code_is_in_the_reference(reference_text: str) -> None:
    assert [one.variable for one in SETTINGS if f"| `{one.variable}` |" not in reference_text] == []
    assert [code for code in MEANINGS if f"\n| {int(code)} | " not in reference_text] == []


def test_the_tutorial_reads_the_file_that_init_writes() -> None:
    page = ROOT / "docs" / "tutorial" / "first-project.md"
    template = ROOT / "src" / "headwater" / "apps" / "cli" / "template" / "project.py.txt"
    written = _bare(template.read_text(encoding="utf-8").replace("{{name}}", "early_warning"))
    blocks = [block for block in marked(page.read_text(encoding="utf-8")) if block.language == "python"]
    run = [block.code.split("\nassert")[0] for block in blocks if block.mark == "run" and block.word is None]
    assert [code for code in run if _bare(code) not in written] == []


def _bare(code: str) -> str:
    """The code without blank lines and comment lines."""
    return "\n".join(line for line in code.splitlines() if line.strip() and not line.startswith("#"))


def test_every_page_can_be_found() -> None:
    assert docs.unlisted(docs.pages()) == []


def test_an_unlisted_page_is_named() -> None:
    assert docs.unlisted({"index.md": "", "lost.md": ""}) == ["docs/lost.md is not in the nav of mkdocs.yml"]


def test_what_a_page_loads_is_checked(tmp_path: Path) -> None:
    (tmp_path / "here.css").touch()
    (tmp_path / "page.html").write_text(
        '<link rel="stylesheet" href="here.css?v=1"><link rel="canonical" href="https://example.org/">'
        '<a href="https://example.org/">told, not loaded</a>'
        '<script src="//cdn.example.org/x.js"></script><img src="gone.png"><img src="data:,">',
        encoding="utf-8",
    )
    assert docs.broken_resources(tmp_path) == [
        "page.html loads //cdn.example.org/x.js: from another host",
        "page.html loads gone.png: not there",
    ]
