from __future__ import annotations

import pytest

from headwater.core.errors import DataError, HeadwaterError, Problem
from tests.letters import says


def test_a_problem_leaves_out_what_it_does_not_know() -> None:
    assert str(Problem("it broke", do="mend it")) == "it broke\n  do:       mend it"


def test_all_problems_are_kept_and_told() -> None:
    with says(
        DataError,
        """
        one
          expected: 1
        two
          got:      3
        """,
    ):
        DataError.raise_if([Problem("one", expected="1"), Problem("two", got="3")])
    DataError.raise_if([])


def test_of_is_short_for_one_problem() -> None:
    error = DataError.of("one", where="$.a")
    assert isinstance(error, DataError)
    assert error.problems == (Problem("one", where="$.a"),)


def every_kind(kind: type[HeadwaterError]) -> list[type[HeadwaterError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in every_kind(child))]


def test_each_kind_has_its_own_code() -> None:
    kinds = [kind for kind in every_kind(HeadwaterError) if kind.__module__ == HeadwaterError.__module__]
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))
    with pytest.raises(HeadwaterError):
        raise DataError.of("caught by its base")
