"""One small lender, made once: 1,500 accounts over three years."""

from __future__ import annotations

import pytest

from headwater.apps.demo.lender import Lender, simulate


@pytest.fixture(scope="session")
def lender() -> Lender:
    return simulate(accounts=1_500)
