"""What people and outside systems say to a saga under test, as inputs of the core."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from saga.core import decisions, waits
from saga.core.approvals import waiting
from saga.core.events import Choice
from saga.core.inputs import DecisionGiven, Refusal, SignalGiven
from saga.core.state import Request
from saga.engine.operate import NotPossible
from saga.testing.story import Story

APPROVER = "test"


class Deciding(msgspec.Struct, frozen=True, kw_only=True):
    """A person's decision, as a test says it."""

    path: str
    choice: Choice
    approver: str
    roles: frozenset[str] | None
    """None: those that were asked for."""
    edit: msgspec.Struct | None = None
    reason: str = ""


def requests(story: Story) -> Iterator[tuple[str, Request]]:
    """What people can decide on now, by path."""
    return waiting(story.plan, story.state)


def signal_of(story: Story, name: str, body: msgspec.Struct, now: datetime, message_id: str | None) -> SignalGiven:
    """The signal, of a message of its own unless one is named. Raises NotPossible for one the saga does not take."""
    given = SignalGiven(
        now=now,
        signal=name,
        message_id=message_id or f"signal-{len(story.state.signal_ids) + 1}",
        body=msgspec.json.encode(body),
        by="test",
    )
    _possible(waits.objection(story.plan, story.state, given))
    return given


def decision_of(story: Story, said: Deciding, now: datetime) -> DecisionGiven:
    """The decision on what is asked now. Raises NotPossible, in the approver's words, for one that does not count."""
    request = story.state.requests.get(said.path)
    asked = () if request is None else request.roles
    given = DecisionGiven(
        now=now,
        path=said.path,
        choice=said.choice,
        approver=said.approver,
        by="test",
        roles=frozenset(asked) if said.roles is None else said.roles,
        request=f"decision-{len(story.state.decision_ids) + 1}",
        digest="" if request is None else request.digest,
        reason=said.reason,
        edited=None if request is None or said.edit is None else _edited(request.subject, said.edit),
    )
    _possible(decisions.objection(story.plan, story.state, given))
    return given


def _edited(subject: bytes, edit: msgspec.Struct) -> bytes:
    """The subject as edited. Equal values keep their bytes, as a form would keep the fields nobody touched."""
    before = msgspec.json.decode(subject, type=dict[str, msgspec.Raw])
    after = msgspec.json.decode(msgspec.json.encode(edit), type=dict[str, msgspec.Raw])
    for name, value in before.items():
        if name in after and msgspec.json.decode(value) == msgspec.json.decode(after[name]):
            after[name] = value
    return msgspec.json.encode({**{name: after[name] for name in before if name in after}, **after})


def _possible(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise NotPossible(f"{refusal.code}: {refusal.text}")
