"""A secret shows itself to whoever asks for it by name, and to nobody else."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest

from headwater.core.secret import HIDDEN, Secret

TEXT = "hunter2hunter2"


@pytest.mark.parametrize(
    "shown",
    [str, repr, "{}".format, "{:>20}".format, "%s".__mod__, "%r".__mod__, lambda one: str([one, {"a": one}])],
)
def test_it_is_not_shown(shown: object) -> None:
    assert callable(shown)
    assert TEXT not in shown(Secret(TEXT))


def test_it_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("headwater").info("with %s and %r", Secret(TEXT), Secret(TEXT))
    assert TEXT not in caplog.text
    assert HIDDEN in caplog.text


def test_it_is_not_written_elsewhere() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(TEXT))
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(Secret(TEXT))
    with pytest.raises(TypeError):
        json.dumps(Secret(TEXT))
    assert not hasattr(Secret(TEXT), "__dict__")


def test_it_can_be_asked_for() -> None:
    assert Secret(TEXT).reveal() == TEXT
