r"""When each request is due, and over which connection it goes.

::

    due     |    |    |    |    |    |    |         every 1/rate seconds, whatever the server does
    sent    |    |    |        ⎡|    |    |
    answer   \_|  \_|  \________|⎦\_|  \_|         a stall: two requests are sent late, and all three
    latency  ·-·  ·-·  ·--------·                   count from the moment at which they were due
                            ·---·-·

An open loop: callers do not wait for one another, and neither may a generator, or it would leave out just
those requests that a stalled server makes wait ("coordinated omission", Gil Tene). What finds no free
connection waits here, and its waiting counts. Without a rate, the loop is closed: each connection sends when
its answer has come, which finds the highest rate and says little of latency.

Called by ``headwater bench load`` and the benchmarks.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from headwater.apps.load.connection import Address, Connection
from headwater.apps.load.tally import Ended, Tally

_SECOND = 1_000_000_000
_LOOK = 0.1  # seconds between two looks for timeouts and errors
_FEW = 20  # requests after which a share of errors means something
_SELECTABLE = 500  # connections that select() can wait for
_BEHIND = 0.001  # seconds
_PAUSE = 0.2  # seconds before a connection is tried again


class Request(NamedTuple):
    """A request to send: its kind, and its bytes."""

    kind: str
    data: bytes


class Source(Protocol):
    """Where requests come from."""

    def next(self) -> Request | None:
        """The next one; None if there are no more."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How requests are sent.

    Attributes:
        rate: requests a second, an open loop; None: as many as the connections take, a closed loop.
        seconds: for how long, the warm-up not counted in.
        connections: how many at once.
        warmup: seconds at the start that are not measured.
        timeout: seconds to wait for an answer.
        max_errors: the share of errors at which it ends; None: never.
        even: requests come evenly; otherwise at random, as from many callers (a Poisson process).
        seed: of that randomness.
    """

    rate: float | None
    seconds: float
    connections: int = 32
    warmup: float = 0.0
    timeout: float = 10.0
    max_errors: float | None = None
    even: bool = True
    seed: int = 0

    @property
    def requests(self) -> int | None:
        """How many are due while it is measured; None of a closed loop."""
        return None if self.rate is None else round(self.rate * self.seconds)

    def due(self) -> Iterator[int]:
        """The moments at which requests are due, in nanoseconds from the start, without end."""
        assert self.rate is not None  # noqa: S101 - of an open loop
        chance, at, count = random.Random(self.seed), 0.0, 0
        while True:
            yield round(at * _SECOND)
            count += 1
            at = count / self.rate if self.even else at + chance.expovariate(self.rate)


Tell = Callable[[Tally, float], None]


def load(address: Address, source: Source, pace: Pace, tell: Tell | None = None) -> Tally:
    """Put a load on a server, until it is over or Ctrl-C ends it.

    Args:
        address: of the server.
        source: of the requests.
        pace: how they are sent.
        tell: told now and then how it stands, and how many seconds of the measuring are over.

    Raises:
        OSError: no connection could be made at the start.
    """
    with asyncio.Runner(loop_factory=lambda: _event_loop(pace.connections)) as runner:
        return runner.run(_Load(address, source, pace, tell).run())


def _event_loop(connections: int) -> asyncio.AbstractEventLoop:
    """select() waits to the microsecond, where epoll() and uvloop round up to a millisecond."""
    if connections > _SELECTABLE:
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


class _Load:
    """One load under way."""

    def __init__(self, address: Address, source: Source, pace: Pace, tell: Tell | None) -> None:
        self.address, self.source, self.pace, self.tell = address, source, pace, tell
        self.tally = Tally()
        self.tls = address.context
        self.open: set[Connection] = set()
        self.idle: deque[Connection] = deque()
        self.backlog: deque[int] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.first = self.last = 0  # from when on, and until when, what is due is measured
        self.over = asyncio.Event()  # nothing more becomes due
        self.quiet = asyncio.Event()  # and nothing is under way

    async def run(self) -> Tally:
        await asyncio.gather(*(self._connect() for _ in range(self.pace.connections)))
        started, used = time.perf_counter_ns(), time.process_time()
        self.first = started + round(self.pace.warmup * _SECOND)
        self.last = self.first + round(self.pace.seconds * _SECOND)
        watch = asyncio.create_task(self._watch())
        with self._interruptible():
            await (self._closed() if self.pace.rate is None else self._open(started))
            self.over.set()
            self._settle()
            if self.tally.ended is Ended.DONE or self.tally.ended is Ended.USED_UP:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.quiet.wait(), self.pace.timeout)
        watch.cancel()
        self._finish()
        self.tally.seconds = self._measured()
        self.tally.processor = time.process_time() - used
        await self._close()
        return self.tally

    # --- When ---------------------------------------------------------------------------------------

    async def _open(self, started: int) -> None:
        for offset in self.pace.due():
            due = started + offset
            if due >= self.last:
                return
            while (wait := (due - time.perf_counter_ns()) / _SECOND) > 0:
                await asyncio.sleep(min(wait, _LOOK))
                if self.over.is_set():
                    return
            if wait < -_BEHIND:
                await asyncio.sleep(0)  # let answers in before the next
            if self.over.is_set():
                return
            self._due(due)

    async def _closed(self) -> None:
        while self.idle:
            self._send(self.idle.popleft(), time.perf_counter_ns())
        left = (self.last - time.perf_counter_ns()) / _SECOND
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), left)

    def _due(self, due: int) -> None:
        if self.idle:
            connection = self.idle.popleft()
            if due >= self.first:
                self.tally.late.record(time.perf_counter_ns() - due)
            self._send(connection, due)
        else:
            self.backlog.append(due)
            self.tally.waiting = len(self.backlog)

    def _send(self, connection: Connection, due: int) -> None:
        request = self.source.next()
        if request is None:
            self.idle.append(connection)
            self.backlog.clear()
            self._end(Ended.USED_UP)
            return
        connection.kind, connection.due = request.kind, due
        connection.sent = time.perf_counter_ns()
        if due >= self.first:
            self.tally.kind(request.kind).sent += 1
        connection.send(request.data)

    def _end(self, why: Ended) -> None:
        if not self.over.is_set():
            self.tally.ended = why
            self.over.set()

    # --- What came ----------------------------------------------------------------------------------

    def on_answer(self, connection: Connection, status: int, body: bytes, *, keep: bool) -> None:
        now = time.perf_counter_ns()
        kind, due, sent = connection.kind, connection.due, connection.sent
        if not kind:  # an answer that nobody asked for
            return
        connection.kind = ""
        if self.first <= due and (self.pace.rate is not None or now <= self.last):
            self.tally.answered(kind, status, body, due, sent, now)
        if keep:
            self._next(connection)
        else:
            self._again(connection)

    def on_loss(self, connection: Connection, why: str) -> None:
        if connection.kind and connection.due >= self.first:
            now = time.perf_counter_ns()
            self.tally.unanswered(connection.kind, why.partition(":")[0], connection.due, now, why)
        connection.kind = ""
        self._again(connection)

    def _next(self, connection: Connection) -> None:
        """A connection is free."""
        if self.backlog:
            self._send(connection, self.backlog.popleft())
            self.tally.waiting = len(self.backlog)
        elif self._goes_on() and (now := time.perf_counter_ns()) < self.last:
            self._send(connection, now)
        else:
            self.idle.append(connection)
            self._settle()

    def _goes_on(self) -> bool:
        """In a closed loop: the next request is sent as soon as there was an answer."""
        return self.pace.rate is None and self.first > 0 and not self.over.is_set()

    def _again(self, connection: Connection) -> None:
        """A connection is gone: another takes its place."""
        if connection in self.open:
            self.open.discard(connection)
            with contextlib.suppress(ValueError):
                self.idle.remove(connection)
            connection.abort()
            self._settle()
            if not self.quiet.is_set():
                task = asyncio.ensure_future(self._reconnect())
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    def _settle(self) -> None:
        """Note it if nothing is under way any more."""
        if self.over.is_set() and not self.backlog and not any(one.kind for one in self.open):
            self.quiet.set()

    # --- Around it ----------------------------------------------------------------------------------

    async def _connect(self) -> None:
        loop, address = asyncio.get_running_loop(), self.address
        making = loop.create_connection(lambda: Connection(self), address.host, address.port, ssl=self.tls)
        _, connection = await asyncio.wait_for(making, self.pace.timeout)
        self.open.add(connection)
        self._next(connection)

    async def _reconnect(self) -> None:
        while not self.quiet.is_set():
            with contextlib.suppress(OSError):  # a refused one, or one that takes too long
                return await self._connect()
            await asyncio.sleep(_PAUSE)
        return None

    async def _watch(self) -> None:
        patience = round(self.pace.timeout * _SECOND)
        while True:
            await asyncio.sleep(_LOOK)
            now = time.perf_counter_ns()
            for connection in [one for one in self.open if one.kind and now - one.sent > patience]:
                self.on_loss(connection, "timeout")
            if self._failing(_FEW):
                self._end(Ended.ERRORS)
            if self.tell is not None:
                self.tell(self.tally, max(min(now, self.last) - self.first, 0) / _SECOND)

    def _failing(self, least: int) -> bool:
        """Whether too large a share of at least so many requests failed."""
        done, most = self.tally.good + self.tally.errors, self.pace.max_errors
        return most is not None and done >= least and self.tally.errors > most * done

    def _finish(self) -> None:
        """What is still without an answer; what was cut off by hand is nobody's fault."""
        if self.tally.ended is Ended.INTERRUPTED:
            return
        now = time.perf_counter_ns()
        if self.pace.rate is not None:
            for connection in self.open:
                if connection.kind and connection.due >= self.first:
                    self.tally.unanswered(connection.kind, "unanswered", connection.due, now)
            for due in self.backlog:
                if due >= self.first:
                    self.tally.unanswered("never sent", "never sent", due, now)
        if self._failing(1):
            self.tally.ended = Ended.ERRORS

    def _measured(self) -> float:
        """Seconds; an open loop's backlog counts in, or a server that is too slow would look quick."""
        now = time.perf_counter_ns()
        if self.tally.ended is Ended.DONE and (self.pace.rate is None or now < self.last):
            now = self.last
        return max(now - self.first, 0) / _SECOND

    async def _close(self) -> None:
        self.quiet.set()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for connection in self.open:
            connection.kind = ""
            connection.abort()
        self.open.clear()
        await asyncio.sleep(0)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C ends the load and keeps its figures; a second one is as everywhere."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            self._end(Ended.INTERRUPTED)
            self.quiet.set()
            loop.remove_signal_handler(signal.SIGINT)

        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            loop.add_signal_handler(signal.SIGINT, stop)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.remove_signal_handler(signal.SIGINT)
