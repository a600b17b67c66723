"""Several commands in one transaction: what `commands_per_transaction` asks for.

Only actions of effect `inbox` that nothing is known of yet, each with its own key. They run one after the other, and
all are remembered by one statement. Whatever goes another way than that rolls the whole transaction back, and each is
answered by a transaction of its own: also after a commit of unknown outcome, because then the inbox knows.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import msgspec

from saga.contract import Effect
from saga.core.errors import ProtocolViolation
from saga.core.messages import CommandMessage, Kind, ReplyMessage
from saga.participant import inbox, rules
from saga.participant.answering import addressed_reply
from saga.participant.job import Job, Serving
from saga.participant.outcome import Answer, read_command, run_handler
from saga.ports import Delivery, Transaction
from saga.wire import command_from_wire

log = logging.getLogger("saga.participant")


class _Apart(Exception):
    """Leaves the transaction without its effects: each is to be answered alone."""


class _Ready(msgspec.Struct, frozen=True):
    """A command that may run, as its class."""

    job: Job
    value: object


def may_share(serving: Serving, delivery: Delivery) -> bool:
    """Whether a delivery may be answered in one transaction with others, as far as its address tells."""
    if serving.participant.commands_per_transaction == 1:
        return False
    handler = serving.participant.handlers.get(delivery.routing_key)
    return handler is not None and handler.contract.effect is Effect.INBOX


async def answer_together(serving: Serving, deliveries: Sequence[Delivery]) -> dict[int, ReplyMessage]:
    """Replies by the token of their delivery; who is missing has to be answered alone. Never raises for a command."""
    commands = _readable(deliveries)
    with _running(serving, commands) as jobs:
        try:
            return await _answered(serving, jobs)
        except _Apart:
            return {}
        except Exception as error:  # noqa: BLE001 - whoever is answered alone meets it again, and is told
            about = {"count": len(jobs), "error_type": type(error).__name__, "text": str(error)}
            log.info("commands that shared a transaction are answered one by one", extra=about)
            return {}


def _readable(deliveries: Sequence[Delivery]) -> dict[int, CommandMessage]:
    commands: dict[int, CommandMessage] = {}
    for delivery in deliveries:
        try:
            commands[delivery.token] = command_from_wire(delivery)
        except ProtocolViolation:
            continue
    return commands


@contextmanager
def _running(serving: Serving, commands: dict[int, CommandMessage]) -> Iterator[dict[int, Job]]:
    """Those that are actions, and not at work here already, noted as being at work."""
    jobs: dict[int, Job] = {}
    for token, command in commands.items():
        if command.kind is Kind.ACTION and command.key not in serving.running:
            jobs[token] = Job(serving, serving.participant.handlers[command.type_name], command)
            serving.running[command.key] = jobs[token].context
    try:
        yield jobs
    finally:
        for job in jobs.values():
            del serving.running[job.command.key]


async def _answered(serving: Serving, jobs: dict[int, Job]) -> dict[int, ReplyMessage]:
    """One transaction. Raises _Apart, or what the database raises."""
    if not jobs:
        return {}
    replies: dict[int, ReplyMessage] = {}
    settled: list[tuple[CommandMessage, inbox.Settlement]] = []
    async with serving.database.begin() as tx:
        for token, ready in (await _admitted(serving, jobs, tx)).items():
            began = serving.clock.monotonic()
            with serving.around(ready.job.command) as answered:
                answer = await _run(ready, tx)
                answered(answer.outcome, answer.code)
            spent = timedelta(seconds=serving.clock.monotonic() - began)
            replies[token] = addressed_reply(ready.job.command, answer, spent)
            settled.append((ready.job.command, ready.job.settlement(answer)))
        if settled and not await inbox.record_all(tx, settled):
            raise _Apart
    return replies


async def _admitted(serving: Serving, jobs: dict[int, Job], tx: Transaction) -> dict[int, _Ready]:
    """Whom the inbox lets run; the keys of all are held until the transaction ends."""
    keys = [job.command.key for job in jobs.values()]
    looked = await inbox.look_all(tx, serving.database.dialect, keys)
    ready: dict[int, _Ready] = {}
    for token, job in jobs.items():
        seen = looked[job.command.key]
        job.admit(seen.token, seen.now)
        if not seen.locked or seen.row is not None:
            continue
        if not isinstance(rules.admit(job.command, job.effect, None, job.now()), rules.Run):
            continue
        value = read_command(job.handler, job.command.body)
        if not isinstance(value, Answer):
            ready[token] = _Ready(job, value)
    return ready


async def _run(ready: _Ready, tx: Transaction) -> Answer:
    """What the handler answers. Raises _Apart for what is not to be remembered: its effects must not stay."""
    job = ready.job
    job.context.tx = tx.handle
    answer = await run_handler(job.handler, ready.value, job.context, job.serving.participant.handler_timeout)
    if not answer.settles:
        raise _Apart
    return answer
