"""A small server of HTTP/1.1 that does as it is told: for loads whose outcome is known beforehand."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def answer(status: str, body: bytes, *headers: str) -> bytes:
    """The bytes of an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Small:
    """The server.

    Attributes:
        port: of it.
        came: the moments at which requests came, seconds of ``time.perf_counter``.
        bodies: of the requests.
        reply: what is answered to the n-th request, from 0; None closes the connection.
        stall: seconds during which nothing is answered, from and until, after the first request.
    """

    reply: Callable[[int], bytes | None] = lambda _: OK
    stall: tuple[float, float] = (0.0, 0.0)
    port: int = 0
    came: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                self.bodies.append(await reader.readexactly(length))
                self.came.append(time.perf_counter())
                given = self.reply(len(self.came) - 1)
                since = time.perf_counter() - self.came[0]
                if self.stall[0] <= since < self.stall[1]:
                    await asyncio.sleep(self.stall[1] - since)
                if given is None:
                    return
                writer.write(given)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


@contextmanager
def small(
    reply: Callable[[int], bytes | None] = lambda _: OK, stall: tuple[float, float] = (0.0, 0.0)
) -> Iterator[Small]:
    """The server on a free port, in a thread, until the block ends."""
    made, up = Small(reply, stall), threading.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        made.port = server.sockets[0].getsockname()[1]
        ended = asyncio.Event()
        made.end = lambda: loop.call_soon_threadsafe(ended.set)  # type: ignore[attr-defined]
        up.set()
        await ended.wait()
        server.close()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert up.wait(10)
    try:
        yield made
    finally:
        made.end()  # type: ignore[attr-defined]
        thread.join(10)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
