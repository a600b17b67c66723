"""What people and outside systems do to a saga at work."""

from collections.abc import Collection
from datetime import datetime
from typing import Self

import msgspec

from saga.core import events as e
from saga.core import inputs as i
from saga.core.events import Choice
from saga.core.inputs import Verdict
from saga.core.operate import objection
from saga.core.state import Request
from saga.engine.operate import NotPossible
from saga.testing.engine import Engine
from saga.testing.outside import APPROVER, Deciding, decision_of, requests, signal_of

ACTOR = "test"
REASON = "a test said so"


class Outsiders:
    """Those a saga waits for. Each method raises NotPossible, with the code and words they would read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def approvals(self) -> dict[str, Request]:
        """What people can decide on now, by path: subject, summary, roles, quorum, decisions so far."""
        return dict(requests(self._engine.story))

    async def signal(self, name: str, body: msgspec.Struct, *, message_id: str | None = None) -> Self:
        """Somebody outside sends a signal; the same `message_id` again is the same signal again."""
        self._engine.apply(signal_of(self._engine.story, name, body, self._engine.now, message_id))
        return self

    async def approve(
        self,
        path: str,
        approver: str = APPROVER,
        *,
        roles: Collection[str] | None = None,
        edit: msgspec.Struct | None = None,
        reason: str = "",
    ) -> Self:
        """A person approves, with these roles (None: those that were asked for); `edit` is the subject as changed."""
        held = None if roles is None else frozenset(roles)
        said = Deciding(path=path, choice=Choice.APPROVE, approver=approver, roles=held, edit=edit, reason=reason)
        return self._decide(said)

    async def reject(
        self, path: str, approver: str = APPROVER, *, roles: Collection[str] | None = None, reason: str = REASON
    ) -> Self:
        """A person says no."""
        held = None if roles is None else frozenset(roles)
        return self._decide(Deciding(path=path, choice=Choice.REJECT, approver=approver, roles=held, reason=reason))

    def _decide(self, said: Deciding) -> Self:
        self._engine.apply(decision_of(self._engine.story, said, self._engine.now))
        return self


class Operator:
    """What people may do to a saga. Each raises NotPossible, in an operator's words, when it does not fit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cancel(self, reason: str = REASON) -> str:
        """Ask for compensation; returns when it takes effect: `now`, `if-pivot-fails` or `too-late`."""
        now = self._now()
        request = f"cancel-{self._engine.state.version}"
        asked = self._engine.apply(i.Cancel(now=now, request=request, by="operator", actor=ACTOR, reason=reason))
        return next((event.takes_effect for event in asked if isinstance(event, e.CancelRequested)), "now")

    def abandon(self, reason: str = REASON) -> tuple[str, ...]:
        """Close without undoing; returns the steps whose effects stand or may stand."""
        closed = self._engine.apply(i.Abandon(now=self._now(), actor=ACTOR, reason=reason))
        return next((event.unresolved for event in closed if isinstance(event, e.SagaAbandoned)), ())

    def pause(self, reason: str = REASON) -> None:
        """Issue nothing and stop every deadline."""
        self._engine.apply(i.Pause(now=self._now(), actor=ACTOR, reason=reason))

    def resume(self, reason: str = REASON) -> None:
        """End a pause: open deadlines move by its length."""
        self._engine.apply(i.Resume(now=self._now(), actor=ACTOR, reason=reason))
        self._engine.tick()

    def resolve(
        self,
        path: str,
        verdict: Verdict,
        *,
        evidence: str = "",
        reply: msgspec.Struct | None = None,
        reason: str = REASON,
    ) -> None:
        """Move a parked step."""
        given = i.Resolve(
            now=self._now(),
            path=path,
            verdict=verdict,
            actor=ACTOR,
            reason=reason,
            evidence=evidence,
            reply=None if reply is None else msgspec.json.encode(reply),
        )
        refusal = objection(self._engine.story.plan, self._engine.state, given)
        if refusal is not None:
            raise NotPossible(refusal)
        self._engine.apply(given)

    def _now(self) -> datetime:
        if self._engine.state.terminal:
            raise NotPossible(f"the saga has ended: {self._engine.state.phase}")
        return self._engine.now
