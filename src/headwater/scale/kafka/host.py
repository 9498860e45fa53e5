"""The live host on Kafka: one of a consumer group, with the state of the partitions that it is given.

::

    poll ──► by partition ──► engine, scores ──┐   one transaction, told beside the next turn:
      ▲                                        ├─► scores and dead letters out, offsets of the events in
      └── rebalance: state with its partition ─┘   committed, or none of it happened

What an event does to the state is a function of its partition's records, so state needs no transaction: it is
the newest snapshot and the records behind it. Up to the group's committed offset they are taken in quietly,
since their scores are out already; from there on, loudly. A transaction that fails, or a host that another
has replaced (the broker fences it), leaves nothing behind, nor do those behind it: the state is dropped and
built again.

Called by the command ``headwater stream``. Read ``partition``, ``flights`` and ``snapshots`` next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from headwater.core.errors import LogError
from headwater.definitions.project import Project
from headwater.scale.kafka import out
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics, unreachable
from headwater.scale.kafka.flights import Flights
from headwater.scale.kafka.keeper import Keeper
from headwater.scale.kafka.partition import Effect, Partition
from headwater.scale.kafka.payloads.reading import CONTENT_TYPE, Record
from headwater.scale.kafka.producer import PATIENCE, through
from headwater.scale.kafka.standing import EVERY, Standing, Standings
from headwater.scale.kafka.turns import Tally, Turn, tally
from headwater.serving.scoring import Scoring

MOST = 50_000  # records of one turn: the more at once, the less each costs
GATHER = 0.01  # seconds that records are gathered for while a transaction is in flight
WORTH = 1_000  # records of a turn from which on partitions are worked on beside each other

_OF = "partitions="  # what is noted beside an offset: of how many

Place = tuple[int, str]  # partition and stream
Moved = Literal["assigned", "revoked", "lost", "undone"]


@dataclass(frozen=True)
class Hooks:
    """Who is told; called in the host's thread, and must not raise.

    Attributes:
        on_turn: after each commit.
        on_fault: what went wrong and was got over: where, and what.
        on_effect: before each commit, for tests and for whoever counts: partition, stream, effect.
        on_own: a partition came, or its state was built anew; before anything is taken in: which, its state.
        on_gone: it went, or its state is let go.
        on_moved: partitions come, before their states are there (``assigned``); went to others (``revoked``,
            or ``lost`` without a word); or are to be built anew, since a transaction was undone (``undone``).
        on_restored: one has got to where the group stood when it came.
        on_standing: where they stand, twice a second; None: nobody wants to know, and nobody looks. So it
            is with ``on_restored``.
    """

    on_turn: Callable[[Turn], None] = lambda _turn: None
    on_fault: Callable[[str, BaseException], None] = lambda _where, _error: None
    on_effect: Callable[[int, str, Effect], None] = lambda _number, _stream, _effect: None
    on_own: Callable[[int, Partition], None] = lambda _number, _state: None
    on_gone: Callable[[int], None] = lambda _number: None
    on_moved: Callable[[Moved, Collection[int]], None] = lambda _how, _numbers: None
    on_restored: Callable[[int], None] = lambda _number: None
    on_standing: Callable[[Standing], None] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """Who a host is.

    Attributes:
        group: the consumer group; hosts of one group share the partitions.
        name: of this host, unique in its group; the same after a restart, so that what it left open when it
            was killed is closed at once.
        session_ms: after how long without a sign of life its partitions go to others.
        threads: that work on partitions beside each other; 0 for one a processor.
    """

    group: str
    name: str
    session_ms: int = 10_000
    threads: int = 0


class Host:
    """Keeps the scores of some models fresh from Kafka. One thread.

    Args:
        cluster: where.
        project: the definitions.
        scorings: model to its version.
        folder: where snapshots are kept; shared by the hosts of a group, or each its own.
        member: who it is.
        hooks: who is told.
        stopwatch: nanoseconds since anything, for the times of a turn.

    Raises:
        DefinitionError: the project's entities do not lie in one partition each.
        LogError: the cluster does not answer.
    """

    def __init__(
        self,
        cluster: Cluster,
        project: Project,
        scorings: Mapping[str, Scoring],
        folder: Path,
        member: Member,
        hooks: Hooks | None = None,
        stopwatch: Callable[[], int] = lambda: 0,
    ) -> None:
        self._cluster = cluster
        self._hooks = hooks or Hooks()
        self._stopwatch = stopwatch
        self._topics = Topics(project)
        self._streams = {topic: stream.name for topic, stream in self._topics.streams.items()}
        self._keeper = Keeper(project, scorings, folder, cluster.registry, self._hooks.on_fault)
        self._pool = ThreadPoolExecutor(member.threads or os.cpu_count() or 1, "headwater-partitions")
        self._standings = None if self._hooks.on_standing is None else Standings(self._streams)
        self._generation: Any = None  # of the group, in which the partitions were given
        self._moved = False  # partitions came or went while records were asked for
        self._count = make_topics(cluster, self._topics)
        try:
            self._flights = Flights(cluster, f"{member.group}-{member.name}")
            self._consumer = Consumer(
                cluster.settings(
                    group_id=member.group,
                    client_id=member.name,
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",
                    isolation_level="read_committed",
                    partition_assignment_strategy="range",  # the same number of each topic to one host
                    session_timeout_ms=member.session_ms,
                    heartbeat_interval_ms=max(100, member.session_ms // 5),
                    fetch_wait_max_ms=100,  # for the first byte: less asks more often, and is told no sooner
                    fetch_queue_backoff_ms=5,
                    **({} if self._standings is None else _reports(self._standings)),
                )
            )
            self._consumer.subscribe(list(self._streams), self._assign, self._revoke, self._lose)
        except KafkaException as error:
            raise unreachable(cluster, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def partitions(self) -> dict[int, Partition]:
        """The partitions that it owns."""
        return {number: owned.state for number, owned in self._keeper.owned.items()}

    @property
    def count(self) -> int:
        """How many partitions the project's topics have."""
        return self._count

    @property
    def place(self) -> int:
        """How many records its partitions have taken in; may be asked from another thread."""
        return sum(owned.place for owned in list(self._keeper.owned.values()))

    @property
    def in_flight(self) -> int:
        """How many transactions have not come through yet: :meth:`turn` goes on with them."""
        return len(self._flights)

    def turn(self, timeout: float = 0.2) -> int:
        """Take in what has come, and begin to tell what it did; how many records.

        Args:
            timeout: seconds to wait for the first.

        Raises:
            LogError: this host cannot go on; another with its name may.
        """
        self._moved = False
        self._look()
        try:
            self._flights.land()
        except KafkaException as error:
            self._start_over(error)
            return 0
        try:
            messages = self._consumer.consume(1, timeout)  # the first at once, and then what is there
            if messages:  # those behind a turn in flight would wait for it: let them be fewer turns
                messages += self._consumer.consume(MOST, GATHER if self._flights.last else 0)
            if self._moved:  # some may be of a time before the state: read on from where that stands
                self._consumer.assign(self._starts())
                return 0
        except KafkaException as error:
            raise unreachable(self._cluster, error) from error
        self._keeper.step(self._flights.last)
        records = self._sorted(messages)
        if not records:
            return 0
        begun = self._stopwatch()
        effects = self._take(records)
        count = sum(len(one) for one in records.values())
        try:
            told = {place: effect for place, effect in effects.items() if effect is not None}
            self._tell(records, told, begun)
        except KafkaException as error:
            self._start_over(error)
            return 0
        return count

    def keep(self) -> None:
        """Write a snapshot of each partition that has moved on, beside the next turns.

        One that cannot be written is told, and tried again the next time: the topics are enough to go on.
        """
        self._keeper.keep()
        self._keeper.step(self._flights.last)

    def close(self) -> None:
        """Keep the state and leave the group, whose other hosts take over at once."""
        last_first = self._consumer.close, self._pool.shutdown, self._keeper.close, self._flights.close
        try:
            with ExitStack() as stack:  # whatever one of them raises, the others have their turn
                for step in (*last_first, self._settle):
                    stack.callback(step)
        except (KafkaException, LogError, RuntimeError) as error:  # RuntimeError: it is closed already
            self._hooks.on_fault("close", error)

    # --- A turn ------------------------------------------------------------------------------------

    def _sorted(self, messages: Sequence[Any]) -> dict[Place, list[Record]]:
        """Records by partition and stream, each in order."""
        records: dict[Place, list[Record]] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self._complain(error)
                continue
            number = message.partition()
            if number not in self._keeper.owned:
                continue
            records.setdefault((number, self._streams[message.topic()]), []).append(record_of(message))
        return records

    def _complain(self, error: KafkaError) -> None:
        """An event of the client: what it gets over by itself is told, what it cannot is raised."""
        fault = KafkaException(error)
        if error.fatal() or error.code() in (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.GROUP_AUTHORIZATION_FAILED,
        ):
            raise unreachable(self._cluster, fault)
        self._hooks.on_fault("consume", fault)

    def _take(self, records: Mapping[Place, Sequence[Record]]) -> dict[Place, Effect | None]:
        """Take in the records; their effects, None for what was told before.

        Partitions know nothing of each other, so threads may take one each: the kernels let go of the GIL.
        """
        partitions: dict[int, dict[str, Sequence[Record]]] = {}
        for (number, stream), some in records.items():
            partitions.setdefault(number, {})[stream] = some
        if len(partitions) > 1 and sum(map(len, records.values())) >= WORTH:
            futures = [self._pool.submit(self._take_one, *one) for one in partitions.items()]
            wait(futures)  # all of them, even where one fails: nobody works on a state that is let go
            each = [future.result() for future in futures]
        else:
            each = [self._take_one(*one) for one in partitions.items()]
        return {place: effect for effects in each for place, effect in effects.items()}

    def _take_one(self, number: int, records: Mapping[str, Sequence[Record]]) -> dict[Place, Effect | None]:
        owned = self._keeper.owned[number]
        effects: dict[Place, Effect | None] = {}
        for stream, some in records.items():
            told = owned.committed.get(stream, 0)
            quiet = [record for record in some if record.offset < told]
            if quiet:
                owned.state.take(stream, quiet, quiet=True)
            loud = some[len(quiet) :]
            effects[number, stream] = owned.state.take(stream, loud) if loud else None
        return effects

    def _tell(
        self, records: Mapping[Place, Sequence[Record]], effects: Mapping[Place, Effect], begun: int
    ) -> None:
        """Scores and dead letters out, and the offsets, as one: sent off, and known later."""
        streams = self._tallies(records, effects)
        if not effects:  # all of it was told before
            self._hooks.on_turn(Turn.of(streams))
            return
        departed, landed = self._stopwatch(), [0]
        teller = self._flights.begin()
        for (number, stream), effect in effects.items():
            self._hooks.on_effect(number, stream, effect)
            for one in effect.rescored:
                teller.send(self._topics.scores, out.scores(one, number))
            teller.send(self._topics.dead_letters, out.letters(effect.letters, number))
        ends = {place: records[place][-1].offset + 1 for place in effects}
        topics = {(self._topics.of(stream), number): end for (number, stream), end in ends.items()}
        arrival = min(self._first_told(place, records[place]).arrival for place in effects)

        def committed() -> None:
            landed[0] = self._stopwatch()

        def known() -> None:
            for (number, stream), end in ends.items():
                if number in self._keeper.owned:
                    self._keeper.owned[number].committed[stream] = end
            self._hooks.on_turn(Turn.of(streams, arrival, begun, departed, landed[0]))

        self._flights.depart(topics, self._generation, f"{_OF}{self._count}", known, committed)

    def _tallies(
        self, records: Mapping[Place, Sequence[Record]], effects: Mapping[Place, Effect]
    ) -> dict[str, Tally]:
        """What was done with the records of each stream."""
        counts: dict[str, int] = {}
        for (_, stream), some in records.items():
            counts[stream] = counts.get(stream, 0) + len(some)
        return {
            stream: tally(count, [effect for (_, of), effect in effects.items() if of == stream])
            for stream, count in counts.items()
        }

    def _first_told(self, place: Place, records: Sequence[Record]) -> Record:
        """The first of some records that was not told before; there is one."""
        number, stream = place
        told = self._keeper.owned[number].committed.get(stream, 0)
        return next(record for record in records if record.offset >= told)

    def _follow(self) -> None:
        """What is owned now is what is looked at from now on."""
        if self._standings is not None:
            self._standings.come(self._keeper.owned)

    def _look(self) -> None:
        """Tell where the partitions stand, if somebody wants to know and there is something new."""
        if self._standings is None or self._hooks.on_standing is None:
            return
        for number in self._standings.restored(self._keeper.owned):
            self._hooks.on_restored(number)
        found = self._standings.look(self._keeper.owned)
        if found is not None:
            self._hooks.on_standing(found)

    def _start_over(self, error: KafkaException) -> None:
        """A transaction that did not come through: undo it and those behind it, and build the state again.

        Raises:
            LogError: the client cannot go on; a new one can.
        """
        self._undo(error)
        try:
            assigned = self._consumer.assignment()
            if assigned:
                self._hooks.on_moved("undone", _numbers(assigned))
                self._build(self._consumer, assigned)  # in the same generation, if there is a newer one
        except KafkaException as again:
            raise unreachable(self._cluster, again) from again

    def _settle(self) -> None:
        """Wait for all that is in flight, before partitions go or come.

        Raises:
            LogError: the client cannot go on; a new one can.
        """
        try:
            self._flights.land(0)
        except KafkaException as error:
            self._undo(error)

    def _undo(self, error: KafkaException) -> None:
        """Undo all that is in flight, and forget the state that it was told of.

        Raises:
            LogError: the client cannot go on; a new one can.
        """
        self._hooks.on_fault("commit", error)
        left = self._flights.left()
        for number in self._keeper.owned:
            self._hooks.on_gone(number)
        self._keeper.drop()  # it is ahead of what was told
        try:
            if not error.args[0].txn_requires_abort():
                raise error
            for teller in left:
                teller.undo()
        except KafkaException as again:
            raise unreachable(self._cluster, again) from again

    # --- Partitions come and go --------------------------------------------------------------------

    def _assign(self, consumer: Any, assigned: Sequence[Any]) -> None:
        """Partitions come, in a new generation of the group."""
        self._settle()
        self._generation = consumer.consumer_group_metadata()
        self._hooks.on_moved("assigned", _numbers(assigned))
        self._build(consumer, assigned)

    def _build(self, consumer: Any, assigned: Sequence[Any]) -> None:
        """Each partition with its newest snapshot, read on from there.

        Raises:
            LogError: the topics have another number of partitions than when the group began.
        """
        known = make_topics(self._cluster, self._topics)
        asked = [TopicPartition(topic, number) for topic in self._streams for number in range(known)]
        committed = through(lambda: consumer.committed(asked, PATIENCE), self._flights.rest)
        self._same_number(known, {one.metadata for one in committed if one.metadata})
        mine = _numbers(assigned)
        told: dict[int, dict[str, int]] = {}
        for one in committed:
            if one.partition in mine:
                told.setdefault(one.partition, {})[self._streams[one.topic]] = max(one.offset, 0)
        for number, places in told.items():
            self._keeper.admit(number, places)
            self._hooks.on_own(number, self._keeper.owned[number].state)
        self._follow()
        self._moved = True
        consumer.assign(self._starts())

    def _same_number(self, known: int, notes: Collection[str]) -> None:
        """See that entities lie where they lay when the group's first events were taken in."""
        before = {int(note.removeprefix(_OF)) for note in notes if note.startswith(_OF)} | {self._count}
        if before == {known}:
            return
        raise LogError.of(
            "the number of partitions of the project's topics was changed",
            expected=f"{min(before)} partitions, over which its events are keyed",
            got=f"{known}: an entity's new events lie apart from its history",
            where=", ".join(self._streams),
            do="copy the events to topics of the new number under another project name (`copy_events`)",
        )

    def _starts(self) -> list[Any]:
        """Where the state of each partition stands."""
        return [
            TopicPartition(topic, number, owned.state.positions[stream] or OFFSET_BEGINNING)
            for number, owned in self._keeper.owned.items()
            for topic, stream in self._streams.items()
        ]

    def _revoke(self, _consumer: Any, revoked: Sequence[Any]) -> None:
        """Partitions go: their state is kept for whoever gets them."""
        self._moved = True
        self._settle()
        for number in _numbers(revoked):
            self._hooks.on_gone(number)
            self._keeper.release(number)
        self._follow()
        self._hooks.on_moved("revoked", _numbers(revoked))

    def _lose(self, _consumer: Any, lost: Sequence[Any]) -> None:
        """Partitions are gone already: another has them, and we say nothing of them any more."""
        self._moved = True
        self._settle()
        for one in lost:
            self._hooks.on_gone(one.partition)
            self._keeper.lose(one.partition)
        self._follow()
        self._hooks.on_moved("lost", _numbers(lost))


def _reports(standings: Standings) -> dict[str, Any]:
    """What lets the client report what it knows."""
    return {"statistics_interval_ms": EVERY, "stats_cb": standings.hear}


def _numbers(some: Sequence[Any]) -> set[int]:
    """The partitions that are named, whatever their topics."""
    return {one.partition for one in some}


def record_of(message: Any) -> Record:
    """A message as the door takes it."""
    kind, stamp = message.timestamp()
    arrival = 0 if kind == TIMESTAMP_NOT_AVAILABLE else stamp * 1_000
    headers = message.headers()
    payload = _content_type(headers) if headers else ""
    return Record(message.offset(), arrival, message.value() or b"", payload)


def _content_type(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """What a record's headers say of its payload; the last one counts."""
    found = [value for name, value in headers if name.lower() == CONTENT_TYPE]
    return (found[-1] or b"").decode("latin-1") if found else ""
