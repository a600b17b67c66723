"""The scripts of a run: which answer each sending of a command gets."""

from typing import Any

import msgspec

from saga.contract import Failure
from saga.core.children import SERVICE
from saga.core.definition import CommandTemplate, Step
from saga.core.messages import Kind, Outcome
from saga.core.plan import Plan
from saga.testing.answers import Answer, Answers, Mishap, One, Script, Sent, address, mishap_of, ok, split
from saga.testing.places import general, is_step


class Unscripted(LookupError):
    """A command was sent and nothing says how it is answered."""


class Scripts:
    """Answers by step, used up as commands are sent: `seats[2]/add` in that item, `seats/add` in all the others."""

    def __init__(self, plan: Plan, answers: Answers) -> None:
        """Raises LookupError for an answer to a step that the definition does not have."""
        self._plan = plan
        self._left: dict[str, list[One]] = {}
        self.replace(answers)

    def replace(self, answers: Answers) -> None:
        """From now on these steps are answered so. Raises LookupError for a step the definition does not have."""
        known = [name for step in self._plan.steps.values() for name in _names(step)]
        for step, script in answers.items():
            if general(step) not in known or not is_step(self._plan, step):
                fix = f"answer one of {', '.join(known)}"
                raise LookupError(f"{self._plan.definition.name} has no step {step!r}. Fix: {fix}")
            self._left[step] = _items(script)

    def take(self, sent: Sent) -> Mishap:
        """What becomes of this sending. Raises Unscripted, and TypeError for an answer that breaks the contract."""
        left = self._left.get(sent.step) or self._left.get(general(sent.step))
        path, kind = split(sent.step)
        step = self._plan.step(path)
        if not left:
            if kind is Kind.COMPENSATION:
                return Mishap(answer=ok())
            raise Unscripted(
                f"{self._plan.definition.name}: step {path!r} was sent {sent.type_name}, and nothing says what "
                f"{step.command.service} answers. Fix: answers={{{general(path)!r}: {_reply_name(step.command)}(...)}}"
            )
        taken = mishap_of(left[0](sent) if callable(left[0]) else left[0])
        self._use_up(left, taken)
        if kind is Kind.ACTION:
            check(step, taken.answer)
        return taken

    def _use_up(self, left: list[One], taken: Mishap) -> None:
        if not callable(left[0]) and taken.times is None:
            return
        if not callable(left[0]) and (taken.times or 0) > 1:
            left[0] = msgspec.structs.replace(taken, times=(taken.times or 0) - 1)
        elif len(left) > 1:
            del left[0]
        elif not callable(left[0]):
            left[0] = taken.answer


def check(step: Step, answer: Answer) -> None:
    """Raises TypeError for a reply or failure that the contract of the command does not name."""
    command = step.command
    if answer.plays is not None:
        definition = answer.plays.definition
        name = f"{SERVICE}.{definition.name}.v{definition.version}"
        if name != command.type_name:
            raise TypeError(f"{step.path}: was sent {command.type_name}, which {name} does not play")
    for value in (answer.value, answer.done):
        if value is not None and not isinstance(value, Failure) and _type_name(command, value) != command.reply:
            raise TypeError(
                f"{step.path}: {command.type_name} is answered with {_reply_name(command)}, "
                f"not with {type(value).__name__}"
            )
    if answer.outcome is Outcome.FAILED and answer.code not in command.failures:
        declared = ", ".join(command.failures) or "none"
        raise TypeError(f"{step.path}: {command.type_name} declares no failure {answer.code}; declared: {declared}")


def encoded(step: Step, value: msgspec.Struct | None) -> tuple[str, bytes]:
    """Type name and bytes of a reply. Raises TypeError when there is none."""
    if value is None and _is_child_without_output(step.command):
        return step.command.reply, b"null"
    if value is None:
        raise TypeError(f"{step.path}: ok() without a reply. Fix: {_reply_name(step.command)}(...)")
    return _type_name(step.command, value), msgspec.json.encode(value)


def _is_child_without_output(command: CommandTemplate) -> bool:
    """A sub-saga whose definition returns None: its end says nothing but that it is over."""
    return command.service == SERVICE and _reply_name(command) == type(None).__name__


def encoded_failure(step: Step, answer: Answer) -> tuple[str, bytes]:
    """Type name and bytes of a declared failure; a bare code has no fields."""
    command = step.command
    body = b"{}" if answer.value is None else msgspec.json.encode(answer.value)
    return f"{command.service}.{answer.code}.v{command.version}", body


def sender_of(command: CommandTemplate) -> str:
    """A broker user whose replies to this command are believed."""
    return next((user for user in command.senders if user != "*"), command.service)


def _items(script: Script) -> list[One]:
    items: list[Any] = list(script) if isinstance(script, list | tuple) else [script]
    if not items:
        raise LookupError("an empty script answers nothing. Fix: leave the step out, or give it one answer")
    for item in items:
        if not callable(item):
            mishap_of(item)
    return items


def _names(step: Step) -> list[str]:
    return [step.path] if step.undo is None else [step.path, address(step.path, Kind.COMPENSATION)]


def _type_name(command: CommandTemplate, value: msgspec.Struct) -> str:
    return f"{command.service}.{type(value).__name__}.v{command.version}"


def _reply_name(command: CommandTemplate) -> str:
    return command.reply.split(".")[1]
