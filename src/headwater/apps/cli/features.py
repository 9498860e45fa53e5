"""``headwater features``: features as of the rows of a file, from the log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import click
import polars as pl

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.importing.files import Form, parts
from headwater.apps.masking import personal_outputs
from headwater.core.cast import fit
from headwater.core.errors import DataError
from headwater.core.schema import PERSONAL
from headwater.definitions.project import Project
from headwater.definitions.view import FeatureView
from headwater.engine.asof import asof_batches
from headwater.training.history import gather

_SHOWN, _ACROSS, _NARROW = 20, 5, 12
_CLOCK = pl.Datetime("us", "UTC")


@click.command("features")
@click.argument("spine", metavar="SPINE")
@click.option(
    "--view", "views", metavar="NAME", multiple=True, help="Only this view. Repeatable.  [default: all]"
)
@click.option(
    "--time", "time", metavar="COLUMN", default="time", show_default=True, help="The column with the time."
)
@click.option("--out", metavar="FILE", help="Write all rows here: .csv, .parquet or .ndjson.")
@click.option(
    "--separator", metavar="CHAR", default=",", show_default=True, help="Between the fields of a CSV file."
)
@click.option("--show-personal", is_flag=True, help="Show values that are declared personal.")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    spine: str,
    views: tuple[str, ...],
    time: str,
    out: str | None,
    separator: str,
    show_personal: bool,
) -> None:
    """Compute features as of the rows of a file.

    SPINE is a CSV, Parquet or NDJSON file with a column for each key and a time. Its rows come back in
    their order, none lost, with one column per feature: what was known at that time, and nothing of what
    came after. A key without events has the features of an empty window. Personal values go into the file
    of --out, and are masked on the screen.
    """
    write = None if out is None else _writer(Path(out))
    asked = _views(work.project, views)
    with work.reading() as log:
        rows = _spine(Path(spine), asked, time, separator)
        batches = gather(log, [view.stream for view in asked])
    found = asof_batches(asked, batches, rows, time=time)
    if write is not None:
        write(found)
    if not show_personal:
        hidden = set().union(*map(personal_outputs, asked)) & set(found.columns)
        found = found.with_columns(_masked(found[name]) for name in sorted(hidden))
    if screen.as_json:
        told = {"rows": found.height, "columns": found.columns, "out": out}
        screen.write(told if out else {**told, "data": found.to_dicts()})
    elif out is not None:
        screen.say(f"{found.height:,} rows with {found.width - rows.width} features each are in {out}.")
    else:
        _print(screen, found, {view.key for view in asked})


def _views(project: Project, names: Sequence[str]) -> list[FeatureView]:
    known = {view.name: view for view in project.views}
    for name in names:
        if name not in known:
            raise click.UsageError(f"the project has no view {name!r}; it has {', '.join(known)}")
    return [known[name] for name in names] or list(project.views)


def _spine(path: Path, views: Sequence[FeatureView], time: str, separator: str) -> pl.DataFrame:
    """The file as one frame, keys in the stream's types, the time as a time, the rest as it came."""
    found = [part.frame for part in parts(path, Form(separator, whole=True))]
    frame = pl.concat(found, how="diagonal_relaxed") if found else pl.DataFrame()
    if time not in frame.columns:
        raise DataError.of(
            f"the spine has no column {time!r}",
            expected="a column with the time of each row",
            got=", ".join(frame.columns),
            where=str(path),
            do="name the column with --time",
        )
    types = {**{view.key: view.stream.schema[view.key] for view in views}, time: _CLOCK}
    typed = [_typed(path, frame[name], dtype) for name, dtype in types.items() if name in frame.columns]
    return frame.with_columns(typed)


def _typed(path: Path, series: pl.Series, dtype: pl.DataType) -> pl.Series:
    fitted = fit(series, dtype, parse=True, instant=dtype == _CLOCK)
    if fitted is None or fitted.failures:
        failed = [] if fitted is None else [mask.arg_true()[0] for mask in fitted.failures.values()]
        raise DataError.of(
            f"the column {series.name!r} of the spine does not hold what it should",
            expected="times with a zone, such as 2026-01-31T12:00:00Z" if dtype == _CLOCK else str(dtype),
            got=", ".join((fitted.failures if fitted else {str(series.dtype): None}).keys()),
            where=f"{path}, row {min(failed) + 1}" if failed else str(path),
            do="mend the column",
        )
    return fitted.values


def _masked(column: pl.Series) -> pl.Series:
    known = pl.Series([PERSONAL], dtype=pl.String).new_from_index(0, len(column))
    return known.set(column.is_null(), None).rename(column.name)


def _writer(path: Path) -> Callable[[pl.DataFrame], None]:
    """What writes a frame into this file, whole or not at all."""
    kinds: dict[str, Callable[[pl.DataFrame, Path], object]] = {
        ".csv": lambda frame, file: frame.write_csv(file, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ"),
        ".parquet": lambda frame, file: frame.write_parquet(file),
        ".ndjson": lambda frame, file: frame.write_ndjson(file),
    }
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise click.UsageError(f"--out takes a file that ends in {', '.join(kinds)}, not {path.name}")

    def write(frame: pl.DataFrame) -> None:
        beside = path.with_name(path.name + ".new")
        kind(frame, beside)
        beside.replace(path)

    return write


def _print(screen: Screen, found: pl.DataFrame, keys: Collection[str]) -> None:
    """One line per row; where there are many features, one line per feature."""
    shown = found.with_columns(pl.col(list(keys)).cast(pl.String))  # a key is a name, not a number
    if found.width <= _NARROW:
        numbers = [name for name, dtype in shown.schema.items() if dtype.is_numeric()]
        screen.table(None, shown.columns, shown.head(_SHOWN).rows(), numbers=numbers)
    else:
        columns = [f"row {row + 1}" for row in range(min(found.height, _ACROSS))]
        lines = [(column.name, *column.head(_ACROSS)) for column in shown.iter_columns()]
        screen.table(None, ("column", *columns), lines, numbers=columns)
    most = _SHOWN if found.width <= _NARROW else _ACROSS
    if found.height > most:
        screen.note(f"the first {most} of {found.height:,} rows; --out FILE writes all")
