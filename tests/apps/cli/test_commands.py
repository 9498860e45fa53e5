"""The commands on a small project: what they do, what they print, and their JSON documents."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import headwater as hw
from headwater.apps.importing.files import parts
from headwater.apps.settings import Settings
from headwater.core.errors import DataError
from headwater.definitions.loading import load_project
from headwater.log import EmbeddedLog
from tests.apps.cli.conftest import Headwater
from tests.apps.cli.shop import payments, project_text, write_csv
from tests.letters import says

# --- init ---------------------------------------------------------------------------------------------


def test_init_makes_a_project_that_can_be_planned(headwater: Headwater, place: Path) -> None:
    ended = headwater("init", "My bank", "--json")
    assert ended.json == {
        "folder": "My bank",
        "project": "my_bank",
        "files": ["project.py", "README.md", ".gitignore", "transactions.csv"],
    }
    project = load_project(place / "My bank")
    assert project.name == "my_bank"
    sample = pl.read_csv(place / "My bank" / "transactions.csv", try_parse_dates=True)
    assert sample.columns == list(project.streams[0].schema)
    assert sample.filter(purpose="sanction_interest").height > 300  # enough to learn from


def test_init_writes_over_nothing(headwater: Headwater, place: Path) -> None:
    (place / "bank").mkdir()
    (place / "bank" / "notes.txt").touch()
    headwater("init", "bank").fails(
        4,
        """
        a project is started in a new or empty folder
          expected: a folder that does not exist, or is empty
          got:      a folder that holds 1 things
          where:    bank
          do:       choose another folder
        """,
    )
    assert [path.name for path in (place / "bank").iterdir()] == ["notes.txt"]


def test_init_without_a_sample(headwater: Headwater, place: Path) -> None:
    assert headwater("init", "bank", "--no-sample", "--name", "lender").code == 0
    assert sorted(path.name for path in (place / "bank").iterdir()) == [
        ".gitignore",
        "README.md",
        "project.py",
    ]
    assert load_project(place / "bank").name == "lender"


# --- plan ---------------------------------------------------------------------------------------------


def test_plan_shows_what_changed_since_it_was_applied(headwater: Headwater, shop: Path) -> None:
    assert headwater("plan", "--json").json["changes"] is None
    assert headwater("import", "payments.csv").code == 0
    first = headwater("plan", "--json").json
    assert first["changes"] == []
    (shop / "project.py").write_text(project_text(over='["7d", "14d"]'), encoding="utf-8")
    second = headwater("plan", "--json").json
    assert [change["text"] for change in second["changes"]] == [
        "models.risk.inputs: n_7d, n_30d, spent_30d, amount -> n_7d, n_14d, spent_30d, amount",
        "views.behaviour.features.n.over: 7d, 30d -> 7d, 14d",
    ]
    assert second["applied_hash"] == first["hash"] != second["hash"]
    assert second["views"]["behaviour"] != first["views"]["behaviour"]
    assert "2 changes since" in headwater("plan").out


@pytest.mark.usefixtures("shop")
def test_plan_for_people(headwater: Headwater) -> None:
    ended = headwater("plan")
    assert ended.code == 0
    for told in (
        "project shop",
        "personal",
        "n_30d",
        "happens in payments within 10d",
        "calm from 0, watch from 0.3",
    ):
        assert told in ended.out
    assert "not applied yet" in ended.out


def test_a_damaged_note_of_the_definitions(headwater: Headwater, shop: Path) -> None:
    (shop / ".headwater").mkdir()
    (shop / ".headwater" / "definition.json").write_text('{"hash": "0", "definition": {}}', encoding="utf-8")
    headwater("plan").fails(
        5,
        """
        the note of the definitions in force is damaged
          expected: the definitions and their hash, as JSON
          where:    .headwater/definition.json
          do:       delete the file; the next import or training writes it anew
        """,
    )


# --- import and log -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_import_takes_every_kind_alike(headwater: Headwater, shop: Path, ending: str) -> None:
    frame = payments()
    if ending == "parquet":
        frame.write_parquet(shop / "payments.parquet")
    elif ending == "ndjson":
        frame.write_ndjson(shop / "payments.ndjson")
    ended = headwater("import", f"payments=payments.{ending}", "--json")
    assert ended.json["files"] == [
        {
            "stream": "payments",
            "file": f"payments.{ending}",
            "received": len(frame),
            "accepted": len(frame),
            "duplicates": 0,
            "behind": 0,
            "refused": {},
        }
    ]
    with EmbeddedLog.open(shop / ".headwater" / "events.log", writer=False) as log:
        (batch,) = log.scan()
        assert batch.frame.equals(frame.cast(pl.Schema(load_project(shop).streams[0].schema)))
        assert (batch.arrival == batch.time).all()


@pytest.mark.usefixtures("trained")
def test_import_again_changes_nothing(headwater: Headwater) -> None:
    (file,) = headwater("import", "payments.csv", "--json").json["files"]
    assert (file["accepted"], file["duplicates"]) == (0, 900)
    assert "known" in headwater("import", "payments.csv").out


def test_import_renames_and_drops(headwater: Headwater, shop: Path) -> None:
    frame = payments().rename({"who": "customer", "time": "paid at"}).with_columns(extra=pl.lit(1))
    write_csv(frame, shop / "p.csv")
    options = ["--map", "who=customer", "--map", "payments.time=paid at", "--ignore-extra"]
    assert headwater("import", "p.csv", *options, "--json").json["events"] == len(frame)


def test_import_reads_other_separators(headwater: Headwater, shop: Path) -> None:
    payments().write_csv(shop / "p.csv", separator=";", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    assert headwater("import", "p.csv", "--separator", ";", "--json").json["events"] == 900


def test_import_takes_arrivals(headwater: Headwater, shop: Path) -> None:
    frame = payments().with_columns(came=pl.col("time") + pl.duration(hours=3))
    frame.write_parquet(shop / "p.parquet")
    assert headwater("import", "p.parquet", "--arrival", "came").code == 0
    with EmbeddedLog.open(shop / ".headwater" / "events.log", writer=False) as log:
        (batch,) = log.scan()
        assert (batch.arrival - batch.time == 3 * 3_600_000_000).all()


def test_events_behind_the_end_of_the_log_are_told(headwater: Headwater, shop: Path) -> None:
    frame = payments()
    write_csv(frame[400:], shop / "late.csv")
    write_csv(frame[:400], shop / "early.csv")
    assert headwater("import", "late.csv").code == 0
    assert "400 events are older than what the log held" in headwater("import", "early.csv").out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["visits=payments.csv"], "the project has no stream 'visits'; it has payments"),
        (["payments.csv", "--stream", "x"], "the project has no stream 'x'; it has payments"),
        (["payments.csv", "--map", "who"], "--map takes column=name, not 'who'"),
        (["payments.csv", "--map", "x=y"], "--map x=y: no stream of these files has a column 'x'"),
        (["payments.csv", "--separator", ";;"], "--separator takes one character"),
        ([], "Missing argument 'FILES...'."),
    ],
)
def test_import_called_wrongly(headwater: Headwater, shop: Path, arguments: list[str], text: str) -> None:
    ended = headwater("import", *arguments)
    assert (ended.code, ended.err.splitlines()[0]) == (2, text)
    assert not (shop / ".headwater").exists()


@pytest.mark.usefixtures("trained")
def test_log_commands(headwater: Headwater) -> None:
    status = headwater("log", "status", "--json").json
    assert (status["events"], status["streams"][0]["stream"], status["dead_letters"]) == (900, "payments", {})
    verified = headwater("log", "verify", "--json").json
    assert (verified["sound"], verified["events"], list(verified["heads"])) == (True, 900, ["payments"])
    assert headwater("log", "compact", "--json").json == {"segments_before": 1, "segments_after": 1}
    tail = headwater("log", "tail", "-n", "3", "--stream", "payments", "--json").json["events"]
    assert [event["offset"] for event in tail] == [897, 898, 899]
    assert tail[0]["event"]["name"] == "(personal)"
    for command in ("status", "verify", "compact", "tail", "dead-letters"):
        ended = headwater("log", command)
        assert (ended.code, ended.err) == (0, "")


def test_dead_letters_are_removed(headwater: Headwater, shop: Path) -> None:
    write_csv(payments().with_columns(kind=pl.lit("coin")), shop / "p.csv")
    assert headwater("import", "p.csv").code == 0
    assert headwater("log", "dead-letters", "-n", "2", "--json").json["counts"] == {"unknown-category": 900}
    removed = headwater("log", "dead-letters", "--reason", "unknown-category", "--remove", "--json").json
    assert (removed["removed"], removed["counts"]) == (900, {})


# --- features, models -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_features_are_those_of_asof(headwater: Headwater, trained: Path, ending: str) -> None:
    project = load_project(trained)
    spine = payments(seed=9)[:200].select("who", "time", note=pl.lit("kept"))
    write_csv(spine, trained / "spine.csv")
    out = f"found.{ending}"
    assert headwater("features", "spine.csv", "--view", "behaviour", "--out", out).code == 0
    expected = hw.asof(project.views, {"payments": payments()}, spine)
    found = pl.concat(part.frame for part in parts(trained / out))
    types = found.drop("time").schema
    assert found.drop("time").equals(expected.drop("time").cast(types))
    assert sorted(path.name for path in trained.glob("found*")) == [out]


def test_features_for_people(headwater: Headwater, trained: Path) -> None:
    write_csv(payments()[:30].select("who", "time"), trained / "spine.csv")
    ended = headwater("features", "spine.csv")
    assert ended.out.splitlines()[0].split() == ["who", "time", "n_7d", "n_30d", "spent_30d", "amount"]
    assert ended.err == "the first 20 of 30 rows; --out FILE writes all\n"


def test_train_tells_what_it_did(
    headwater: Headwater, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained}/elsewhere.db")
    told = headwater("train", "risk", "--bootstrap", "10", "--test-share", "0.4", "--json").json
    assert told["version"]["aliases"] == ["champion"]  # a registry of its own
    assert told["registry"].endswith("elsewhere.db")
    assert told["rows"]["gap"] == "10d"
    value, low, high = told["evaluation"]["figures"]["roc_auc"]
    assert 0.5 < low <= value <= high <= 1.0
    assert (trained / "elsewhere.db").exists()


@pytest.mark.usefixtures("trained")
def test_train_for_people(headwater: Headwater) -> None:
    ended = headwater("train", "--bootstrap", "10", "--no-register")
    for told in ("roc auc", "Bands of the policy", "What moved the score most", "Nothing was registered."):
        assert told in ended.out


@pytest.mark.usefixtures("trained")
def test_evaluate(headwater: Headwater) -> None:
    told = headwater("evaluate", "--from", "2026-04-01", "--bootstrap", "0", "--json").json
    assert told["version"]["number"] == 1
    assert told["from"] >= "2026-04-01"
    assert told["seen"] == told["evaluation"]["rows"] > 0
    assert "it may have learned from them" in headwater("evaluate", "--bootstrap", "0").err


@pytest.mark.usefixtures("trained")
def test_score_and_explain_agree(headwater: Headwater) -> None:
    scored = headwater("score", "--at", "newest", "--json").json
    assert len(scored["scores"]) == 30
    assert (scored["events_seen"], scored["unknown"]) == (900, 0)
    highest = scored["scores"][0]
    assert highest["band"] == "watch"
    told = headwater("explain", "--key", str(highest["entity"]), "--at", "newest", "--json").json
    assert (told["score"], told["band"], told["entity"]) == (highest["score"], "watch", highest["entity"])
    assert told["at"] == scored["at"]
    assert 1 <= len(told["reasons"]) <= 4
    texts = [reason["text"] for reason in told["reasons"]]
    assert len(texts) == len(set(texts))
    total = told["base"] + sum(part["contribution"] for part in told["contributions"])
    assert told["space"] == "log-odds"
    assert 1 / (1 + 2.718281828459045**-total) == pytest.approx(told["score"])


def test_a_past_score_knows_nothing_of_the_future(headwater: Headwater, trained: Path) -> None:
    past = headwater("score", "--at", "2026-02-01T00:00:00Z", "--json").json
    assert past["events_seen"] < 900
    (trained / ".headwater" / "events.log").unlink()
    early = payments().filter(pl.col("time") <= pl.datetime(2026, 2, 1, time_zone="UTC"))
    write_csv(early, trained / "early.csv")
    assert headwater("import", "early.csv").code == 0
    assert headwater("score", "--at", "2026-02-01", "--json").json == past


@pytest.mark.usefixtures("trained")
def test_score_for_people(headwater: Headwater) -> None:
    ended = headwater("score", "--limit", "3")
    assert "The highest 3 of 30." in ended.out
    assert "`--at newest` looks at that moment" in ended.err
    ended = headwater("score", "--key", "999", "--at", "newest")
    assert "scored as new" in ended.err
    ended = headwater("explain", "--key", "29", "--at", "newest")
    assert "who 29 has a score of" in ended.out
    assert "1. " in ended.out


def test_a_personal_key_is_masked(headwater: Headwater, trained: Path) -> None:
    text = project_text().replace('personal=["name"]', 'personal=["who"]')
    (trained / "project.py").write_text(text, encoding="utf-8")
    (trained / ".headwater" / "events.log").unlink()
    assert headwater("import", "payments.csv").code == 0
    assert headwater("train", "--bootstrap", "0").code == 0
    scored = headwater("score", "--at", "newest", "--version", "2", "--json").json
    assert {one["entity"] for one in scored["scores"]} == {"(personal)"}
    Path("spine.csv").write_text("who,time\n3,2026-02-01T00:00:00Z\n", encoding="utf-8")
    (row,) = headwater("features", "spine.csv", "--json").json["data"]
    assert (row["who"], row["n_30d"] > 0) == ("(personal)", True)
    (row,) = headwater("features", "spine.csv", "--json", "--show-personal").json["data"]
    assert row["who"] == 3
    shown = headwater("score", "--at", "newest", "--version", "2", "--json", "--show-personal").json
    assert {one["entity"] for one in shown["scores"]} == set(range(30))
    assert "who (personal) has a score" in headwater("explain", "--key", "3", "--version", "2").out


# --- settings -----------------------------------------------------------------------------------------------


def test_options_win_over_the_environment_and_that_over_defaults() -> None:
    assert Settings.read({}) == Settings(Path("project.py"), Path(".headwater"))
    environ = {"HEADWATER_PROJECT": "a/p.py", "HEADWATER_HOME": "d", "MLFLOW_TRACKING_URI": "http://host"}
    assert Settings.read(environ) == Settings(Path("a/p.py"), Path("d"), "http://host")
    given = Settings.read(environ, project="b/q.py", data="e")
    assert given == Settings(Path("b/q.py"), Path("e"), "http://host")
    assert Settings.read({"HEADWATER_LOG_BYTES": "1000"}).log_bytes == 1000


def test_a_project_may_be_named_by_its_folder(
    headwater: Headwater, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop.parent)
    ended = headwater("import", str(shop / "payments.csv"), "--project", str(shop), "--json")
    assert ended.json["log"] == str(shop / ".headwater" / "events.log")


def test_a_number_that_is_none() -> None:
    with says(
        DataError,
        """
        the setting HEADWATER_LOG_BYTES cannot be read
          expected: a whole number
          got:      '1e9'
          do:       correct the environment variable, or unset it
        """,
    ):
        Settings.read({"HEADWATER_LOG_BYTES": "1e9"})
