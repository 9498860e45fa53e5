"""Bad input through the command line: each a letter in full and a code, or a counted dead letter."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from tests.apps.cli.conftest import Headwater
from tests.apps.cli.shop import payments, project_text, write_csv

HEADER = "id,who,time,amount,kind,name\n"
GOOD = "1,7,2026-01-01T10:00:00Z,5.0,card,Ada\n"


def imported(headwater: Headwater, text: str | bytes, name: str = "p.csv", *more: str) -> dict[str, int]:
    """What became of the rows of a file: new, and refused by reason."""
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    ended = headwater("import", name, "--json", *more)
    assert ended.code == 0, ended.out
    (file,) = ended.json["files"]
    return {"new": file["accepted"], **file["refused"]}


def letters(headwater: Headwater) -> list[str]:
    return [letter["message"] for letter in headwater("log", "dead-letters", "--json").json["letters"]]


def empty(headwater: Headwater) -> bool:
    """Whether nothing was appended."""
    ended = headwater("log", "status", "--json")
    return ended.code == 5 or (ended.json["events"] == 0 and ended.json["dead_letters"] == {})


# --- Rows: counted dead letters --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason", "message"),
    [
        ("2,7,2026-01-01T10:00:00Z,abc,card,Ada", "wrong-type", "amount has another type: 'abc'"),
        ("2,7,2026-01-01T10:00:00Z,NaN,card,Ada", "not-finite", "amount is NaN or infinite: 'NaN'"),
        ("2,,2026-01-01T10:00:00Z,1.0,card,Ada", "null-key", "who is missing"),
        (",7,2026-01-01T10:00:00Z,1.0,card,Ada", "null-id", "id is missing"),
        ("2,7,,1.0,card,Ada", "null-time", "time is missing"),
        ("2,7,1026-01-01T10:00:00Z,1.0,card,Ada", "time-out-of-range",
         "time is out of range: '1026-01-01T10:00:00Z'"),
        ("2,7,2026-01-01T10:00:00,1.0,card,Ada", "time-without-zone",
         "time has no zone: '2026-01-01T10:00:00'"),
        ("2,7,2026-01-01T10:00:00Z,1.0,coin,Ada", "unknown-category", "kind is an unknown category: 'coin'"),
        ("1,7,2026-01-01T10:00:00Z,6.0,card,Ada", "conflict",
         "the id 1 of stream 'payments' came again with other content in amount"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("shop")
def test_a_row_that_does_not_fit(headwater: Headwater, row: str, reason: str, message: str) -> None:
    assert imported(headwater, HEADER + GOOD + row + "\n") == {"new": 1, reason: 1}
    assert letters(headwater) == [message]
    (letter,) = headwater("log", "dead-letters", "--json").json["letters"]
    assert letter["source"] == "p.csv[1]"
    assert imported(headwater, HEADER + GOOD + row + "\n") == {"new": 0, reason: 1}
    assert len(letters(headwater)) == 1  # the same again adds no letter


def test_an_event_older_than_lateness(headwater: Headwater, shop: Path) -> None:
    (shop / "project.py").write_text(project_text(lateness=', lateness="2d"'), encoding="utf-8")
    text = (
        "id,who,time,amount,kind,name,came\n"
        "1,7,2026-01-01T10:00:00Z,5.0,card,Ada,2026-01-03T10:00:00Z\n"
        "2,7,2026-01-01T09:59:59Z,5.0,card,Ada,2026-01-03T10:00:00Z\n"
    )
    assert imported(headwater, text, "p.csv", "--arrival", "came") == {"new": 1, "too-late": 1}
    assert letters(headwater) == ["time is older than the lateness bound: 2026-01-01T09:59:59Z"]


@pytest.mark.usefixtures("shop")
def test_personal_values_are_masked_everywhere(headwater: Headwater) -> None:
    row = "2,7,2026-01-01T10:00:00Z,abc,card,Grace Hopper\n1,7,2026-01-01T10:00:00Z,6.0,card,Grace Hopper\n"
    imported(headwater, HEADER + GOOD.replace("Ada", "Ada Lovelace") + row)
    for command in (["tail"], ["dead-letters"], ["status"], ["verify"]):
        for form in ([], ["--json"]):
            ended = headwater("log", *command, *form)
            assert "Grace" not in ended.out + ended.err
            assert "Lovelace" not in ended.out + ended.err
    assert "(personal)" in headwater("log", "tail").out
    assert "Grace Hopper" in headwater("log", "dead-letters", "--show-personal", "--json").out


@pytest.mark.usefixtures("shop")
def test_what_looks_like_a_terminal_command_is_shown_not_obeyed(headwater: Headwater) -> None:
    imported(headwater, HEADER + GOOD + "2,7,2026-01-01T10:00:00Z,1.0,\x1b[2J[red]x,Ada\n")
    ended = headwater("log", "dead-letters")
    assert "\x1b" not in ended.out
    assert "\\x1b[2J[red]x" in ended.out


# --- Files: a letter, and nothing is appended --------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "letter"),
    [
        (
            "cut.csv",
            HEADER + GOOD + "2,7,2026-01",
            """
            a row of the file has fewer fields than the header: the file was cut off, or the row is broken
              expected: 6 fields
              got:      3 fields
              where:    cut.csv, row 3
              do:       write or copy the file again; a field that holds the separator must stand in quotes
            """,
        ),
        (
            "cut_in_last_field.csv",
            HEADER + GOOD + "2,7,2026-01-01T10:00:00Z,5.0,card,Gra",
            """
            the last row of the file does not end with a line break: it may have been cut off
              expected: a line break behind each row
              where:    cut_in_last_field.csv, row 3
              do:       write or copy the file again; if it is whole, say --whole
            """,
        ),
        (
            "cut_in_quotes.csv",
            HEADER + GOOD + '2,7,2026-01-01T10:00:00Z,5.0,card,"Gra\n',
            """
            the file ends inside a quoted field: it was cut off, or a quote is not closed
              expected: each quote closed
              where:    cut_in_quotes.csv
              do:       write or copy the file again
            """,
        ),
        (
            "longer.csv",
            HEADER + GOOD + "2,7,2026-01-01T10:00:00Z,5,0,card,Grace\n",
            """
            a row of the file has more fields than the header
              expected: 6 fields
              got:      7 fields
              where:    longer.csv, row 3
              do:       write or copy the file again; a field that holds the separator must stand in quotes
            """,
        ),
        (
            "headless.csv",
            GOOD,
            """
            the file has none of the stream's columns: it has no header, another one, or another separator
              expected: id, who, time, amount, kind, name
              got:      6 columns of other names
              where:    headless.csv
              do:       add the header, or say --separator ';' or --map column=name
            """,
        ),
        (
            "other_header.csv",
            HEADER.replace("amount", "amuont") + GOOD,
            """
            the column 'amount' is missing
              expected: a column 'amount'
              got:      id, who, time, amuont, kind, name
              where:    other_header.csv
              do:       rename 'amuont'
            the column 'amuont' is not declared
              expected: one of id, who, time, amount, kind, name
              got:      'amuont'
              where:    other_header.csv
              do:       did you mean 'amount'?
            """,
        ),
        (
            "twice.csv",
            "id,who,time,amount,kind,name,who\n",
            """
            the header of the file names a column twice
              expected: each column once
              got:      'who'
              where:    twice.csv
              do:       rename or drop one of them
            """,
        ),
        (
            "latin.csv",
            (HEADER + GOOD + GOOD.replace("Ada", "André").replace("1,7", "2,7")).encode("latin-1"),
            """
            the file is not text in UTF-8
              expected: CSV in UTF-8
              got:      other bytes in row 3
              where:    latin.csv
              do:       convert it, for example with `iconv -t UTF-8`, or rename it if it is of another kind
            """,
        ),
        (
            "wide.csv",
            (HEADER + GOOD).encode("utf-16"),
            """
            the file is not text in UTF-8
              expected: CSV in UTF-8
              got:      UTF-16
              where:    wide.csv
              do:       convert it, for example with `iconv -t UTF-8`, or rename it if it is of another kind
            """,
        ),
        (
            "empty.csv",
            "",
            """
            the file is empty
              where:    empty.csv
              do:       look at how it was written or copied
            """,
        ),
        (
            "text.parquet",
            HEADER + GOOD,
            """
            the file cannot be read as Parquet: it is damaged, was cut off, or is of another kind
              expected: a whole Parquet file
              got:      ArrowInvalid
              where:    text.parquet
              do:       write or copy the file again
            """,
        ),
        (
            "cut.ndjson",
            '{"id": 1, "who": 7}\n{"id": 2, "wh',
            """
            the file ends in the middle of an event: it was cut off
              expected: one JSON object in each line
              where:    cut.ndjson, line 2
              do:       write or copy the file again
            """,
        ),
        (
            "broken.ndjson",
            '{"id": 1, who: 7}\n{"id": 2}\n',
            """
            a line is not JSON
              expected: one JSON object in each line
              where:    broken.ndjson, line 1
              do:       mend this line
            """,
        ),
        (
            "list.ndjson",
            "[1, 2]\n",
            """
            a line is not an event
              expected: one JSON object in each line
              got:      list
              where:    list.ndjson, line 1
              do:       write each event as an object on a line of its own
            """,
        ),
        (
            "events.xlsx",
            "x",
            """
            the kind of the file is not known
              expected: a name that ends in .csv, .parquet, .ndjson, .jsonl
              got:      events.xlsx
              where:    events.xlsx
              do:       convert the file, or rename it if it is one of these
            """,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 25 else "",
)  # fmt: skip
def test_a_file_that_cannot_be_taken(
    headwater: Headwater, shop: Path, name: str, content: str | bytes, letter: str
) -> None:
    (shop / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    headwater("import", "payments.csv", name).fails(4, letter)  # the good file comes first
    assert empty(headwater)


@pytest.mark.usefixtures("shop")
def test_a_file_that_is_not_there(headwater: Headwater) -> None:
    headwater("import", "nothing.csv").fails(
        4,
        """
        the file does not exist
          where:    nothing.csv
          do:       look at the path
        """,
    )
    headwater("import", "payments=.", "--json").json["error"]["code"] = "data"


@pytest.mark.usefixtures("shop")
def test_a_parquet_column_of_another_type(headwater: Headwater) -> None:
    payments().with_columns(amount=pl.lit("x")).drop("kind").with_columns(kind=pl.lit(3)).write_parquet(
        "p.parquet"
    )
    headwater("import", "p.parquet").fails(
        4,
        """
        the column 'amount' has the wrong type
          expected: Float64
          got:      String
          where:    p.parquet.amount
          do:       convert the column before it comes here
        the column 'kind' has the wrong type
          expected: Enum(categories=['card', 'cash'])
          got:      Int32
          where:    p.parquet.kind
          do:       convert the column before it comes here
        """,
    )
    assert empty(headwater)


@pytest.mark.usefixtures("shop")
def test_parquet_times_without_a_zone(headwater: Headwater) -> None:
    payments().with_columns(pl.col("time").dt.replace_time_zone(None)).write_parquet("p.parquet")
    headwater("import", "p.parquet").fails(
        4,
        """
        the times of the column 'time' have no zone
          expected: Datetime(time_unit='us', time_zone='UTC')
          got:      Datetime(time_unit='us', time_zone=None)
          where:    p.parquet.time
          do:       say which zone they are in, for example with dt.replace_time_zone('UTC')
        """,
    )


@pytest.mark.usefixtures("shop")
def test_an_arrival_column_that_holds_no_times(headwater: Headwater) -> None:
    headwater("import", "payments.csv", "--arrival", "name").fails(
        4,
        """
        the arrival column does not hold a time with a zone in each row
          expected: times such as 2026-01-31T12:00:00Z, without nulls
          got:      other values
          where:    payments.csv.name
          do:       mend the column, or leave --arrival out if events were known when they happened
        """,
    )
    headwater("import", "payments.csv", "--arrival", "came").fails(
        4,
        """
        the file has no column 'came'
          expected: a column 'came', as the call names it
          got:      id, who, time, amount, kind, name
          where:    payments.csv
          do:       correct --map or --arrival
        """,
    )


def test_the_same_file_twice_into_a_stream_without_ids(headwater: Headwater, shop: Path) -> None:
    (shop / "project.py").write_text(project_text(id=""), encoding="utf-8")
    assert headwater("import", "payments.csv").code == 0
    headwater("import", "payments.csv").fails(
        4,
        """
        the file was imported before, and events of payments have no id
          expected: a new file, or a stream with an id
          got:      payments.csv
          where:    payments.csv
          do:       declare id= in the stream; or say --again if the events shall count twice
        """,
    )
    before = headwater("log", "status", "--json").json["events"]
    assert headwater("import", "payments.csv", "--again").code == 0
    assert headwater("log", "status", "--json").json["events"] == 2 * before


# --- The project file ---------------------------------------------------------------------------------


def test_a_project_file_with_a_syntax_error(headwater: Headwater, shop: Path) -> None:
    (shop / "project.py").write_text("import headwater as hw\nx = (1,\n", encoding="utf-8")
    letter = """
        the project file is not valid Python
          expected: Python source in UTF-8
          got:      '(' was never closed: x = (1,
          where:    project.py:2
          do:       mend this line
        """
    for command in (["plan"], ["import", "payments.csv"], ["train"], ["score"], ["explain", "--key", "1"]):
        headwater(*command).fails(3, letter)
    assert not (shop / ".headwater").exists()


@pytest.mark.usefixtures("place")
def test_no_project_file(headwater: Headwater) -> None:
    headwater("plan").fails(
        3,
        """
        the project file cannot be read
          expected: a Python file that makes an hw.Project
          got:      No such file or directory
          where:    project.py
          do:       check the path, or write a new project with `headwater init`
        """,
    )


def test_a_project_with_mistakes_names_them_all(headwater: Headwater, shop: Path) -> None:
    (shop / "project.py").write_text(
        project_text(over='"7 days"').replace('key="who"', 'key="whoo"'), encoding="utf-8"
    )
    headwater("plan").fails(
        3,
        """
        the column 'whoo' is not in the schema of payments
          expected: one of id, who, time, amount, kind, name
          got:      'whoo'
          where:    behaviour.key
          do:       did you mean 'who'?
        a span of time cannot be read
          expected: a number and a unit: us, ms, s, m, h, d or w, such as '30d' or '1h30m'
          got:      '7 days'
          where:    behaviour.features.n.over
          do:       write the span with its unit
        """,
    )


def test_a_stream_declared_otherwise_than_its_events(headwater: Headwater, trained: Path) -> None:
    text = project_text().replace('"amount": pl.Float64', '"amount": pl.Int64')
    (trained / "project.py").write_text(text, encoding="utf-8")
    ended = headwater("import", "payments.csv")
    assert (ended.code, ended.out) == (5, "")
    assert "amount" in ended.err


# --- Models ---------------------------------------------------------------------------------------------


def test_an_estimator_without_predict_proba(headwater: Headwater, trained: Path) -> None:
    (trained / "project.py").write_text(project_text(estimator="Perceptron()"), encoding="utf-8")
    headwater("train").fails(
        3,
        """
        the estimator cannot be fitted to give probabilities
          expected: an object with fit and predict_proba
          got:      Perceptron()
          where:    risk.estimator
          do:       choose a classifier that gives probabilities, or wrap it in a calibrator
        """,
    )


def test_a_label_with_one_class(headwater: Headwater, trained: Path) -> None:
    (trained / "project.py").write_text(project_text(limit="1e9"), encoding="utf-8")
    headwater("train").fails(
        6,
        """
        the label has one class only, so there is nothing to learn
          expected: positives and negatives among the training rows
          got:      0 positives in 415 rows
          do:       look at the label's condition, or train over a longer time
        """,
    )


@pytest.mark.usefixtures("shop")
def test_nothing_to_learn_from(headwater: Headwater) -> None:
    headwater("train").fails(
        5,
        """
        there is no event log yet
          where:    .headwater/events.log
          do:       bring events in first: headwater import stream=file; or name the folder with --data
        """,
    )
    imported(headwater, HEADER)
    headwater("train").fails(
        6,
        """
        there are no events to learn from
          expected: events of payments
          got:      none
          where:    risk
          do:       import history first
        """,
    )


@pytest.mark.usefixtures("trained")
def test_models_that_are_none(headwater: Headwater) -> None:
    headwater("train", "rsik").fails(
        6,
        """
        the project has no model 'rsik'
          expected: one of risk
          got:      'rsik'
          where:    shop
          do:       did you mean 'risk'?
        """,
    )


def test_versions_that_are_none(headwater: Headwater, trained: Path) -> None:
    headwater("score", "--version", "9").fails(
        6,
        f"""
        the model 'risk' has no such version
          expected: one of the versions 1 (champion)
          got:      9
          where:    sqlite:///{trained}/.headwater/mlflow.db
          do:       name one of them
        """,
    )


def test_a_model_of_another_definition(headwater: Headwater, trained: Path) -> None:
    (trained / "project.py").write_text(project_text(over='["7d", "14d"]'), encoding="utf-8")
    ended = headwater("score")
    assert (ended.code, ended.out) == (6, "")
    assert re.sub(r"[0-9a-f]{64}", "HASH", ended.err) == (
        "the model risk was trained from another definition\n"
        "  expected: definition HASH\n"
        "  got:      definition HASH\n"
        "  do:       train it again, or go back to the definition that it was trained from\n"
    )


# --- Spines, keys, times ----------------------------------------------------------------------------------


def test_unknown_keys_have_the_features_of_the_empty_window(headwater: Headwater, trained: Path) -> None:
    (trained / "s.csv").write_text(
        "who,time\n3,2026-03-01T00:00:00Z\n999,2026-03-01T00:00:00Z\n", encoding="utf-8"
    )
    ended = headwater("features", "s.csv", "--json")
    assert ended.code == 0
    assert ended.json["data"][1] == {
        "who": 999, "time": "2026-03-01T00:00:00Z", "n_7d": 0, "n_30d": 0, "spent_30d": 0.0, "amount": None,
    }  # fmt: skip
    assert ended.json["data"][0]["n_30d"] > 0


@pytest.mark.parametrize(
    ("content", "letter"),
    [
        (
            "who,time\n3,2026-03-01\n",
            """
            the column 'time' of the spine does not hold what it should
              expected: times with a zone, such as 2026-01-31T12:00:00Z
              got:      time-without-zone, wrong-type
              where:    s.csv, row 1
              do:       mend the column
            """,
        ),
        (
            "who,time\n3,2026-03-01T00:00:00Z\nx,2026-03-01T00:00:00Z\n",
            """
            the column 'who' of the spine does not hold what it should
              expected: Int64
              got:      wrong-type
              where:    s.csv, row 2
              do:       mend the column
            """,
        ),
        (
            "who,when\n3,2026-03-01T00:00:00Z\n",
            """
            the spine has no column 'time'
              expected: a column with the time of each row
              got:      who, when
              where:    s.csv
              do:       name the column with --time
            """,
        ),
        (
            "who,time\n,2026-03-01T00:00:00Z\n",
            """
            the spine has rows without a key
              expected: a key in each row
              got:      1 nulls, the first in row 0
              where:    spine.who
              do:       drop these rows
            """,
        ),
    ],
)
def test_spines_that_cannot_be_taken(headwater: Headwater, trained: Path, content: str, letter: str) -> None:
    (trained / "s.csv").write_text(content, encoding="utf-8")
    headwater("features", "s.csv").fails(4, letter)


@pytest.mark.usefixtures("trained")
def test_times_that_are_none(headwater: Headwater) -> None:
    headwater("score", "--at", "yesterday").fails(
        4,
        """
        a time cannot be read
          expected: ISO 8601 with a zone, such as 2026-01-31T12:00:00Z
          got:      'yesterday'
          do:       write the time in ISO 8601
        """,
    )


@pytest.mark.usefixtures("trained")
def test_keys_of_another_type(headwater: Headwater) -> None:
    headwater("explain", "--key", "Ada", "--at", "newest").fails(
        4,
        """
        a value for 'who' is of another type
          expected: Int64
          got:      a text that cannot be read as one
          where:    who
          do:       correct the value
        """,
    )


# --- The log and the disk -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("shop")
def test_no_log(headwater: Headwater) -> None:
    headwater("log", "status").fails(
        5,
        """
        there is no event log yet
          where:    .headwater/events.log
          do:       bring events in first: headwater import stream=file; or name the folder with --data
        """,
    )


def test_a_damaged_log(headwater: Headwater, trained: Path) -> None:
    log = trained / ".headwater" / "events.log"
    whole = log.read_bytes()
    with closing(sqlite3.connect(log)) as connection:
        (record,) = connection.execute("SELECT record FROM segments").fetchone()
    place = whole.index(record[200:232])
    log.write_bytes(whole[:place] + bytes(32) + whole[place + 32 :])
    ended = headwater("log", "verify")
    assert ended.code == 7
    assert "The log is damaged" in ended.out
    ended = headwater("train")
    assert ended.code == 5
    assert "Traceback" not in ended.err


def test_a_file_that_is_no_log(headwater: Headwater, trained: Path) -> None:
    (trained / ".headwater" / "events.log").write_bytes(b"not a log" * 1000)
    headwater("log", "status").fails(
        5,
        """
        the file is not an event log, or its beginning is damaged
          got:      file is not a database
          where:    .headwater/events.log
          do:       run `headwater log verify` to see where, then restore the log from a copy
        """,
    )


def test_a_full_disk(headwater: Headwater, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = payments(customers=400, days=400)
    write_csv(many, shop / "many.csv")
    monkeypatch.setenv("HEADWATER_LOG_BYTES", "400000")
    headwater("import", "many.csv").fails(
        5,
        """
        the disk is full: nothing of this change was kept
          got:      database or disk is full
          where:    .headwater/events.log
          do:       make room, then append the same events again
        """,
    )
    assert empty(headwater)
    monkeypatch.delenv("HEADWATER_LOG_BYTES")
    assert headwater("import", "many.csv", "--json").json["events"] == len(many)


@pytest.mark.usefixtures("shop")
def test_a_setting_that_cannot_be_read(headwater: Headwater, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_LOG_BYTES", "much")
    headwater("plan").fails(
        4,
        """
        the setting HEADWATER_LOG_BYTES cannot be read
          expected: a whole number
          got:      'much'
          do:       correct the environment variable, or unset it
        """,
    )
