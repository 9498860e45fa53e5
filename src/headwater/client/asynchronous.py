"""The client for asyncio: the methods of ``sync``, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx

from headwater.client import answers, calls, failures

T = TypeVar("T")
URL = "http://127.0.0.1:8000"


class AsyncClient:
    """Talks to a live service.

    Args:
        url: of the service.
        key: an API key or a bearer token; sent as ``Authorization: Bearer``.
        timeout: seconds to wait for an answer.

    Example:
        >>> import headwater as hw
        >>> async with hw.AsyncClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     await client.events("transactions", [{"transaction_id": 1, "account_id": 42, "amount": 9.5}])
        ...     (await client.decide({"account_id": 42})).band
        'healthy'
    """

    def __init__(self, url: str = URL, *, key: str | None = None, timeout: float = 30.0) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def events(
        self, stream: str, events: Sequence[Mapping[str, Any]], *, refresh: bool = False
    ) -> answers.Events:
        """Send events; they are on disk when this returns.

        Args:
            stream: the stream's name.
            events: column to value; a column that is left out is null. Times are aware datetimes or texts.
            refresh: wait for the fresh scores, and answer with them.

        Raises:
            ApiError: the request was refused as a whole. Single events are answered in the results.
            UnreachableError: no answer came. Send them again: events with ids count once.
        """
        return await self._ask(calls.events(stream, events, refresh))

    async def arrow(self, stream: str, body: bytes, *, refresh: bool = False) -> answers.Events:
        """Send events as an Arrow IPC stream; see :meth:`events`."""
        return await self._ask(calls.arrow(stream, body, refresh))

    async def decide(
        self,
        keys: Mapping[str, Any],
        *,
        policy: str | None = None,
        request: Mapping[str, Any] | None = None,
        at: calls.Moment | None = None,
        idempotency_key: str | None = None,
    ) -> answers.Decision:
        """Decide on an entity; the record is on disk when this returns.

        Args:
            keys: key column to the entity's key.
            policy: may be left out if the project has one only.
            request: the model's request columns.
            at: as of when: an aware datetime, ISO 8601, or microseconds; now if left out.
            idempotency_key: the same key gives the same decision again.

        Raises:
            ApiError: with the problem that the server told of.
            UnreachableError: no answer came.
        """
        return await self._ask(calls.decide(keys, policy, request, at, idempotency_key))

    async def decision(self, decision_id: str) -> answers.Decision:
        """A decision as it was recorded."""
        return await self._ask(calls.decision(decision_id))

    async def replay(self, decision_id: str) -> answers.Replay:
        """A decision made again from the log."""
        return await self._ask(calls.replay(decision_id))

    async def features(self, view: str, key: Any, at: calls.Moment | None = None) -> answers.Features:
        """One view's features of one key, now or at a moment."""
        return await self._ask(calls.features(view, key, at))

    async def models(self) -> answers.Models:
        """The models of the project, and the versions that are served."""
        return await self._ask(calls.models())

    async def policies(self) -> answers.Policies:
        """The policies of the project."""
        return await self._ask(calls.policies())

    async def plan(self) -> answers.Plan:
        """The project's definitions, in the form whose hash is stamped on decisions."""
        return await self._ask(calls.plan())

    async def dead_letters(
        self, *, stream: str | None = None, reason: str | None = None, after: int = 0, limit: int = 100
    ) -> answers.DeadLetters:
        """Events that were refused, the oldest first; ``next`` of a page is ``after`` of the next one."""
        return await self._ask(calls.dead_letters(stream, reason, after, limit))

    async def redrive(
        self, *, stream: str | None = None, reason: str | None = None, limit: int = 1_000
    ) -> answers.Redriven:
        """Give refused events a second chance, after what was wrong was mended."""
        return await self._ask(calls.redrive(stream, reason, limit))

    async def reload(self) -> answers.Reloaded:
        """Serve what the project file and the registry say now."""
        return await self._ask(calls.reload())

    async def promote(
        self, model: str, version: str | int | None = None, *, force: bool = False, why: str | None = None
    ) -> answers.ChampionChanged:
        """Make a version the champion: the challenger, or a number or alias; see ``headwater promote``."""
        return await self._ask(calls.promote(model, version, force, why))

    async def rollback(self, model: str, *, why: str | None = None) -> answers.ChampionChanged:
        """Bring the earlier champion back."""
        return await self._ask(calls.rollback(model, why))

    async def shadow(self, model: str | None = None) -> answers.Shadow:
        """What challengers would have said of live decisions."""
        return await self._ask(calls.shadow(model))

    async def gate(self, model: str, version: str | int | None = None) -> answers.Gate:
        """What the newest gate of a model, or of one version, found."""
        return await self._ask(calls.gate(model, version))

    async def scores(
        self, *, model: str | None = None, band: str | None = None
    ) -> AsyncIterator[answers.Score]:
        """Fresh scores as they come, until the server goes down; of one model, or in one band, if named."""
        query = {name: text for name, text in (("model", model), ("band", band)) if text is not None}
        found = calls.Scores()
        try:
            async with self._http.stream("GET", found.PATH, params=query, timeout=None) as response:
                if response.is_error:
                    await response.aread()
                    raise failures.of_response(response)
                async for line in response.aiter_lines():
                    if (score := found.line(line)) is not None:
                        yield score
        except httpx.HTTPError as error:
            raise failures.of_transport(error, f"{self._http.base_url}") from error

    async def ready(self) -> answers.Ready:
        """Whether the service serves; raises if it does not."""
        return await self._ask(calls.ready())

    async def _ask(self, call: calls.Call[T]) -> T:
        try:
            response = await self._http.request(
                call.method,
                call.path,
                params=dict(call.query),
                content=call.body,
                headers=calls.headers(call),
            )
        except httpx.HTTPError as error:
            raise failures.of_transport(error, f"{self._http.base_url}") from error
        if response.is_error:
            raise failures.of_response(response)
        return calls.read(call, response.content)
