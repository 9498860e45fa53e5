"""Reference tables made from the code: errors, exit codes, settings, commands, and the demo's lake.

Called by ``tools.docs`` for the pages under ``docs/reference``.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from headwater.apps.cli.exits import MEANINGS, exit_of
from headwater.apps.cli.main import cli
from headwater.apps.demo.project import project as demo
from headwater.apps.settings import SETTINGS
from headwater.core import errors as core_errors
from headwater.core.errors import HeadwaterError
from headwater.scale.lake.decided import decisions_table
from headwater.scale.lake.private import Private
from headwater.scale.lake.source import events_table
from headwater.scale.lake.table import titles


def error_classes() -> list[type[HeadwaterError]]:
    """Every class of ``core.errors``, the base first, then in the order of the file."""
    return [
        kind
        for kind in vars(core_errors).values()
        if isinstance(kind, type) and issubclass(kind, HeadwaterError)
    ]


def errors() -> str:
    """A table: code, class, meaning."""
    rows = [
        f"| `{kind.code}` | `{kind.__name__}` | {_first_line(kind.__doc__)} |" for kind in error_classes()
    ]
    return "\n".join(["| code | class | what it says |", "|---|---|---|", *rows])


def exits() -> str:
    """A table: exit code, meaning, the classes of errors that end so."""
    ends: dict[int, list[str]] = {}
    for kind in error_classes()[1:]:
        ends.setdefault(exit_of(kind.of("")), []).append(f"`{kind.__name__}`")
    rows = [f"| {int(code)} | {text} | {', '.join(ends.get(code, []))} |" for code, text in MEANINGS.items()]
    return "\n".join(["| exit code | meaning | errors |", "|---|---|---|", *rows])


def settings() -> str:
    """A table: environment variable, option, default, meaning."""
    rows = [
        f"| `{one.variable}` | {f'`{one.option}`' if one.option else ''} | {one.default} | {one.meaning} |"
        for one in SETTINGS
    ]
    return "\n".join(["| variable | option | default | what it sets |", "|---|---|---|---|", *rows])


def commands() -> str:
    """One section a command: what it does, how it is called, its options."""
    return "\n\n".join(_section(context) for context in walk(click.Context(cli, info_name="headwater")))


def lake() -> str:
    """The tables of the demo's lake."""
    tables = [events_table(stream, Private(), "day") for stream in demo.streams]
    return titles([*tables, *(decisions_table(policy, Private(), "day") for policy in demo.policies)])


def walk(context: click.Context) -> Iterator[click.Context]:
    """The contexts of a command and of all commands below it, in the order of the help."""
    yield context
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None and not command.hidden:
                yield from walk(click.Context(command, info_name=name, parent=context))


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}", command.help or "", f"```console\n$ {usage}\n```"]
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [f"| `{_cell(record[0])}` | {_cell(record[1])} |" for record in records if record]
    if rows:
        parts.append("\n".join(["| option | what it does |", "|---|---|", *rows]))
    return "\n\n".join(part for part in parts if part)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]
