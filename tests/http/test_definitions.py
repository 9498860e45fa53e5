"""Definitions of the past over HTTP: listed, replayed with, backtested with; named by hash, never sent."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.apps.archive import Archive
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.http.app import create_app
from headwater.apps.http.shelf import Attic, Shelf, scorings
from headwater.core.instant import DAY
from headwater.definitions.compile import content_hash
from headwater.definitions.loading import load_project
from headwater.definitions.project import Project
from headwater.serving.service import Service
from headwater.store.folder import DataFolder
from headwater.testing import ManualClock
from headwater.training.train import open_registry
from tests.apps.cli.shop import payments, project_text, write_csv
from tests.http.house import listening

NOW = 1_767_225_600_000_000 + 121 * DAY
FIRST = project_text()
STRICT = FIRST.replace('"watch": 0.3', '"watch": 0.0000001')
CARDS = FIRST.replace(
    'hw.sum("amount", over="30d")', 'hw.sum("amount", where=pl.col("kind") == "card", over="30d")'
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's past: trained, then trained again from other definitions that the server never served."""
    made = tmp_path_factory.mktemp("shop")
    (made / "project.py").write_text(FIRST, encoding="utf-8")
    (made / "cards.py").write_text(CARDS, encoding="utf-8")
    write_csv(payments(), made / "payments.csv")
    at = ["--data", str(made / ".headwater"), "--project"]
    assert run(cli, ["import", str(made / "payments.csv"), *at, str(made)]) == 0
    assert run(cli, ["train", "--bootstrap", "5", *at, str(made)]) == 0
    assert run(cli, ["train", "--bootstrap", "5", *at, str(made / "cards.py")]) == 0
    return made


@contextmanager
def opened(folder: Path) -> Iterator[httpx.Client]:
    """The API of the project; ``/v1/reload`` reads its file again."""
    project, data = load_project(folder), DataFolder(folder / ".headwater")
    registry = open_registry(data.path, project)
    with Service.open(
        project,
        data,
        scorings(Shelf(registry, project).champions()),
        clock=ManualClock(NOW).now,
        stopwatch=time.perf_counter_ns,
    ) as service:
        archive = Archive(project, registry, service.definitions)

        def reload() -> None:
            fresh = load_project(folder)
            service.swap(scorings(Shelf(registry, fresh).champions()), fresh)
            archive.renew(fresh)

        app = create_app(service, time.perf_counter_ns, reload=reload, past=Attic(archive))
        with listening(app) as url, httpx.Client(base_url=url) as http:
            yield http


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[httpx.Client]:
    """Two decisions: d1 by the first policy, d2 by the strict one, which is in force now."""
    with opened(folder) as made:
        assert decide(made) == "d1"
        (folder / "project.py").write_text(STRICT, encoding="utf-8")
        assert made.post("/v1/reload").json()["changed"] == ["policy risk_policy"]
        assert decide(made) == "d2"
        yield made


def decide(api: httpx.Client) -> str:
    return str(api.post("/v1/decisions", json={"keys": {"who": 7}}).json()["decision_id"])


def project(text: str, folder: Path) -> Project:
    (folder / "one.py").write_text(text, encoding="utf-8")
    return load_project(folder / "one.py")


def replayed(api: httpx.Client, id: str, **other: str) -> Any:
    answer = api.post(f"/v1/decisions/{id}/replay", json={"with": other})
    assert answer.status_code == 200, answer.text
    return answer.json()


def causes(found: Any) -> list[str]:
    return list(dict.fromkeys(one["cause"] for one in found["differences"]))


def test_both_replay_as_they_were_made(api: httpx.Client) -> None:
    assert [replayed(api, id)["same"] for id in ("d1", "d2")] == [True, True]


def test_what_was_in_force_is_listed(api: httpx.Client, tmp_path: Path) -> None:
    listed = api.get("/v1/definitions").json()["definitions"]
    first, strict, cards = (project(text, tmp_path) for text in (FIRST, STRICT, CARDS))
    wanted = {
        content_hash(first): ("project", False),
        content_hash(first.policies[0]): ("policy", False),
        content_hash(first.models[0]): ("model", True),
        content_hash(cards): ("project", False),
        content_hash(cards.models[0]): ("model", False),
        content_hash(strict): ("project", True),
        content_hash(strict.policies[0]): ("policy", True),
    }
    assert {one["hash"]: (one["kind"], one["serving"]) for one in listed} == wanted
    one = api.get(f"/v1/definitions/{content_hash(first)[:12]}").json()
    assert one["definition"]["policies"]["risk_policy"]["bands"] == {"calm": 0.0, "watch": 0.3}
    assert api.get("/v1/definitions/00000000").status_code == 404
    assert api.get("/v1/definitions/0").status_code == 422


def test_an_old_decision_with_what_is_in_force(api: httpx.Client) -> None:
    found = replayed(api, "d1", definitions="current")
    assert causes(found) == ["policy"]
    (words,) = found["words"]
    assert words == "Policy: the band is 'watch', not 'calm' for the same score."


def test_a_new_decision_with_what_was_in_force(api: httpx.Client, tmp_path: Path) -> None:
    first = project(FIRST, tmp_path)
    for other in (
        {"definitions": content_hash(first)},
        {"definitions": content_hash(first)[:8]},
        {"policy": content_hash(first.policies[0])},
    ):
        found = replayed(api, "d2", **other)
        assert (causes(found), found["band"]) == (["policy"], "calm")
    assert replayed(api, "d2", definitions=content_hash(first.models[0]))["same"]


def test_other_features_and_their_model_in_the_stated_order(api: httpx.Client, tmp_path: Path) -> None:
    cards = project(CARDS, tmp_path)
    found = replayed(api, "d2", definitions=content_hash(cards))
    subjects = [words.partition(",")[0].partition(":")[0] for words in found["words"]]
    assert subjects == ["Definition", "Model", "Policy"]
    alone = replayed(api, "d2", definitions=content_hash(cards.models[0]), model="1")
    assert causes(alone) == ["definition"]
    assert "spent_30d" in alone["words"][0]


def test_a_backtest_with_definitions(api: httpx.Client, tmp_path: Path) -> None:
    job = api.post(
        "/v1/backtests", json={"with": {"definitions": content_hash(project(FIRST, tmp_path))}}
    ).json()
    while job["state"] in ("waiting", "running"):
        job = api.get(f"/v1/backtests/{job['id']}").json()
    assert job["result"]["causes"] == {"policy": 1}
    assert (job["result"]["same"], job["result"]["changed"]) == (1, 1)
    assert api.post("/v1/backtests", json={"with": {"definitions": "0" * 64}}).status_code == 422


def test_nothing_in_a_request_is_run(api: httpx.Client, tmp_path: Path, folder: Path) -> None:
    mark = tmp_path / "mark"
    trap = tmp_path / "trap.py"
    trap.write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n", encoding="utf-8")
    policy = content_hash(project(FIRST, tmp_path).policies[0])
    for odd in (
        str(trap)[-64:],
        "trap.py",
        "project.py",
        "../../etc/passwd",
        "' OR 1=1 --",
        policy,
        "0" * 64,
    ):
        answer = api.post("/v1/decisions/d1/replay", json={"with": {"definitions": odd}})
        assert (answer.status_code, answer.json()["code"]) == (422, "data"), odd
        assert answer.headers["content-type"] == "application/problem+json"
    for value in ({"kind": "project"}, ["x"], 5, "x" * 65):
        answer = api.post("/v1/decisions/d1/replay", json={"with": {"definitions": value}})
        assert answer.status_code == 422
    assert not mark.exists()
    assert folder.is_dir()


def test_the_answer_to_what_is_no_definition(api: httpx.Client, tmp_path: Path) -> None:
    first = project(FIRST, tmp_path)
    told = api.post(
        "/v1/decisions/d1/replay", json={"with": {"definitions": content_hash(first.policies[0])}}
    ).json()["problems"]
    assert told == [
        {
            "what": "no such definitions are kept",
            "expected": "the hash of a project or a model, its first 8 digits or more, or current",
            "got": "a policy, risk_policy",
            "do": "replay with the policy of this hash",
        }
    ]


def test_a_tampered_definition_is_told(api: httpx.Client, folder: Path, tmp_path: Path) -> None:
    """Last in the file's order of meaning, but in any order: the damage is mended again."""
    first = project(FIRST, tmp_path)
    digest = content_hash(first.policies[0])
    before = json.dumps(0.3)
    file = DataFolder(folder / ".headwater").definitions

    def change(old: str, new: str) -> None:
        connection = sqlite3.connect(file)
        connection.execute("DROP TRIGGER IF EXISTS definitions_stay")
        connection.execute(
            "UPDATE definitions SET text = replace(text, ?, ?) WHERE hash = ?", (old, new, digest)
        )
        connection.commit()
        connection.close()

    change(before, "0.4")
    try:
        answer = api.post("/v1/decisions/d2/replay", json={"with": {"policy": digest}})
        assert (answer.status_code, answer.json()["code"]) == (503, "store")
        assert answer.json()["title"] == "a kept definition is not the one that was written"
        assert api.get("/v1/definitions").status_code == 503
    finally:
        change("0.4", before)
    assert api.get("/v1/definitions").status_code == 200
