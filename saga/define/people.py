"""The verbs of people: what they approve, who they are, and what their silence means."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec

from saga.contract import Command, Contract, Failure
from saga.core.bounds import DECISIONS_MAX
from saga.core.definition import Approval, OnSilence
from saga.core.expression import Expression
from saga.define.blocks import Asked
from saga.define.builder import Builder, Verbs
from saga.define.commands import SUBJECT, contract_at
from saga.define.placeholder import Placeholder, Source, type_text, value_of
from saga.define.recorded import Findings
from saga.define.shapes import NO_DEFAULT, Field
from saga.define.words import Escalate, On, placeholder_in

C = TypeVar("C", bound=Command[object, Failure])
S = TypeVar("S")

ROLE_CHARACTERS_MAX = 64
_SILENCE = {On.REJECT: OnSilence.REJECT, On.COMPENSATE: OnSilence.COMPENSATE}


class Approved(msgspec.Struct, Generic[S], frozen=True):
    """What people decided. With `when=` everything but the subject may be absent: read it with `coalesce`."""

    subject: S
    """What was approved, as it was approved: edited, if an approver changed it."""
    approver: str
    """Who gave the last approval."""
    reason: str | None
    approved_at: datetime


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Who decides, how, and until when: the words of an approval as the author wrote them."""

    roles: Sequence[str] | None
    quorum: int
    exclude_requester: bool
    summary: str | None
    when: bool | None
    expires: timedelta | None
    on_expiry: object
    remind: timedelta | None


class Asking(msgspec.Struct, frozen=True):
    """What is asked about."""

    path: str
    contract: Contract | None = None
    editable: tuple[str, ...] = ()
    gate: bool = False


class People(Verbs):
    """Decisions of people, recorded as evidence."""

    __slots__ = ()

    def approval(  # noqa: PLR0913 - each is a word of its own
        self,
        name: str,
        command: C,
        *,
        roles: Sequence[str],
        quorum: int = 1,
        exclude_requester: bool = False,
        summary: str | None = None,
        when: bool | None = None,
        expires: timedelta | None = None,
        on_expiry: Literal[On.REJECT, On.COMPENSATE] | Escalate = On.REJECT,
        remind: timedelta | None = None,
        edit: Callable[[C], object] | None = None,
    ) -> Approved[C]:
        """Ask people to approve a command; then one step sends `.subject`: the bytes approved are the bytes sent.

        Anybody with one of the `roles` may decide, once; `quorum` approvals of different people open the way, one
        rejection fails it with `On.REJECTED`. `exclude_requester`: not whoever started the saga. `summary` tells what
        it is about; with `when` it is asked only if that holds. After `expires`, by `on_expiry`: silence is a refusal;
        `On.COMPENSATE` fails it with `On.EXPIRED`; `Escalate(to=[...])` asks other roles too. `remind` repeats the
        request so often. `edit=lambda mail: (mail.subject, mail.body)` names the fields an approver may change.
        """
        rules = Rules(
            roles=roles,
            quorum=quorum,
            exclude_requester=exclude_requester,
            summary=summary,
            when=when,
            expires=expires,
            on_expiry=on_expiry,
            remind=remind,
        )
        path = self._builder.claim(name)
        contract = contract_at(self._builder.values, command, path)
        editable = () if edit is None else _editable(self._builder, path, type(command), edit)
        return _ask(self._builder, Asking(path, contract, editable), command, rules)

    def gate(  # noqa: PLR0913 - each is a word of its own
        self,
        name: str,
        *,
        showing: S,
        roles: Sequence[str],
        quorum: int = 1,
        exclude_requester: bool = False,
        summary: str | None = None,
        when: bool | None = None,
        expires: timedelta | None = None,
        on_expiry: Literal[On.REJECT, On.COMPENSATE] | Escalate = On.REJECT,
        remind: timedelta | None = None,
    ) -> Approved[S]:
        """Ask people whether to go on; `showing` is what they see. The words are those of `approval`."""
        rules = Rules(
            roles=roles,
            quorum=quorum,
            exclude_requester=exclude_requester,
            summary=summary,
            when=when,
            expires=expires,
            on_expiry=on_expiry,
            remind=remind,
        )
        return _ask(self._builder, Asking(self._builder.claim(name), gate=True), showing, rules)


def _ask(builder: Builder, asking: Asking, subject: S, rules: Rules) -> Approved[S]:
    """Write an approval or a gate down."""
    values, path, contract = builder.values, asking.path, asking.contract
    roles = _roles(builder, path, rules.roles, "roles")
    _check_counts(builder, path, rules)
    silence, escalate_to = _silence(builder, path, rules)
    kind: Any = value_of(subject).type if isinstance(subject, Placeholder) else type(subject)
    shown = values.expression(subject, Any, builder.site(f"{path}.{SUBJECT}"))
    condition = None if rules.when is None else _condition(builder, path, rules.when)
    summary = None if rules.summary is None else values.expression(rules.summary, str, builder.site(f"{path}.summary"))

    def made(guards: str | None) -> Approval:
        return Approval(
            path=path,
            subject=shown,
            subject_type=type_text(kind) if contract is None else contract.type_name,
            guards=guards,
            roles=roles,
            quorum=rules.quorum,
            exclude_requester=rules.exclude_requester,
            summary=summary,
            condition=condition,
            editable=asking.editable,
            expires=rules.expires,
            on_silence=silence,
            escalate_to=escalate_to,
            remind_every=rules.remind,
        )

    asked = Asked(path, contract, asking.gate, builder.scope, made)
    builder.add(asked)
    values.found.asked[path] = asked
    read = _reader(builder.source(path, dict[str, Any], builder.scope), waivable=condition is not None)
    return Approved(
        subject=cast("S", read(SUBJECT, kind, always=True)),
        approver=read("approver", str),
        reason=read("reason", str | None),
        approved_at=read("approved_at", datetime),
    )


def _reader(source: Placeholder, *, waivable: bool) -> Callable[..., Any]:
    def read(name: str, kind: Any, *, always: bool = False) -> Any:
        found = kind if always or not waivable else kind | None
        return Placeholder("field", found, source, Field(name, name, found, NO_DEFAULT))

    return read


def _condition(builder: Builder, path: str, when: bool) -> Expression:  # noqa: FBT001 - the subject
    placeholder_in("when", when)
    return builder.values.expression(when, bool, builder.site(f"{path}.when"))


def _roles(builder: Builder, path: str, roles: Sequence[str] | None, word: str) -> tuple[str, ...]:
    named = () if roles is None or isinstance(roles, str) else tuple(roles)
    if not named:
        builder.bad(path, f"names no {word}: nobody could decide", f'{word}=["editor"]')
    for role in named:
        if not isinstance(cast("object", role), str) or not 0 < len(role.strip()) <= ROLE_CHARACTERS_MAX:
            builder.bad(path, f"{role!r} is no role", f"a name of at most {ROLE_CHARACTERS_MAX} characters")
        elif named.count(role) > 1:
            builder.bad(path, f"names the role '{role}' twice", "name it once")
    return named


def _check_counts(builder: Builder, path: str, rules: Rules) -> None:
    builder.is_count(path, "quorum", rules.quorum, DECISIONS_MAX)
    times = (("expires", rules.expires), ("remind", rules.remind))
    fit = [time is None or builder.is_time(path, word, time) for word, time in times]
    if all(fit) and rules.expires is not None and rules.remind is not None and rules.remind >= rules.expires:
        reason = f"remind={rules.remind} comes only after it has expired ({rules.expires})"
        builder.bad(path, reason, "remind sooner, or leave it out")


def _silence(builder: Builder, path: str, rules: Rules) -> tuple[OnSilence, tuple[str, ...]]:
    """What silence means, and who is asked then."""
    given = rules.on_expiry
    if given is not On.REJECT and rules.expires is None:
        builder.bad(path, "says what its expiry means, but never expires", "give it expires=timedelta(...)")
    if isinstance(given, Escalate):
        others = _roles(builder, path, given.to, "roles to escalate to")
        if others and not set(others) - set(rules.roles or ()):
            builder.bad(path, "escalates to roles that were asked before", "name others: Escalate(to=[...])")
        return OnSilence.ESCALATE, others
    if not isinstance(given, On) or given not in _SILENCE:
        fix = "On.REJECT, On.COMPENSATE or Escalate(to=[...])"
        builder.bad(f"{path}.on_expiry", f"{given!r} is not possible here", fix)
        return OnSilence.REJECT, ()
    pivot = builder.scope.pivot_passed()
    if given is On.COMPENSATE and pivot and not builder.scope.catches(On.EXPIRED):
        reason = f"on_expiry=On.COMPENSATE after the pivot '{pivot}', where nothing is undone any more"
        builder.bad(path, reason, "on_expiry=Escalate(to=[...]), or no expires=")
    return _SILENCE[given], ()


def _editable(builder: Builder, path: str, kind: type[C], edit: Callable[[C], object]) -> tuple[str, ...]:
    """The fields named by the author's function, as they are written on the wire."""
    source = Placeholder("source", kind, Source(builder.values.found, kind.__name__))
    named: object = edit(cast("C", source))
    if isinstance(named, Placeholder):
        named = (named,)
    if not isinstance(named, tuple) or not named:
        builder.bad(path, "edit= names no fields", "edit=lambda mail: (mail.subject, mail.body)")
        return ()
    fields: list[str] = []
    for value in named:
        inner = value_of(value) if isinstance(value, Placeholder) else None
        if inner is None or inner.op != "field" or inner.args[0] is not source:
            reason = f"edit= names {value!r}, which is no field of {kind.__name__}"
            builder.bad(path, reason, "name whole fields of the command: (mail.subject, mail.body)")
        elif inner.args[1].encode_name not in fields:
            fields.append(inner.args[1].encode_name)
    return tuple(fields)


def problems_of_approvals(found: Findings) -> None:
    """Every approved command is sent by one step."""
    for asked in found.asked.values():
        if asked.gate:
            continue
        if not asked.sent_by:
            reason = "is approved, but never sent"
            found.bad(asked.path, reason, 's.pivot("send", letter.subject), or s.gate(...) if nothing is sent')
        elif len(asked.sent_by) > 1:
            reason = f"is sent by {' and '.join(asked.sent_by)}, but a permit is good for one step"
            found.bad(asked.path, reason, "send it once, or ask for another approval")
