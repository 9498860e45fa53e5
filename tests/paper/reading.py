"""A page as a reader's program meets it: its texts, its pictures, its tables, and whether it is whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_EMPTY = frozenset({"meta", "br", "hr", "img", "link", "input"})


@dataclass
class Read(HTMLParser):
    """A page that was read; raises where a tag is not closed in its turn."""

    page: str
    open: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    tips: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "title" and "svg" in self.open:
            self.tips.append(data)
        elif data.strip() and "style" not in self.open:
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(self.words)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        """Of each element with this tag."""
        return [found for name, found in self.tags if name == tag]

    def asks_for_nothing(self) -> None:
        """The page needs nothing but itself."""
        for tag, attributes in self.tags:
            assert tag not in ("script", "link", "iframe", "img", "object", "base"), tag
            for name, value in attributes.items():
                assert not name.startswith("on")
                assert name not in ("src", "srcset", "data", "action")
                assert name != "href" or (value or "").startswith("#")
        assert "url(" not in self.page
        assert "@import" not in self.page

    def can_be_used_by_everybody(self) -> None:
        """Pictures say what they show, tables have captions and heads, sections have names."""
        for svg in self.attributes("svg"):
            assert svg["role"] == "img"
            assert len(svg["aria-label"] or "") > 20
        count = len(self.attributes("table"))
        assert len([tag for tag, _ in self.tags if tag == "caption"]) == count
        assert all(th.get("scope") == "col" for th in self.attributes("th"))
        ids = [a["id"] for _, a in self.tags if "id" in a]
        assert len(ids) == len(set(ids))
        assert {a["href"] for a in self.attributes("a")} <= {f"#{id}" for id in ids}
        assert self.attributes("html")[0]["lang"] == "en"
