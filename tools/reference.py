"""Reference tables made from the code: the errors and the commands.

Called by ``tools.docs`` for the pages under ``docs/reference``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator

import click

from headwater.core import errors as core_errors
from headwater.core.errors import HeadwaterError

COMMAND_LINE = "headwater.apps.cli.main"


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


def command_line() -> click.Group | None:
    """The root of the command line, or None while it is not built."""
    if not _exists(COMMAND_LINE):
        return None
    cli = importlib.import_module(COMMAND_LINE).cli
    if not isinstance(cli, click.Group):
        raise TypeError(f"{COMMAND_LINE}.cli is a {type(cli).__name__}, not a click group")
    return cli


def commands() -> str:
    """One section a command: what it does, how it is called, its options."""
    cli = command_line()
    if cli is None:
        return "The command line is not built yet."
    return "\n\n".join(_section(context) for context in walk(click.Context(cli, info_name="headwater")))


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


def _exists(module: str) -> bool:
    parent = module.rpartition(".")[0]
    return (not parent or _exists(parent)) and importlib.util.find_spec(module) is not None


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]
