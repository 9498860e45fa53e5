"""A group of commands that are imported when they are called, so that ``headwater --help`` is quick.

The helps of the list stand in a static table; a test holds them against the commands' own. Called by
``main`` and by the group ``log``.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module

import click


@contextmanager
def uncollected() -> Iterator[None]:
    """The garbage collector stands still, until ``gc.enable``.

    What imports make is there to stay, and to look through it again and again is a tenth of their time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class LazyGroup(click.Group):
    """A group whose commands are objects called ``command``, each in a module of its own.

    Args:
        name: as it is called.
        summary: its help, one line.
        table: command to its module and its line of help, in the order of the list.
        default: the command that is meant where none is named.
    """

    def __init__(
        self, name: str, summary: str, table: Mapping[str, tuple[str, str]], default: str | None = None
    ) -> None:
        super().__init__(name, help=summary, context_settings={"help_option_names": ["-h", "--help"]})
        self.table = table
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The default command where none is named: nothing stands there, or its options alone."""
        bare = not args or (args[0].startswith("-") and args[0] not in ("-h", "--help"))
        if self.default is not None and bare:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's shape
        """The names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None if there is none of this name."""
        if cmd_name not in self.table:
            return None
        with uncollected():
            command = import_module(self.table[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.table[cmd_name][0]}.command is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; say which one is near where there is none."""
        if args and args[0] not in self.table and not args[0].startswith("-"):
            near = get_close_matches(args[0], self.table, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(self.table)}"
            raise click.UsageError(f"no such command {args[0]!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)
