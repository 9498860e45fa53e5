"""``headwater decide``: ask a running service for a decision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from headwater.apps.cli.remote import WHERE, service
from headwater.apps.cli.screen import Screen, shown
from headwater.apps.cli.workplace import JSON
from headwater.client.answers import Decision, Model, Policy
from headwater.client.sync import Client
from headwater.core.errors import DataError


@click.command("decide")
@click.option(
    "--key", "keys", metavar="COLUMN=VALUE", multiple=True, required=True, help="The entity. Repeatable."
)
@click.option("--policy", help="Which.  [default: the project's only one]")
@click.option(
    "--request", metavar="COLUMN=VALUE", multiple=True, help="A request column's value. Repeatable."
)
@click.option("--at", metavar="TIME", help="As of this time, ISO 8601 with a zone.  [default: now]")
@WHERE
@JSON
def command(
    keys: tuple[str, ...],
    policy: str | None,
    request: tuple[str, ...],
    at: str | None,
    url: str,
    as_json: bool,
) -> None:
    """Ask a running service for a decision.

    The decision is recorded, as any other.
    """
    screen = Screen(as_json=as_json)
    with service(url) as client:
        types = _types(client, policy)
        made = client.decide(
            _values(keys, types, "--key"), policy=policy, request=_values(request, types, "--request"), at=at
        )
    if as_json:
        screen.write(msgspec.to_builtins(made))
    else:
        _print(screen, made)


def _types(client: Client, name: str | None) -> Mapping[str, str]:
    """The keys and request columns of the policy's model, by name, with their types."""
    policies: list[Policy] = client.policies().policies
    models: dict[str, Model] = {model.name: model for model in client.models().models}
    for policy in policies:
        if name in (None, policy.name) and policy.model in models:
            return {**models[policy.model].keys, **models[policy.model].request}
    return {}


def _values(pairs: tuple[str, ...], types: Mapping[str, str], option: str) -> dict[str, Any]:
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.UsageError(f"{option} takes column=value")
        values[name] = _value(name, text, types.get(name, ""))
    return values


def _value(name: str, text: str, dtype: str) -> Any:
    """A value as JSON has it: numbers and Booleans where the column holds such, else text."""
    if not dtype.startswith(("Int", "UInt", "Float", "Boolean")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise DataError.of(
            f"a value for {name!r} is of another type",
            expected=dtype,
            got="a text that cannot be read as one",
            where=name,
            do="correct the value",
        ) from None


def _print(screen: Screen, made: Decision) -> None:
    entity = ", ".join(f"{name} {value}" for name, value in made.keys.items())
    screen.say(f"{made.policy}: {entity} is {made.band!r}, with a score of {made.score:.4f}", "bold")
    screen.say(f"decision {made.decision_id}, as of {made.time}, on the log up to offset {made.offset:,}")
    screen.say()
    for number, reason in enumerate(made.reasons, 1):
        usual = "" if reason.reference is None else f", usually {shown(reason.reference)}"
        screen.say(f"  {number}. {reason.text}  ({reason.feature} is {shown(reason.value)}{usual})")
    if not made.reasons:
        screen.say("  Nothing out of the ordinary raised the score.")
