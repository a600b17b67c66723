"""Lifecycle events: from the follower of the history to whoever subscribed."""

from datetime import datetime

import msgspec

from saga.core.lifecycle import LifecycleEvent, Moment, ParkedAt, WaitingFor
from saga.ports import Outgoing
from saga.wire import names


class LifecycleBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a saga. No payload and no free text: the caller hears the output, operators read the rest."""

    saga: str
    """The saga's id."""
    name: str
    """Name of the definition."""
    key: str
    """The business key, or the message id of the start that named none."""
    definition_version: int
    root: str
    """The saga at the top of the tree; itself, if it has no parent."""
    parent: str | None = None
    """The saga that started it, if one did."""
    moment: Moment
    version: int
    """Of the commit in the saga's history: rises from event to event of a saga, with gaps."""
    at: datetime
    """When it was committed, by the store's clock."""
    status: str
    """After it: `running`, `parked`, `compensating`, `completed`, `compensated`, `abandoned`."""
    because: str = ""
    """With `compensating`: `failed`, `exhausted`, `cancelled`, `deadline`, `operator`, `parent`."""
    code: str = ""
    """With `compensating` and a compensated end: the declared failure, else the same word as `because`."""
    step: str = ""
    """With `compensating`: the step that gave the reason, if one did."""
    parked: tuple[ParkedAt, ...] = ()
    """With `parked`: every step that waits for a person now; of more than 100 the new ones and some others."""
    waits: tuple[WaitingFor, ...] = ()
    """With `waiting`: every reason now, but for replies that are due; of more than 100 the new ones and some others."""
    more: int = 0
    """With `parked` and `waiting`: how many more there are than are listed."""


def lifecycle_to_wire(event: LifecycleEvent) -> Outgoing:
    """The message that tells it; not mandatory, for there may be no subscriber. The same event gives the same bytes."""
    body = LifecycleBody(
        saga=event.saga,
        name=event.name,
        key=event.key,
        definition_version=event.definition_version,
        root=event.root,
        parent=event.parent,
        moment=event.moment,
        version=event.version,
        at=event.at,
        status=event.status,
        because=event.because,
        code=event.code,
        step=event.step,
        parked=event.parked,
        waits=event.waits,
        more=event.more,
    )
    return Outgoing(
        exchange=names.EXCHANGE_EVENTS,
        routing_key=f"{event.name}.{event.moment}",
        body=msgspec.json.encode(body),
        message_id=event.id,
        type=names.TYPE_LIFECYCLE,
        headers={names.NAME: event.name, names.VERSION: str(event.definition_version), names.KEY: event.key},
        correlation_id=event.saga,
        mandatory=False,
    )
