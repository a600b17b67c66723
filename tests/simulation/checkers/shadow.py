"""A saga's story told again from its events alone, in the plainest way: what the checkers compare the core with."""

import copy
from typing import TYPE_CHECKING

import msgspec

from saga.core import events as e
from saga.core.identity import attempt_id, idempotency_key
from saga.core.messages import Kind
from tests.simulation.store import Commit

if TYPE_CHECKING:
    from saga.core.plan import Plan


DOUBTS = (e.ParkCode.IN_DOUBT, e.ParkCode.KEY_FORGOTTEN)


COPIED = ("undone", "given_up", "parked", "doubts", "blocks", "arms", "items", "turns", "chosen", "bodies", "messages")
"""What a fork must not share."""


class Act(msgspec.Struct):
    """The current execution of a step's action."""

    number: int
    issued: int
    outcome: str | None = None
    settled: int = 0


class Undo(msgspec.Struct):
    """The current execution of a step's compensation."""

    number: int
    open: bool = True


class Shadow:
    """What a reader of the history knows."""

    def __init__(self, saga: str, plan: "Plan") -> None:
        self.saga = saga
        self.plan = plan
        self.clock = 0
        self.acts: dict[str, Act] = {}
        self.undos: dict[str, Undo] = {}
        self.undone: set[str] = set()
        self.given_up: set[str] = set()  # undone while the saga went on elsewhere
        self.parked: dict[str, Kind] = {}
        self.doubts: set[str] = set()
        """Parked steps where the question is whether the action happened."""
        self.blocks: dict[str, str] = {}
        self.arms: dict[str, bool] = {}
        self.items: dict[str, int] = {}
        self.turns: dict[str, int] = {}  # the last one that is through
        self.chosen: dict[str, str] = {}
        self.compensating = False
        self.paused = False
        self.ended: type[e.Event] | None = None
        self.because = ""
        self.unresolved: tuple[str, ...] = ()
        self.bodies: dict[str, bytes] = {}
        """Idempotency key: the one body ever issued under it."""
        self.messages: dict[str, str] = {}  # attempt id: idempotency key
        self.quiet_versions: set[int] = set()
        """Versions at which nothing may be sent."""

    def fork(self) -> "Shadow":
        """A shadow that may run ahead of this one."""
        ahead = copy.copy(self)
        ahead.acts = {path: copy.copy(act) for path, act in self.acts.items()}
        ahead.undos = {path: copy.copy(undo) for path, undo in self.undos.items()}
        for name in COPIED:
            setattr(ahead, name, copy.copy(getattr(self, name)))
        return ahead

    def take(self, commit: Commit) -> None:
        """One commit more."""
        for event in commit.events:
            self.clock += 1
            self.event(event)
        if self.paused or self.ended is not None:
            self.quiet_versions.add(commit.version)

    def event(self, event: e.AnyEvent) -> None:
        """One event more."""
        match event:
            case e.CommandIssued():
                self._issued(event)
            case e.CommandRepeated():
                self._sent(event.path, event.kind, event.execution, event.attempt)
            case e.StepSucceeded():
                self._settled(event.path, "ok")
            case e.StepFailed():
                self._settled(event.path, "failed")
            case e.CompensationSucceeded():
                self.undone.add(event.path)
                self.given_up |= set() if self.compensating else {event.path}
                self._close(event.path)
            case e.CompensationFailed():
                self._close(event.path)
            case _:
                self._standing(event)

    def _standing(self, event: e.AnyEvent) -> None:  # noqa: C901 - a closed match, one line a case
        for path in event.released if isinstance(event, e.BlockFailed | e.BranchChosen) else ():
            self.parked.pop(path, None)
        match event:
            case e.StepParked():
                self.parked[event.path] = event.kind
                self.doubts.discard(event.path)
                undo = self.undos.get(event.path)
                if event.code in DOUBTS and (undo is None or not undo.open):
                    self.doubts.add(event.path)
            case e.StepReleased():
                self.parked.pop(event.path, None)
            case e.ArmChosen():
                self.arms[event.path] = event.taken
            case e.BlockFailed() | e.BlockUndone():
                self.blocks[event.path] = "undoing" if isinstance(event, e.BlockFailed) else "otherwise"
            case e.BranchChosen():
                self.chosen[event.path] = event.branch
                self.blocks |= dict.fromkeys(event.others, "undoing")
            case e.MapStarted():
                self.items[event.path] = len(event.items)
            case e.LoopTurned():
                self.turns[event.path] = event.turn
            case _:
                self._phase(event)

    def _phase(self, event: e.AnyEvent) -> None:
        match event:
            case e.CompensationStarted():
                self.compensating = True
                self.ended = None
                self.because = event.because
                self.parked = {path: kind for path, kind in self.parked.items() if kind is Kind.COMPENSATION}
            case e.SagaPaused():
                self.paused = True
            case e.SagaResumed():
                self.paused = False
            case e.SagaCompleted() | e.SagaCompensated():
                self.ended = type(event)
            case e.SagaAbandoned():
                self.ended = type(event)
                self.unresolved = event.unresolved
            case _:
                pass

    def _issued(self, event: e.CommandIssued) -> None:
        if event.kind is Kind.ACTION:
            self.acts[event.path] = Act(event.execution, self.clock)
            self.undone.discard(event.path)
            self.undos.pop(event.path, None)
            self.parked.pop(event.path, None)
        else:
            self.undos[event.path] = Undo(event.execution)
        key = idempotency_key(self.saga, event.path, event.kind, event.execution)
        self.bodies[key] = bytes(event.body)
        self._sent(event.path, event.kind, event.execution, 1)

    def _sent(self, path: str, kind: Kind, execution: int, attempt: int) -> None:
        key = idempotency_key(self.saga, path, kind, execution)
        self.messages[attempt_id(key, attempt)] = key

    def _settled(self, path: str, outcome: str) -> None:
        act = self.acts[path]
        if act.outcome is None:
            act.settled = self.clock
        act.outcome = outcome
        if path in self.parked and (self.parked[path] is Kind.ACTION or path in self.doubts):
            del self.parked[path]

    def _close(self, path: str) -> None:
        self.parked.pop(path, None)
        if path in self.undos:
            self.undos[path].open = False

    # ------------------------------------------------------------------------------------------------ questions

    def to_undo(self) -> list[str]:
        """What must be undone once it is its turn."""
        wanted: list[str] = []
        for path, act in self.acts.items():
            step = self.plan.step(path)
            if step.undo is None or step.kind != "compensatable" or act.outcome == "failed" or path in self.undone:
                continue
            wanted.append(path)
        return wanted

    def pivot(self) -> str:
        """`not issued`, `undecided`, `passed` or `failed`."""
        for path in self.plan.pivots:
            act = self.acts.get(path)
            if act is not None:
                return {None: "undecided", "ok": "passed", "failed": "failed"}[act.outcome]
        return "not issued"
