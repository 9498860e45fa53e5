"""``headwater import``: CSV, Parquet and NDJSON files into the log, with a report of what was refused.

The work is done by ``apps.importing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.importing.files import Form
from headwater.apps.importing.run import Report, import_files
from headwater.apps.importing.source import Source
from headwater.definitions.project import Project
from headwater.definitions.stream import Stream


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option("--stream", metavar="NAME", help="The stream of files that name none.")
@click.option(
    "--map",
    "mapped",
    metavar="COLUMN=NAME",
    multiple=True,
    help="The file calls this column otherwise. Repeatable.",
)
@click.option("--arrival", metavar="NAME", help="The files' column that says when each event became known.")
@click.option("--ignore-extra", is_flag=True, help="Drop columns that are not declared, instead of refusing.")
@click.option(
    "--separator", metavar="CHAR", default=",", show_default=True, help="Between the fields of a CSV file."
)
@click.option("--whole", is_flag=True, help="A CSV file is whole though no line break follows its last row.")
@click.option(
    "--again", is_flag=True, help="Import a file into a stream without ids though it was imported before."
)
@at_workplace
def command(work: Workplace, screen: Screen, files: tuple[str, ...], **options: Any) -> None:
    """Bring events from files into the log.

    FILES are CSV, Parquet or NDJSON, written as stream=path, or as a path alone where the project has one
    stream, --stream names it, or the file is called like its stream. Give the files of all streams in one
    call: their events are merged by time, as they would have arrived.

    Every file is read to its end before anything is appended. A row that does not fit goes to the dead
    letters with its reason. Importing the same again changes nothing in streams that have ids, so an import
    that was interrupted is simply run again.
    """
    if len(options["separator"]) != 1:
        raise click.UsageError("--separator takes one character")
    again = options.pop("again")
    sources = _sources(work.project, files, **options)
    with work.writing() as log, screen.progress() as progress:
        reports = import_files(
            log,
            sources,
            lateness=work.project.lateness,
            ledger=work.settings.imports,
            again=again,
            progress=progress,
        )
        end = log.end()
    work.apply()
    if screen.as_json:
        screen.write(
            {"log": str(work.settings.log), "events": end, "files": [_plain(one) for one in reports]}
        )
    else:
        _print(screen, reports, end)


def _print(screen: Screen, reports: Sequence[Report], end: int) -> None:
    rows = [
        (one.stream, one.file, one.received, one.accepted, one.duplicates, one.refused.total())
        for one in reports
    ]
    columns = ("stream", "file", "rows", "new", "known", "refused")
    screen.table(None, columns, rows, numbers=columns[2:])
    refused = [(one.file, reason, count) for one in reports for reason, count in sorted(one.refused.items())]
    if refused:
        screen.table("Refused", ("file", "reason", "rows"), refused, numbers=("rows",))
        screen.say("See them with `headwater log dead-letters`; mend them at their source and import again.")
    if behind := sum(one.behind for one in reports):
        screen.say(
            f"{behind:,} events are older than what the log held: they count as known only from its end on."
            " Import all streams in one call to merge them by time."
        )
    screen.say(f"The log holds {end:,} events.", "bold")


def _plain(report: Report) -> dict[str, Any]:
    return {**vars(report), "refused": dict(sorted(report.refused.items()))}


def _sources(
    project: Project,
    files: Sequence[str],
    *,
    stream: str | None,
    mapped: Sequence[str],
    arrival: str | None,
    ignore_extra: bool,
    separator: str,
    whole: bool,
) -> list[Source]:
    streams = {one.name: one for one in project.streams}
    pairs = [_pair(text, stream, streams) for text in files]
    renames = [_rename(text, [one for one, _ in pairs]) for text in mapped]
    return [
        Source(
            one,
            path,
            keys=sorted({view.key for view in project.views if view.stream.name == one.name}),
            columns={
                ours: theirs
                for name, ours, theirs in renames
                if name in (None, one.name) and ours in one.schema
            },
            arrival=arrival,
            form=Form(separator, whole),
            extra=ignore_extra,
        )
        for one, path in pairs
    ]


def _pair(text: str, named: str | None, streams: dict[str, Stream]) -> tuple[Stream, Path]:
    """The stream and the path of one argument."""
    name, equals, path = text.partition("=")
    if equals and name.isidentifier():
        return _stream(name, streams), Path(path)
    if named is not None:
        return _stream(named, streams), Path(text)
    if len(streams) == 1:
        return next(iter(streams.values())), Path(text)
    stem = Path(text).stem
    if stem in streams:
        return streams[stem], Path(text)
    raise click.UsageError(
        f"which stream is {text} of? Write stream={text}, with one of {', '.join(streams)}"
    )


def _stream(name: str, streams: dict[str, Stream]) -> Stream:
    if name not in streams:
        raise click.UsageError(f"the project has no stream {name!r}; it has {', '.join(streams)}")
    return streams[name]


def _rename(text: str, streams: Sequence[Stream]) -> tuple[str | None, str, str]:
    """(stream or None, its column, the file's name) of ``column=name`` or ``stream.column=name``."""
    ours, equals, theirs = text.partition("=")
    stream, dot, column = ours.rpartition(".")
    if not equals or not theirs:
        raise click.UsageError(f"--map takes column=name, not {text!r}")
    known = [one for one in streams if not dot or one.name == stream]
    if not any(column in one.schema for one in known):
        raise click.UsageError(f"--map {text}: no stream of these files has a column {column!r}")
    return stream or None, column, theirs
