"""Parity: what was served, derived again from the log and compared to the bit. Called by ``report``."""

from __future__ import annotations

from headwater.apps.reporting.material import Material, minute, missing
from headwater.paper.document import Block, Section, Table, Tile, Tiles, Tone, Words
from headwater.store.parity import ParityLedger

ID, TITLE = "parity", "Parity"
_SHOWN = 10


def section(material: Material) -> Section:
    """The counts since the ledger began, and the newest mismatches without a value of a person."""
    if not material.place.folder.parity.is_file():
        do = "run a server; HEADWATER_PARITY_SHARE says how much it looks at"
        return missing(ID, TITLE, "nothing was compared yet: there is no parity ledger", do=do)
    with ParityLedger.open(material.place.folder.parity) as ledger:
        stands, found = ledger.stands(), ledger.page(limit=_SHOWN, newest=True)
    if not stands.compared:
        return missing(ID, TITLE, "nothing was compared yet", do="let a server run for a while")
    tone: Tone = "alarm" if stands.mismatches else "good"
    said = (
        f"{stands.mismatches:,} of {stands.compared:,} vectors came out otherwise than they were served."
        if stands.mismatches
        else f"All {stands.compared:,} vectors that were derived again from the log are those that were"
        " served, to the bit."
    )
    tiles = (
        Tile("Derived again", f"{stands.compared:,}", "since the ledger began"),
        Tile("Other bits", f"{stands.mismatches:,}", "must be 0", tone),
        Tile("Model not at hand", f"{stands.gone:,}"),
    )
    blocks: list[Block] = [Words(said, tone), Tiles(tiles)]
    if found:
        rows = [
            (
                one.source,
                one.model,
                minute(one.time),
                f"{one.offset:,}",
                one.feature,
                len(one.features),
                one.cause,
            )
            for _, one in found
        ]
        columns = ("source", "model", "as of", "log offset", "first input", "inputs", "cause")
        blocks.append(Table.of("The newest mismatches", columns, rows, (3, 5)))
    return Section(ID, TITLE, tuple(blocks), tone=tone)
