"""Telling what waits to be told, channel by channel; a channel that fails is tried again, later and later.

A failure never reaches the caller. It is noted with the message, tried again by whoever delivers next, and is
an alert of its own (rule ``channel``), which the other channels tell: once, since an alert is opened once.
Called by ``check``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.apps.alerting.channels import Channel, ChannelError
from headwater.apps.alerting.message import message_of
from headwater.core.instant import DAY, HOUR, MINUTE
from headwater.store.alerts import AlertStore, Notice, Signal

LOG = logging.getLogger("headwater.alerts")
GIVE_UP = 3 * DAY  # after so long a message is old news
RULE = "channel"
_LONGEST = 6 * HOUR


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of what waited.

    Attributes:
        told: messages that were told, over all channels.
        failed: channel to what was wrong with it.
    """

    told: int
    failed: dict[str, str]


def deliver(store: AlertStore, channels: Sequence[Channel], project: str, *, now: int) -> Delivered:
    """Tell what waits; what is wrong with a channel becomes an alert, and is told by the others.

    Args:
        store: the alerts.
        channels: who tells.
        project: the project's name.
        now: microseconds UTC.
    """
    told, failed = 0, {}
    for channel in channels:
        sent, fault = _told(store, channel, project, now)
        told += sent
        if fault is not None:
            failed[channel.name] = fault
            store.signal(_broken(channel, fault, now), now=now)
        elif sent:
            store.resolve(RULE, channel.name, now=now)
    for channel in channels:
        if channel.name not in failed:  # what came up about the other channels
            told += _told(store, channel, project, now)[0]
    return Delivered(told, failed)


def _told(store: AlertStore, channel: Channel, project: str, now: int) -> tuple[int, str | None]:
    """Tell in order until one fails: how many were told, and what was wrong."""
    told = 0
    for notice in store.waiting(channel.name, now=now, since=now - GIVE_UP):
        if notice.alert.signal.rule == RULE and notice.alert.signal.subject == channel.name:
            store.delivered(notice, channel.name, now=now)  # nobody is told by a channel that it is broken
            continue
        fault = _fault(store, notice, channel, project, now)
        if fault is not None:
            return told, fault
        told += 1
    return told, None


def _fault(store: AlertStore, notice: Notice, channel: Channel, project: str, now: int) -> str | None:
    """Tell one message, and note what became of it: what was wrong, or None."""
    fault, again = "", True
    try:
        channel.send(message_of(notice, project), now=now)
    except ChannelError as error:
        fault, again = error.fault, error.again
    except Exception as error:  # noqa: BLE001 - a channel's bug must not break who alerts
        fault = f"it failed in a way that nobody foresaw: {type(error).__name__}"
    else:
        store.delivered(notice, channel.name, now=now)
        return None
    LOG.warning("the channel %s failed: %s", channel.name, fault)
    later = now + min(MINUTE * 2**notice.attempts, _LONGEST)
    store.undelivered(notice, channel.name, fault, next_at=later if again else None)
    return fault


def _broken(channel: Channel, fault: str, now: int) -> Signal:
    return Signal(
        rule=RULE,
        subject=channel.name,
        severity="warning",
        since=now,
        what=f"Alerts do not reach the channel {channel.name}",
        how_bad=f"{fault}; it is tried again, for three days at most",
        do="look at its settings and its receiver, then: headwater alerts test",
    )
