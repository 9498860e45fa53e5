"""Hot swap: what is to be served next is built beside what is served now.

::

    old ──────────────────────────────────┐ answers until the switch
    log ──► new engine, by replay ──► the rest, in the writer's thread ──► new

Called by ``taking``, whose writer makes the switch between two commits.
"""

from __future__ import annotations

from collections.abc import Mapping

from headwater.core.errors import Problem
from headwater.definitions.project import Project
from headwater.engine.run import Engine
from headwater.log.protocol import EventLog
from headwater.serving.rising import catch_up
from headwater.serving.scoring import Scoring
from headwater.serving.served import Serving, Trial
from headwater.serving.vectors import Vectors


def beside(
    old: Serving,
    project: Project,
    scorings: Mapping[str, Scoring],
    log: EventLog,
    canaries: Mapping[str, Trial] | None = None,
) -> Serving:
    """What is to be served next: on the old engine if its views stay, else on one built by replay.

    Events go on being taken meanwhile; see :func:`close_up` for those.
    """
    if same_views(project, old.project):
        return Serving.of(project, scorings, old.vectors, canaries)
    engine = Engine(project.views)
    catch_up(engine, log)
    return Serving.of(project, scorings, Vectors(engine), canaries)


def close_up(new: Serving, old: Serving, log: EventLog) -> None:
    """Take in what came since, in the writer's thread, where nothing else comes."""
    if new.vectors is not old.vectors:
        catch_up(new.vectors.engine, log)


def same_views(new: Project, old: Project) -> bool:
    """Whether the engine of one project is that of the other."""
    return new.streams == old.streams and {one.name: one for one in new.views} == {
        one.name: one for one in old.views
    }


def changed_streams(new: Project, old: Project) -> list[Problem]:
    """Streams that are declared otherwise than those that are being filled."""
    known = {stream.name: stream for stream in old.streams}
    return [
        Problem(
            f"the stream {stream.name!r} is declared otherwise than it is being filled",
            expected="the same columns and types; new streams, views, models and policies may come",
            where=stream.name,
            do="end the service and start it again",
        )
        for stream in new.streams
        if known.get(stream.name, stream) != stream
    ]
