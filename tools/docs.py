"""Builds the documentation: stage the pages, fill in what is generated, build strictly, check the result.

``make docs`` runs it; ``tests/docs`` asks it for the filled-in pages. Where a page holds
``<!-- generated: NAME -->``, the writer of that name in :data:`GENERATED` fills it, so the reference is made
from the code each time and kept nowhere. The site generator gets plain Markdown and could be changed for
another: see ``docs/design/0003-documentation-site.md``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType

import yaml

from tools import http_reference, reference

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs"
CONFIG = ROOT / "mkdocs.yml"

GENERATED: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "changelog": lambda: (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n", 1)[1],
        "commands": reference.commands,
        "errors": reference.errors,
        "exits": reference.exits,
        "http": http_reference.operations,
        "lake": reference.lake,
        "metrics": http_reference.metrics,
        "settings": reference.settings,
        "stream-metrics": http_reference.stream_metrics,
    }
)

_MARK = re.compile(r"<!-- generated: ([\w-]+) -->")
_EXTERNAL = re.compile(r"(https?:)?//")


def pages() -> dict[str, str]:
    """Every page by its path under ``docs``, with what is generated filled in.

    Raises:
        KeyError: a page asks for something that nobody generates.
    """
    return {
        path.relative_to(PAGES).as_posix(): _MARK.sub(
            lambda mark: GENERATED[mark[1]](), path.read_text(encoding="utf-8")
        )
        for path in sorted(PAGES.rglob("*.md"))
    }


def stage(texts: Mapping[str, str], folder: Path) -> None:
    """Copy ``docs`` to ``folder``, each page replaced by its filled-in text."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PAGES, folder)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def unlisted(texts: Mapping[str, str]) -> list[str]:
    """The pages that no reader can find, because the navigation in ``mkdocs.yml`` does not name them."""
    named = set(_leaves(yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["nav"]))
    return [f"docs/{name} is not in the nav of mkdocs.yml" for name in sorted(set(texts) - named)]


def broken_resources(site: Path) -> list[str]:
    """What built pages load from elsewhere, or load and do not have: a site works offline, and whole."""
    return [
        f"{page.relative_to(site)} loads {source}: {fault}"
        for page in sorted(site.rglob("*.html"))
        for source in _Resources.of(page)
        if (fault := _fault(site, page, source))
    ]


def _fault(site: Path, page: Path, source: str) -> str | None:
    if source.startswith("data:"):
        return None
    if _EXTERNAL.match(source):
        return "from another host"
    plain = source.split("?")[0].split("#")[0]
    target = site / plain.lstrip("/") if plain.startswith("/") else page.parent / plain
    return None if target.exists() else "not there"


def _leaves(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for below in nav.values():
            yield from _leaves(below)
    elif isinstance(nav, list):
        for below in nav:
            yield from _leaves(below)


class _Resources(HTMLParser):
    """Collects what a browser fetches by itself on showing a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    @classmethod
    def of(cls, page: Path) -> list[str]:
        parser = cls()
        parser.feed(page.read_text(encoding="utf-8"))
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        fetches = tag == "link" and "stylesheet" in (values.get("rel") or "")
        source = values.get("href") if fetches else values.get("src")
        if source:
            self.found.append(source)


def main() -> int:
    """Build the site; 0 if it is whole."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    texts = pages()
    stage(texts, ROOT / config["docs_dir"])
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    if built := subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603 - our own words
        return built
    faults = unlisted(texts) + broken_resources(ROOT / config["site_dir"])
    print("\n".join(faults) or f"{len(texts)} pages in {config['site_dir']}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
