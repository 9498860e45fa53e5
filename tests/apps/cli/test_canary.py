"""``headwater canary``: a share declared, shown and stopped, and what it refuses."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from headwater.apps.archive import Archive
from headwater.apps.cli.canary import read_share
from headwater.apps.cli.workplace import Workplace
from headwater.apps.http.following import Following
from headwater.apps.http.shelf import Shelf, scorings
from headwater.apps.registries import versions_of
from headwater.apps.settings import Settings
from headwater.core.clock import SystemClock
from headwater.core.errors import DataError
from headwater.serving.service import Service
from headwater.store.folder import DataFolder
from tests.apps.cli.conftest import Headwater
from tests.apps.cli.test_loop import lender as lender
from tests.letters import says

COUNT = 40


def decided() -> list[str]:
    """Decisions of a service on the present folder; the seal of the version that made each."""
    work = Workplace(Settings.read({}), SystemClock())
    registry, data = versions_of(work.settings, work.project), DataFolder(work.settings.data)
    shelf, watch = Shelf(registry, work.project), time.perf_counter_ns
    champions = scorings(shelf.champions())
    with Service.open(work.project, data, champions, clock=work.clock.now, stopwatch=watch) as service:
        archive = Archive(work.project, registry, service.definitions)
        Following(service, registry, shelf, archive).look()
        request = {"amount": 120.0, "channel": "web"}
        made = [service.decide(None, {"who": who}, request).decision for who in range(COUNT)]
    return [one.model_digest for one in made]


def test_declared_shown_and_stopped(lender: Path, headwater: Headwater) -> None:
    assert lender.is_dir()
    assert headwater("retrain", "--as-of", "2026-03-20").code == 0
    assert headwater("promote", "--force", "--why", "the first one").code == 0
    none = headwater("canary", "--share", "5%")
    assert none.code == 6
    assert none.err.startswith("risk has no challenger\n")
    assert headwater("canary").out == "risk has no canary: the champion decides alone.\n"
    assert headwater("retrain").code == 0
    declared = headwater("canary", "risk", "--share", "5%", "--why", "one in 20")
    assert declared.out.startswith(
        "risk version 2 answers 5 % of the decisions from now on; version 1 the others.\n"
    )
    assert " since " in headwater("canary").out
    shown = headwater("canary", "risk", "--json").json
    assert (shown["canary"]["share"], [side["who"] for side in shown["sides"]]) == (
        0.05,
        ["champion", "canary"],
    )
    more = headwater("canary", "risk", "--share", "0.2", "--json").json
    assert (more["before"], more["canary"]["started"]) == (0.05, shown["canary"]["started"])
    versions = decided()  # as the server does, which finds the canary in the registry
    assert set(versions) == {shown["canary"]["champion"], shown["canary"]["digest"]}
    sides = headwater("canary", "--json").json["sides"]
    assert [side["decisions"] for side in sides] == [versions.count(side["digest"]) for side in sides]
    assert "champion's share" in headwater("canary").out
    assert headwater("canary", "--stop", "--why", "seen enough", "--json").json["canary"] is None
    proven = headwater("audit", "verify", "--replay", "all", "--json").json
    assert (proven["sound"], proven["replay"]["same"], proven["replay"]["gone"]) == (True, COUNT, 0)
    trail = headwater("audit", "trail", "--action", "model", "--json").json["entries"]
    told = [(one["action"], one["details"]["why"]) for one in trail if "canary" in one["action"]]
    assert told == [
        ("model.canary_end", "seen enough"),
        ("model.canary", None),
        ("model.canary", "one in 20"),
    ]
    for odd in (("--share", "5%", "--stop"), ("--why", "x")):
        assert headwater("canary", *odd).code == 2


@pytest.mark.parametrize("text", ["5", "1", "x%", "5%%", "", "nan", "5% of it"])
def test_a_share_that_cannot_be_read(text: str) -> None:
    with says(
        DataError,
        f"""
        the share cannot be read
          expected: a share such as 5% or 0.05
          got:      {text!r}
          where:    --share
          do:       write it with the sign, such as 5%
        """,
    ):
        read_share(text)
    with pytest.raises(DataError, match="no such share"):
        read_share("101%")
