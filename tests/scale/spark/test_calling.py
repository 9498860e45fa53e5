"""Calls for parts of the online store that no broker takes: told once, and made again."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

import headwater as hw
from headwater.core.errors import OnlineError
from headwater.scale.kafka.cluster import Cluster
from headwater.scale.spark import calling
from tests.serving import bank


def test_brokers_that_do_not_answer_are_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "_FLUSH", 0.2)
    monkeypatch.setattr(calling.Calling, "_wanted", lambda calls: {0, 2} | calls._missed)
    minutes, faults = count(1), []
    publishing: Any = SimpleNamespace(
        parts=3, address=lambda: None, stopwatch=lambda: next(minutes) * 60_000_000_000
    )
    project = hw.Project("away", models=[bank.model(features=[bank.SPENDING], derived={})])
    calls = calling.Calling(
        publishing, project, Cluster("127.0.0.1:1"), lambda part, fault: faults.append((part, fault))
    )
    for _ in range(3):
        calls.look()
        assert calls._missed == {0, 2}
    ((part, fault),) = faults
    assert part == "online"
    assert isinstance(fault, OnlineError)
    (problem,) = fault.problems
    assert problem.what == "parts of the online store cannot be called for"
    assert problem.got == "no answer in 0.2 s"
