"""The report over the small lender: what each section shows, and what it says where its data is missing.

::

    2026-01-01         05-01        05-08        05-15        05-22
    | history, trained | quiet week | quiet week | all pay 4 x as much
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.reporting.report import make_report
from headwater.apps.settings import Settings
from headwater.core.errors import DataError
from headwater.core.instant import DAY, instant
from headwater.paper.document import Document, Section, Table, Words
from headwater.paper.html import page
from headwater.paper.pdf import pdf
from headwater.store.alerts import AlertStore, Signal
from headwater.store.audit import Act, AuditTrail
from headwater.store.decisions import DecisionStore
from headwater.store.folder import DataFolder
from headwater.store.parity import Compared, Mismatch, ParityLedger
from tests.apps.cli.conftest import Headwater
from tests.apps.cli.shop import project_text
from tests.apps.watching.house import open_place
from tests.paper.pdf_reading import ReadPdf
from tests.paper.reading import Read

FROM, TO = "2026-05-01", "2026-05-22"
STRETCH = ("--from", FROM, "--to", TO)
_FIGURE = re.compile(r"\d[\d,.:T-]*")
START, STOP = instant(f"{FROM}T00:00:00Z"), instant(f"{TO}T00:00:00Z")


@pytest.fixture(scope="module")
def quiet(lender_folder: Path) -> Document:
    """The report on the lender as it was built."""
    return make_report(_settings(lender_folder), START, STOP)


@pytest.fixture(scope="module")
def eventful(lender_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The report on a lender to which much has happened."""
    home = tmp_path_factory.mktemp("eventful")
    shutil.copytree(lender_folder, home, dirs_exist_ok=True)
    at = ["--project", str(home)]
    for first, last in (("2026-05-08", "2026-05-15"), ("2026-05-15", TO)):
        assert run(cli, ["drift", "--from", first, "--to", last, *at]) in (0, 9)
    by = ["--by", "spent_30d", "--cut", "300", "--cut", "1000", "--bootstrap", "20"]
    assert run(cli, ["fairness", *by, "--from", FROM, "--to", TO, *at]) in (0, 9)
    _administer(home / ".headwater" / "access.db")
    again = ["--as-of", "2026-05-20", "--bootstrap", "20", "--why", "a test"]
    assert run(cli, ["retrain", *again, *at]) == 0
    assert run(cli, ["gate", "--as-of", TO, *at]) in (0, 10)
    _watched(open_place(home).folder)
    bad = "id,who,time,amount,kind,name\n900000001,5,2026-05-20T00:00:00Z,much,card,Ada Lovelace\n"
    (home / "bad.csv").write_text(bad, "utf-8")
    run(cli, ["import", f"payments={home / 'bad.csv'}", *at])
    return make_report(_settings(home), START, STOP)


@pytest.mark.usefixtures("lender")
def test_the_page_stands_alone_and_is_the_same_again(headwater: Headwater, quiet: Document) -> None:
    found = headwater("report", *STRETCH, "--json").json
    assert found["file"] == "report-2026-05-21.html"
    assert [one["id"] for one in found["sections"]][:3] == ["decisions", "freshness", "drift"]
    text = Path("report-2026-05-21.html").read_text(encoding="utf-8")
    assert text == page(quiet)  # of another copy of the same data
    read = Read(text)
    read.asks_for_nothing()
    read.can_be_used_by_everybody()
    assert "Ada" not in text  # the customers' names are personal


def test_every_decision_is_counted_on_its_day_and_in_its_band(lender_folder: Path, quiet: Document) -> None:
    read = Read(page(quiet))
    told = [tip for tip in read.tips if ", calm: " in tip or ", watch: " in tip]
    with DecisionStore.open(lender_folder / ".headwater" / "decisions.db") as store:
        places = [(one.decision.decided_at // DAY, one.decision.band) for one in store]
    counts = sorted(int(tip.rpartition(": ")[2].replace(",", "")) for tip in told)
    assert counts == sorted(Counter(places).values())
    assert f"{len(places):,}" in read.text


def test_each_window_of_drift_and_what_stood_out(quiet: Document) -> None:
    drift = _section(quiet, "drift")
    assert drift.tone == "alarm"
    tips = Read(page(quiet)).tips
    assert [tip.partition(": ")[0] for tip in tips if tip.startswith("amount, 05-")] == [
        "amount, 05-01",
        "amount, 05-08",
        "amount, 05-15",
    ]
    (table,) = (one for one in drift.blocks if isinstance(one, Table))
    loud = {(row[0].text, row[2].text) for row in table.rows if row[1].text == "alarm"}
    assert ("2026-05-15", "amount") in loud
    assert all(day == "2026-05-15" for day, _ in loud)  # the quiet weeks raise none


def test_kept_windows_are_shown_as_they_were_kept(eventful: Document) -> None:
    assert "2 windows, kept by the watch." in Read(page(eventful)).text


def test_outcomes_with_what_happened_to_the_model(eventful: Document) -> None:
    read = Read(page(eventful))
    curve = next(svg["aria-label"] for svg in read.attributes("svg") if "ROC AUC" in str(svg["aria-label"]))
    assert str(curve).endswith("; marked: v4 promoted; v1 rolled back to; v2 retrained")
    assert "of 1,600 decisions 800 have a mature label and are measured" in read.text


def test_who_got_the_favourable_decision(eventful: Document) -> None:
    section = _section(eventful, "fairness")
    (table,) = (one for one in section.blocks if isinstance(one, Table))
    named = {row[0].text: row for row in table.rows}
    assert set(named) == {"up to 300", "over 300 to 1000", "over 1000"}
    assert sum(int(row[1].text.replace(",", "")) for row in named.values()) == 1_600
    assert re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", named["over 1000"][2].text)
    read = Read(page(eventful))
    assert "four fifths of the highest" in read.text
    assert any(
        str(svg["aria-label"]).startswith("Share that got “calm” by spent_30d: ")
        for svg in read.attributes("svg")
    )


def test_the_newest_gate(eventful: Document) -> None:
    gate = _section(eventful, "gate")
    assert gate.missing is None
    table = next(one for one in gate.blocks if isinstance(one, Table))
    assert {row[1].text for row in table.rows} >= {"outcomes", "calibration"}
    assert isinstance(gate.blocks[0], Words)
    assert gate.blocks[0].text.startswith(
        "Version 2 (challenger), against version 1, as of 2026-05-22 00:00: "
    )


def test_parity_alerts_and_dead_letters_without_a_value_of_a_person(eventful: Document) -> None:
    assert (_section(eventful, "parity").tone, _section(eventful, "alerts").tone) == ("alarm", "alarm")
    read = Read(page(eventful))
    assert "1 of 1,234 vectors came out otherwise than they were served." in read.text
    assert "Served is not derived" in read.text
    for value in ("987654", "123.25", "124.5", "Lovelace"):
        assert value not in read.page


def test_the_pdf_has_the_figures_of_the_page(quiet: Document, eventful: Document) -> None:
    """Each number and date that the page shows is read back from the PDF, pictures and tables included."""
    for document in (quiet, eventful):
        shown, read = ReadPdf(pdf(document, STOP, compress=False)), Read(page(document))
        figures = set(_FIGURE.findall(read.text))
        assert len(figures) > 60
        assert figures - set(_FIGURE.findall(shown.text)) == set()
        for value in ("987654", "123.25", "124.5", "Lovelace"):
            assert value not in shown.text


def test_dead_letters_are_counted_by_stream_and_reason(eventful: Document) -> None:
    events = _section(eventful, "events")
    (table,) = (one for one in events.blocks if isinstance(one, Table))
    assert [[cell.text for cell in row] for row in table.rows] == [["payments", "wrong-type", "1"]]


def test_a_section_without_its_data_says_why(quiet: Document) -> None:
    assert {one.id: one.missing for one in quiet.sections} == {
        "decisions": None,
        "freshness": None,
        "drift": None,
        "outcomes": None,
        "gate": "No version was gated yet. To do: train a candidate and gate it: headwater retrain; "
        "headwater gate.",
        "fairness": "No protected attribute was looked at. To do: declare hw.Model(protected=[...]), or look "
        "once: headwater fairness --by COLUMN.",
        "events": None,
        "parity": "Nothing was compared yet: there is no parity ledger. To do: run a server; "
        "HEADWATER_PARITY_SHARE says how much it looks at.",
        "alerts": "Nobody has looked for alerts yet. To do: run headwater alerts check.",
    }


def test_a_stretch_in_which_nothing_happened(lender_folder: Path) -> None:
    start = instant("2030-01-01T00:00:00Z")
    sections = make_report(_settings(lender_folder), start, start + 7 * DAY).sections
    found = {one.id: one.missing for one in sections}
    assert found["decisions"] == (
        "Risk decided nothing in this stretch. To do: let a service decide: headwater serve, then POST "
        "/v1/decisions."
    )
    assert found["drift"] is not None
    assert found["drift"].startswith("No window could be judged (")
    assert found["outcomes"] is not None
    assert "To do: " in found["outcomes"]


def test_a_stretch_that_ends_before_it_begins(lender_folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        make_report(_settings(lender_folder), STOP, START)
    assert str(caught.value) == (
        "a stretch of time ends before it begins\n"
        "  expected: --from before --to\n"
        "  got:      2026-05-22T00:00:00Z to 2026-05-01T00:00:00Z\n"
        "  do:       exchange them, or name other times"
    )


@pytest.mark.usefixtures("lender")
def test_a_file_that_cannot_be_written(headwater: Headwater) -> None:
    headwater("report", "--from", "2026-05-21", "--to", TO, "--out", "nowhere/a.html").fails(
        5,
        """
        the file cannot be written
          got:      No such file or directory
          where:    nowhere/a.html
          do:       name another file with --out
        """,
    )


def test_without_a_log(place: Path, headwater: Headwater) -> None:
    (place / "project.py").write_text(project_text(), encoding="utf-8")
    headwater("report", *STRETCH).fails(
        5,
        """
        there is no event log yet
          where:    .headwater/events.log
          do:       bring events in first: headwater import stream=file; or name the folder with --data
        """,
    )


def _settings(lender: Path) -> Settings:
    return Settings.read({}, project=str(lender))


def _administer(path: Path) -> None:
    """A promotion before the stretch, then one and a rollback in it."""
    with AuditTrail.open(path) as trail:
        trail.append(Act(START - DAY, "cli:ada", "model.promote", "risk", {"version": 3}))
        trail.append(Act(START + 9 * DAY, "cli:ada", "model.promote", "risk", {"version": 4}))
        trail.append(Act(START + 12 * DAY, "cli:ada", "model.rollback", "risk", {"version": 1}))


def _watched(folder: DataFolder) -> None:
    """A mismatch with values of a person, and an alert."""
    served = {"served": 123.25, "derived": 124.5, "bits": ("00", "01"), "features": ("amount",)}
    wrong = Mismatch("decision d7", "risk", {"who": 987654}, START, 7, "amount", **served)  # type: ignore[arg-type]
    with ParityLedger.open(folder.parity) as ledger:
        ledger.add(Compared(decisions=9, compared=1_234, mismatches=1), [wrong])
    with AlertStore.open(folder.alerts) as store:
        signal = Signal("parity", "risk", "critical", START, "Served is not derived", "1 of 1,234", "see d7")
        store.signal(signal, now=START + DAY)


def _section(document: Document, id: str) -> Section:
    return next(one for one in document.sections if one.id == id)
