"""``headwater plan``: the project's definitions as tables, their hash, what changed since, what was before.

Definitions are applied by ``import`` and ``train``, and kept for good by these and by ``serve``. Changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from headwater.apps.cli.records import kept_of
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.instant import iso, span_text
from headwater.definitions.compile import compiled, content_hash, difference, dtype_text, hash_of
from headwater.definitions.label import Happens, Label
from headwater.definitions.model import Model
from headwater.definitions.observe import Every, Observe
from headwater.definitions.project import Project
from headwater.definitions.stream import Stream
from headwater.definitions.view import view_hash

_DIGITS = 16  # of a hash, where people read


@click.command("plan")
@at_workplace
def command(work: Workplace, screen: Screen) -> None:
    """Show what the project defines, and what changed.

    Loads the project file, which checks every definition, and prints streams, features, models and policies
    with their hashes. The changes are those since the last import or training in this data folder. A changed
    feature view gets new state, built by replay; a changed model must be trained again. Last come the
    definitions that were ever in force, which `headwater replay --definitions HASH` takes.
    """
    document = _document(work)
    if screen.as_json:
        screen.write(document)
        return
    project = work.project
    screen.say(f"project {project.name}  {document['hash']}", "bold")
    _streams(screen, project)
    _views(screen, project)
    _models(screen, project)
    _policies(screen, project)
    for notice in project.notices:
        screen.note(str(notice))
    _changes(screen, document["changes"])
    _kept(screen, document["kept"])


def _document(work: Workplace) -> dict[str, Any]:
    project, before = work.project, work.applied()
    definition = compiled(project)
    changes = None if before is None else difference(before, definition)
    return {
        "project": project.name,
        "hash": hash_of(definition),
        "applied_hash": None if before is None else hash_of(before),
        "changes": None
        if changes is None
        else [
            {"path": change.path, "old": change.old, "new": change.new, "text": str(change)}
            for change in changes
        ],
        "views": {view.name: view_hash(view) for view in project.views},
        "models": {model.name: content_hash(model) for model in project.models},
        "definition": definition,
        "kept": _known(work, project),
    }


def _known(work: Workplace, project: Project) -> list[dict[str, Any]]:
    """Every definition that was in force, in that order."""
    kept = kept_of(work)
    todays = {content_hash(one) for one in (project, *project.models, *project.policies)}
    return [
        {
            "kind": one.kind,
            "name": one.name,
            "hash": one.digest,
            "since": iso(one.since),
            "today": one.digest in todays,
        }
        for one in ([] if kept is None else kept.all())
    ]


def _streams(screen: Screen, project: Project) -> None:
    rows = [
        (stream.name, name, dtype_text(dtype), _role(project, stream, name))
        for stream in project.streams
        for name, dtype in stream.schema.items()
    ]
    screen.table("Streams", ("stream", "column", "type", "role"), rows)


def _role(project: Project, stream: Stream, column: str) -> str:
    keys = {view.key for view in project.views if view.stream.name == stream.name}
    roles = {"id": column == stream.id, "time": column == stream.time, "key": column in keys}
    roles["personal"] = column in stream.personal
    return ", ".join(role for role, holds in roles.items() if holds)


def _views(screen: Screen, project: Project) -> None:
    rows = [
        (
            output.name,
            view.name,
            view.key,
            output.aggregate.op,
            "forever" if output.over is None else span_text(output.over),
            span_text(output.aggregate.delay) if output.aggregate.delay else None,
            dtype_text(output.dtype),
        )
        for view in project.views
        for output in view.outputs
    ]
    screen.table("Features", ("feature", "view", "key", "what", "window", "delay", "type"), rows)


def _models(screen: Screen, project: Project) -> None:
    rows = [
        (
            model.name,
            model.entity,
            len(model.inputs),
            label_text(model.label),
            observe_text(model.observe),
            type(model.estimator).__name__,
            _retrain_text(model),
        )
        for model in project.models
    ]
    columns = ("model", "entity", "inputs", "label", "observed", "estimator", "retrained")
    screen.table("Models", columns, rows, numbers=("inputs",))


def _policies(screen: Screen, project: Project) -> None:
    rows = [
        (policy.name, policy.model.name, _bands(policy.bands), len(policy.reasons))
        for policy in project.policies
    ]
    if rows:
        screen.table("Policies", ("policy", "model", "bands", "reasons"), rows, numbers=("reasons",))


def _changes(screen: Screen, changes: list[dict[str, Any]] | None) -> None:
    if changes is None:
        screen.say("These definitions were not applied yet: nothing was imported or trained in this folder.")
    elif not changes:
        screen.say("Nothing changed since these definitions were applied.")
    else:
        screen.say(f"{len(changes)} changes since the definitions were applied:", "bold")
        for change in changes:
            screen.say(f"  {change['text']}")


def _kept(screen: Screen, kept: list[dict[str, Any]]) -> None:
    if kept:
        rows = [
            (
                one["kind"],
                one["name"],
                one["hash"][:_DIGITS],
                one["since"],
                "today's" if one["today"] else None,
            )
            for one in kept
        ]
        screen.table("Kept definitions", ("kind", "name", "hash", "in force since", ""), rows)


def label_text(label: Label) -> str:
    """A label in a few words."""
    if isinstance(label, Happens):
        return f"happens in {label.stream.name} within {span_text(label.within)}"
    return f"{label.column}, known after {span_text(label.known_after) if label.known_after else '0d'}"


def observe_text(observe: Observe) -> str:
    """When a model looks, in a few words."""
    return (
        f"every {span_text(observe.span)}" if isinstance(observe, Every) else f"each of {observe.stream.name}"
    )


def _retrain_text(model: Model) -> str | None:
    if model.retrain is None:
        return None
    return f"every {span_text(model.retrain.every)} on {span_text(model.retrain.window)}"


def _bands(bands: Mapping[str, float]) -> str:
    return ", ".join(f"{name} from {lowest:g}" for name, lowest in bands.items())
