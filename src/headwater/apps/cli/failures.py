"""How a command ends when it does not end well: a letter and an exit code, never a traceback.

:func:`run` is the only place where errors are caught. With ``--json`` the letter is a JSON document on
stdout; otherwise it is text on stderr. Called by ``main`` and by tests.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from headwater.apps.cli.exits import Exit, exit_of
from headwater.core.errors import HeadwaterError, Problem

_FULL = (errno.ENOSPC, errno.EDQUOT)


def run(cli: click.Command, args: Sequence[str], *, debug: bool = False) -> int:
    """Run the command line, and answer with its exit code.

    Args:
        cli: the root.
        args: what stands behind ``headwater``.
        debug: show the traceback of what was not foreseen.
    """
    as_json = "--json" in args
    try:
        with cli.make_context("headwater", list(args)) as context:  # not main(), which handles errors itself
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:  # after --help and --version, and where a command says how it ends
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.ClickException as error:
        return _usage(error, as_json)
    except BrokenPipeError:  # whoever read the output has enough, as in `headwater log tail | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except (HeadwaterError, OSError, MemoryError, KeyboardInterrupt, click.Abort) as error:
        return _told(*_foreseen(error), as_json)
    except Exception as error:  # noqa: BLE001 - the edge: whatever is left is a bug, and is told as one
        if debug:
            traceback.print_exc()
        return _told("bug", (_bug(error),), Exit.BUG, as_json)
    else:
        return Exit.OK


_INTERRUPTED = Problem(
    "interrupted: what was finished stays, nothing is half-applied", do="run the same command again to go on"
)
_MEMORY = Problem("there is not enough memory", do="ask for less at once, or use a larger machine")


def _foreseen(error: BaseException) -> tuple[str, Sequence[Problem], Exit]:
    """Code, facts and exit code of what may happen to anybody."""
    if isinstance(error, HeadwaterError):
        return error.code, error.problems, exit_of(error)
    if isinstance(error, OSError):
        return "file", (_file_problem(error),), Exit.STORE
    if isinstance(error, MemoryError):
        return "memory", (_MEMORY,), Exit.STORE
    return "interrupted", (_INTERRUPTED,), Exit.INTERRUPTED


def _told(code: str, problems: Sequence[Problem], ended: Exit, as_json: bool) -> Exit:
    if as_json:
        told = [{name: fact for name, fact in asdict(one).items() if fact is not None} for one in problems]
        document = {"error": {"code": code, "exit": int(ended), "problems": told}}
        click.echo(json.dumps(document, indent=1))
        return ended
    for problem in problems:
        what, *facts = printable(str(problem)).split("\n")
        click.secho(what, err=True, bold=True, fg="red")
        for fact in facts:
            click.echo(fact, err=True)
    return ended


def _usage(error: click.ClickException, as_json: bool) -> Exit:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "headwater"
    problem = Problem(error.format_message(), do=f"see `{path} --help`")
    return _told("usage", (problem,), Exit.USAGE, as_json)


def _file_problem(error: OSError) -> Problem:
    where = str(error.filename) if error.filename is not None else None
    if error.errno in _FULL:
        return Problem("the disk is full", where=where, do="make room, then run the same command again")
    return Problem(
        "a file or folder cannot be used",
        got=error.strerror or type(error).__name__,
        where=where,
        do="look at the path and its rights",
    )


def _bug(error: Exception) -> Problem:
    """What is told of a bug: its type and place; not its text, which may quote a value."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.name}" for frame in frames]
    seal = hashlib.sha256("\n".join([type(error).__name__, *places]).encode()).hexdigest()[:12]
    last = frames[-1] if frames else None
    return Problem(
        "Headwater failed in a way that nobody foresaw; this is a bug",
        got=f"{type(error).__name__}, bug id {seal}",
        where=f"{Path(last.filename).name}:{last.lineno}" if last else None,
        do="report it with its id and your command; HEADWATER_DEBUG=1 shows the traceback",
    )


def printable(text: str) -> str:
    r"""The text without control characters, which could otherwise steer a terminal.

    Example:
        >>> printable("a\x1b[31mb")
        'a\\x1b[31mb'
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
