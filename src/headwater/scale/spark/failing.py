"""What went wrong on Spark, as letters: a worker's own letter as it was, everything else as what Spark said.

Called wherever Spark is made to compute something for us.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark import __version__
from pyspark.errors import PySparkException

from headwater.core import errors
from headwater.core.errors import ClusterError, HeadwaterError, Problem

_LETTER = re.compile(r"headwater\.core\.errors\.(\w+): (.*)")
_END = re.compile(r"(?!org\.|java\.|py4j\.)[A-Za-z_][\w.]*(Error|Exception): ")
_JAVA = re.compile(r": (?:[\w$]+\.)+([\w$]+(?:Exception|Error): .*)")
_FACT = re.compile(r"  (expected|got|where|do): +(.*)")
_UNFIT = re.compile(
    r"java\.lang\.((?:NoSuch\w+|NoClassDefFound|AbstractMethod|IncompatibleClassChange)Error: .*)"
)
_MOST = 300  # characters of what Spark says


@contextmanager
def told() -> Iterator[None]:
    """Raise what Spark raises as a letter.

    Raises:
        HeadwaterError: a worker's, of the class that it had there.
        ClusterError: Spark did not finish.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise letter_of(str(error)) or failed(error) from error


def failed(error: BaseException) -> ClusterError:
    """The letter for work that Spark did not finish."""
    unfit = _UNFIT.search(str(error))
    if unfit is not None:
        return ClusterError.of(
            "a package that Spark was given is built for another Spark",
            expected=f"one built for Spark {__version__}",
            got=unfit[1][:_MOST],
            do="take its release for this Spark, or the PySpark that it is built for",
        )
    return ClusterError.of(
        "Spark did not finish its work",
        got=said(error),
        do="look at Spark's own log; every executor needs Headwater in its Python, and room for a bucket",
    )


def said(error: BaseException) -> str:
    """The line that says most: how a worker's traceback ends, or what Java's exceptions came from."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ends = [line for line in lines if _END.match(line)]
    java = [found[1] for found in map(_JAVA.match, lines) if found]
    return [type(error).__name__, *lines[:1], *java[:1], *ends[-1:]][-1][:_MOST]


def letter_of(text: str) -> HeadwaterError | None:
    r"""The letter that a worker wrote, out of Spark's account of its end; None if it wrote none.

    Example:
        >>> letter_of("...\nheadwater.core.errors.DataError: no key\n  got:      null\n\nJVM ...").code
        'data'
    """
    found = next(reversed(list(_LETTER.finditer(text))), None)  # the last: it was raised from those before
    kind = None if found is None else getattr(errors, found[1], None)
    if found is None or not (isinstance(kind, type) and issubclass(kind, HeadwaterError)):
        return None
    letters: list[dict[str, str]] = []
    for line in text[found.start(2) :].splitlines():
        fact = _FACT.match(line)
        if fact is not None and letters:
            letters[-1][fact[1]] = fact[2]
        elif line.strip() and not line[0].isspace() and not line.startswith("JVM"):
            letters.append({"what": line})
        else:
            break
    return kind(*(Problem(**letter) for letter in letters))
