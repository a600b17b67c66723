"""`assert_idempotent`: delivers a command in every way a broker, a crash or an impatient saga can, and counts."""

import logging
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from saga.adapters.system import SystemIds
from saga.contract import Contract, Effect, contract_of
from saga.core.messages import Outcome
from saga.ports import Database
from saga.testing.deliveries import Asked, Broken, Life, spelt
from saga.testing.service import Effects, Service, Subject, Workshop, workshop
from saga.testing.stories import AWAITS_MAX, REFUSAL, Deadly, Story, stories_of

C = TypeVar("C", bound=msgspec.Struct)

# Refusals are provoked here on purpose: where nobody set up logging, Python would print each of them.
logging.getLogger("saga").addHandler(logging.NullHandler())

ADVICE = {
    Effect.INBOX: "do everything through ctx.tx, and leave commit and rollback to the library; "
    "what happens elsewhere needs provider_key or probe",
    Effect.PROVIDER_KEY: "give ctx.key to the provider, and nothing that changes with a repeat",
    Effect.PROBE: "the probe must find by ctx.key what an interrupted run did",
    Effect.AT_MOST_ONCE: "have one effect, at one place, and raise InDoubt when it may have happened",
    Effect.READ_ONLY: "change nothing, or declare the effect in the contract",
}


class Finding(msgspec.Struct, frozen=True):
    """One rule that was broken, and how it came about."""

    story: str
    rule: str
    expected: str
    happened: str
    log: tuple[str, ...]

    def __str__(self) -> str:
        deliveries = "\n".join(f"      {line}" for line in self.log)
        return (
            f"  {self.story}\n    rule:     {self.rule}\n    expected: {self.expected}\n"
            f"    happened: {self.happened}\n    deliveries:\n{deliveries}"
        )


class NotIdempotent(AssertionError):
    """A command that does not survive its deliveries, with every rule it broke."""

    def __init__(self, contract: Contract, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        told = "\n".join(str(finding) for finding in findings)
        title = f"{contract.type_name} (effect {contract.effect}) breaks what a participant must do"
        super().__init__(f"{title} (numbers: docs/reference/wire.md)\n{told}\n  Fix: {ADVICE[contract.effect]}")


class Proven(msgspec.Struct, frozen=True):
    """What a command survived."""

    stories: tuple[str, ...]
    crashes: int
    """Places at which its process was killed."""


async def assert_idempotent(
    subject: Subject,
    command: C | Callable[[str], C],
    *,
    effects: Effects = lambda: 0,
    undo: msgspec.Struct | Callable[[C, Any], msgspec.Struct] | None = None,
    database: Database | None = None,
    migrations: Path | None = None,
) -> Proven:
    """Deliver a command twice, at once, after a crash at every await, undone first, expired, with other bytes, ...

    `subject` is a participant, its handlers (of the undo too), or a function from message to reply that was written
    without the library. `effects` counts what stands: it changes with the command and goes back with its undo; SQL for
    the service's own database, or a function. `undo` is the compensation, or a function that makes it from the command
    and its reply (None when none came). Without `database` each story has a fresh SQLite file; over a shared one, or
    where effects stay, pass `command` as a function of a name that is new in each story.

    Raises NotIdempotent with every rule that was broken, TypeError for a test that cannot show anything.
    """
    asked = Asked(_by_name(command), _by_reply(undo))
    contract = contract_of(type(asked.command("any")))
    if contract.effect is Effect.READ_ONLY and undo is not None:
        raise TypeError(f"{contract.type_name} is read_only: there is nothing to undo. Fix: leave undo= out")
    async with workshop(subject, effects, database, migrations) as made:
        teller = _Teller(made, asked, contract)
        outcome = await teller.once()
        plain, deadly = stories_of(contract.effect, refused=outcome is Outcome.FAILED, undone=undo is not None)
        for story in plain:
            await teller.tell(_title(story), story)
        crashes = sum([await teller.tell_everywhere(_title(fatal), fatal) for fatal in deadly])
    if teller.findings:
        raise NotIdempotent(contract, tuple(teller.findings))
    return Proven((*map(_title, plain), *map(_title, deadly)), crashes)


class _Teller:
    """Tells stories, each to a service of its own."""

    def __init__(self, made: Workshop, asked: Asked, contract: Contract) -> None:
        self._made = made
        self._asked = asked
        self._contract = contract
        self._names = (f"{SystemIds().message()[:12]}-{number}" for number in count(1))
        self._unit = 0
        self.findings: list[Finding] = []

    async def once(self) -> Outcome:
        """Learn what one undisturbed delivery changes. Raises TypeError when it shows nothing, NotIdempotent."""
        async with self._made.service() as service:
            life = await self._life(service)
            try:
                reply = await life.do()
            except Broken as unanswered:
                finding = _finding("The command comes once.", unanswered, life)
                raise NotIdempotent(self._contract, (finding,)) from unanswered
            self._unit = await life.change()
        name = self._contract.type_name
        if reply.outcome not in {Outcome.OK, Outcome.FAILED}:
            fix = "a command that this service carries out"
            raise TypeError(f"{name} was answered {spelt(reply)}, so there is nothing to repeat. Fix: {fix}")
        if reply.outcome is Outcome.OK and self._contract.effect is not Effect.READ_ONLY and self._unit == 0:
            fix = "effects=, SQL or a function that counts what the handler changes"
            raise TypeError(f"{name} was answered {spelt(reply)}, and effects saw nothing of it. Fix: {fix}")
        if reply.outcome is Outcome.FAILED and self._unit != 0:
            broken = Broken(REFUSAL, "effects changed by 0", f"effects changed by {self._unit}")
            raise NotIdempotent(self._contract, (_finding("The command comes once.", broken, life),))
        return reply.outcome

    async def tell(self, title: str, story: Story) -> bool:
        """Whether every rule held; what was broken is kept."""
        async with self._made.service() as service:
            life = await self._life(service)
            try:
                await story(life)
            except Broken as broken:
                self.findings.append(_finding(title, broken, life))
                return False
        return True

    async def tell_everywhere(self, title: str, fatal: Deadly) -> int:
        """Die at each await in turn, until a rule is broken or nothing is left; how often it died."""
        for at in range(1, AWAITS_MAX):
            died: list[bool] = []

            async def story(life: Life, at: int = at, died: list[bool] = died) -> None:
                died.append(await fatal(life, at))

            if not await self.tell(f"{title} It died at await {at}.", story) or died == [False]:
                return at - 1
        fix = "a command with fewer steps"
        raise TypeError(f"{self._contract.type_name} awaits more than {AWAITS_MAX} times. Fix: {fix}")

    async def _life(self, service: Service) -> Life:
        return Life(service, self._asked, next(self._names), await service.effects(), self._unit)


def _finding(title: str, broken: Broken, life: Life) -> Finding:
    return Finding(title, broken.rule, broken.expected, broken.happened, tuple(life.log))


def _by_name(command: msgspec.Struct | Callable[[str], msgspec.Struct]) -> Callable[[str], msgspec.Struct]:
    if isinstance(command, msgspec.Struct):
        return lambda _: command
    return command


def _by_reply(
    undo: msgspec.Struct | Callable[[C, Any], msgspec.Struct] | None,
) -> Callable[[Any, Any], msgspec.Struct] | None:
    if isinstance(undo, msgspec.Struct):
        return lambda _command, _reply: undo
    return undo


def _title(story: Story | Deadly) -> str:
    """The story's own first line."""
    return (story.__doc__ or "A story.").partition("\n")[0]
