"""``/docs``: whole without a network, and with no more rights in a browser than it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from headwater.apps.access.door import Access
from headwater.apps.access.settings import AccessSettings
from headwater.apps.http.reference import PATHS
from headwater.store.credentials import CredentialStore, Role
from headwater.testing import ManualClock
from tests.http.house import serving


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Somebody without a credential, at a server that has keys."""
    folder = tmp_path_factory.mktemp("bank")
    with CredentialStore.open(folder / "access.db") as store:
        store.create("k", [Role.ADMIN], now=0, actor="test")
    clock = ManualClock(1)
    with (
        Access.open(
            AccessSettings.read({}), folder / "access.db", host="127.0.0.1", clock=clock, stopwatch=clock.now
        ) as access,
        serving(folder, around={"access": access}) as house,
    ):
        yield house.http


class Page(HTMLParser):
    """What a page fetches, and what it would run by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.inline: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.fetched += [
            one for one in (found.get("src"), found.get("href") if tag == "link" else None) if one
        ]
        self.inline += [name for name in found if name.startswith("on") or name == "style"]
        self._in_script = tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag not in ("script", "style")


def test_everything_that_the_page_needs_is_here(http: httpx.Client) -> None:
    answer = http.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "<title>Headwater: bank</title>" in answer.text
    page = Page(answer.text)
    assert {urljoin("/docs", one) for one in page.fetched} == PATHS - {"/docs"}
    kinds = {".css": "text/css", ".js": "text/javascript", ".png": "image/png"}
    for path in PATHS - {"/docs"}:
        file = http.get(path)
        assert (file.status_code, len(file.content) > 50) == (200, True), path
        assert file.headers["content-type"].startswith(kinds[Path(path).suffix])
        assert file.headers["x-content-type-options"] == "nosniff"


def test_the_browser_is_told_to_run_and_fetch_nothing_else(http: httpx.Client) -> None:
    answer = http.get("/docs")
    assert Page(answer.text).inline == []
    (policy,) = answer.headers.get_list("content-security-policy")
    rules = {name: rest for name, _, rest in (one.strip().partition(" ") for one in policy.split(";"))}
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in policy
    assert not re.search(r"https?:", policy)


def test_the_script_shows_this_servers_document(http: httpx.Client) -> None:
    start = http.get("/docs/start.js").text
    (document,) = re.findall(r'url: "([^"]+)"', start)
    assert http.get(urljoin("/docs", document)).json()["info"]["title"] == "Headwater: bank"
    assert "validatorUrl: null" in start  # else it would ask another host about the document


@pytest.mark.parametrize(
    "path", ["/docs/..%2f__init__.py", "/docs/core.py", "/docs/oauth2-redirect", "/redoc"]
)
def test_nothing_else_is_given_out(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 401
