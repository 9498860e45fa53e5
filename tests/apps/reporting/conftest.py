"""The small lender of watching, built once for these tests; each has a copy."""

from __future__ import annotations

from tests.apps.cli.conftest import headwater, place
from tests.apps.watching.conftest import lender, lender_folder

__all__ = ["headwater", "lender", "lender_folder", "place"]
