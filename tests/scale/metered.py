"""What ``headwater stream --metrics`` shows, asked over HTTP while the command runs in this process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

PATIENCE = 60.0  # seconds


def sample(page: Callable[[], str], name: str, **labels: str) -> float:
    """The sum of a sample over all that has these labels; -1 if there is none."""
    found = [
        sample.value
        for family in text_string_to_metric_families(page())
        for sample in family.samples
        if sample.name == f"headwater_{name}" and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else -1.0


class Command:
    """The command, asked from a thread beside it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - our own
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def sample(self, name: str, **labels: str) -> float:
        return sample(lambda: self.ask("/metrics")[1], name, **labels)

    def is_there(self) -> bool:
        try:
            return self.ask("/livez") == (200, '{"status":"ok"}')
        except URLError:
            return False

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, self.ask("/metrics")[1]
            time.sleep(0.05)


@contextmanager
def beside(port: int, look: Callable[[Command], None]) -> Iterator[None]:
    """Look at the command that runs within, from a thread, once it is there; then end it.

    Args:
        port: of its metrics.
        look: what is looked at.
    """

    ended = Event()

    def looking() -> None:
        one = Command(port)
        one.until(one.is_there)
        try:
            look(one)
        finally:
            if not ended.is_set():
                os.kill(os.getpid(), signal.SIGTERM)  # the command ends by it

    with ThreadPoolExecutor(1) as pool:
        looked = pool.submit(looking)
        try:
            yield
        finally:
            ended.set()
        looked.result()
