"""Answering commands: a participant as a value, what it must do with each delivery, and the loop that does it."""

from saga.participant.answering import answer_command
from saga.participant.declaration import Participant, participant_of
from saga.participant.job import Serving
from saga.participant.located import SagaFields
from saga.participant.loop import run
from saga.participant.serve import Answered, Published, answer_delivery, publish_answers, purge, serve_batch

__all__ = [
    "Answered",
    "Participant",
    "Published",
    "SagaFields",
    "Serving",
    "answer_command",
    "answer_delivery",
    "participant_of",
    "publish_answers",
    "purge",
    "run",
    "serve_batch",
]
