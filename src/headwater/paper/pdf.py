"""A document as a PDF, for whoever files or forwards it: the same words, figures and pictures as the page.

The door: ``sheet`` does the setting with fpdf2, which the extra ``report`` brings, and is imported when the
first PDF is asked for. Called by ``apps.cli.report`` and ``apps.reporting.post``.
"""

from __future__ import annotations

from importlib import import_module, util
from typing import Any

from headwater.core.errors import MissingExtraError
from headwater.paper.document import Document


def need_pdf() -> None:
    """Refuse early where no PDF can be set.

    Raises:
        MissingExtraError: fpdf2 is not installed.
    """
    if util.find_spec("fpdf") is None:
        raise MissingExtraError.of(
            "fpdf2 is not installed",
            expected="the package fpdf2",
            do="pip install 'headwater[report]'",
        )


def pdf(document: Document, made: int, *, compress: bool = True) -> bytes:
    """The file; the same document and time give the same bytes.

    Args:
        document: what to set.
        made: the time that the file bears, microseconds UTC.
        compress: whether the pages are packed, as one wants them.

    Raises:
        MissingExtraError: fpdf2 is not installed.
    """
    need_pdf()
    sheet: Any = import_module("headwater.paper.sheet")
    return bytes(sheet.bound(document, made, compress=compress))
