"""Writes the figures of a run into the documentation: ``python -m benchmarks --page PATH``.

What stands between the two marks of the page is replaced; the words around it are written by people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.machine import busy

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_TEXT_TABLES = ("score_row", "log_append")  # programs that print tables of their own


def fill(page: str, results: Mapping[str, Any]) -> str:
    """The page with the figures of a run.

    Raises:
        ValueError: the page does not have both marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    figures = "\n".join(_lines(results))
    return f"{before}{BEGIN}\n\n{figures}\n{END}{after}"


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    yield (
        f"{results['threads']} of {machine['cores']} cores of {machine['processor']}, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; "
        f"{versions}. The run took {results['seconds']:,.0f} s.\n"
    )
    if busy(machine):
        yield f"{busy(machine)}\n"
    for measured in results["measures"].values():
        yield f"### {measured['title']}\n"
        yield from _table(measured)
        yield from (f"{note}\n" for note in measured["notes"])
        if measured["promises"]:
            yield "| promise | wanted | this run | |\n|---|---|---|---|"
            for promise in measured["promises"]:
                yield f"| {promise['text']} | {promise['wanted']} | {promise['got']} | {promise['verdict']} |"
            yield ""


def _table(measured: Mapping[str, Any]) -> Iterator[str]:
    rows = measured["table"]
    if not rows:
        return
    if measured["name"] in _TEXT_TABLES:
        lines = "\n".join(row[""] for row in rows)
        yield f"```text\n{lines}\n```\n"
        return
    headers = list(rows[0])
    yield f"| {' | '.join(headers)} |"
    yield "|" + "|".join(["---", *["--:"] * (len(headers) - 1)]) + "|"
    for row in rows:
        yield f"| {' | '.join(row.values())} |"
    yield ""
