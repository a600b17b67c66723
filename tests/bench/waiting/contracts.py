"""What the sagas that wait are about: letters that people approve, and alarms that ring."""

from datetime import datetime

import msgspec

from saga.contract import Command, Effect, command

LETTERS = "letters"
BELLS = "bells"


class Job(msgspec.Struct, frozen=True):
    """Input of the letter saga; `job_id` is its business key."""

    job_id: str
    contact: str


class Drafted(msgspec.Struct, frozen=True):
    """What a writer made of it."""

    subject: str
    body: str


class Posted(msgspec.Struct, frozen=True):
    """The letter is on its way."""

    reference: str


class Alarm(msgspec.Struct, frozen=True):
    """Input of the alarm saga; `alarm_id` is its business key."""

    alarm_id: str
    due_at: datetime


class Rung(msgspec.Struct, frozen=True):
    """The bell rang."""


@command(service=LETTERS, effect=Effect.READ_ONLY)
class DraftLetter(Command[Drafted], frozen=True):
    """First step: answered when the saga begins to wait."""

    job_id: str


@command(service=LETTERS, effect=Effect.AT_MOST_ONCE)
class PostLetter(Command[Posted], frozen=True):
    """What people approve."""

    contact: str
    subject: str
    body: str


@command(service=BELLS, effect=Effect.PROVIDER_KEY)
class RingBell(Command[Rung], frozen=True):
    """What an alarm does when its time has come."""

    alarm_id: str
