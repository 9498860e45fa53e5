"""A document as one HTML page that needs nothing else: style and pictures inside, no script, no request.

Light or dark as the reader has it, and light on paper. Called by ``apps.reporting`` and ``training.card``;
the template lies beside this module.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from headwater.paper.chart import COLOURS
from headwater.paper.document import Document, Picture, Table, Tiles, Words

_DARK = {
    "ink": "#e6eaee",
    "dim": "#9aa6b2",
    "grid": "#313a44",
    "paper": "#14191f",
    "one": "#5fb3cf",
    "two": "#e08a62",
    "three": "#9a9de0",
    "four": "#b7bd62",
    "five": "#cf83b6",
    "six": "#8fb39b",
    "good": "#58a87a",
    "fair": "#a3b873",
    "watch": "#dcae4a",
    "rough": "#d98a54",
    "alarm": "#d9605b",
}
_ENVIRONMENT = Environment(
    loader=PackageLoader("headwater.paper", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def page(document: Document) -> str:
    """The page; the same document gives the same text."""
    names = {Words: "words", Tiles: "tiles", Table: "table", Picture: "picture"}
    return _ENVIRONMENT.get_template("page.html.j2").render(
        document=document,
        kind=lambda block: names[type(block)],
        raw=Markup,  # of pictures alone, which ``chart`` has escaped
        light=COLOURS,
        dark=_DARK,
    )
