"""What expressions read at one place of a run: the input, replies, items, signals and approvals, by template path."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from saga.core.address import TOP, Address, address_of
from saga.core.messages import Outcome
from saga.core.state import Request, SagaState

INPUT = "input"


class Recorded(Mapping[str, bytes]):
    """Recorded JSON as seen from an address. Looked up only where a path leads."""

    __slots__ = ("_at", "_more", "_state", "_with_undone")

    def __init__(
        self, state: SagaState, at: Address, *, with_undone: bool = False, more: Mapping[str, bytes] | None = None
    ) -> None:
        self._state = state
        self._at = at
        self._with_undone = with_undone
        self._more = more or {}

    def __getitem__(self, source: str) -> bytes:
        if source == INPUT:
            return self._state.input
        if source in self._more:
            return self._more[source]
        found = self._item(source) if source in self._at else self._recorded(self._place(source))
        if found is None:
            raise KeyError(source)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter((INPUT, *self._more, *self._state.steps))

    def __len__(self) -> int:
        return 1 + len(self._more) + len(self._state.steps)

    def inside(self, each: str) -> Sequence["Recorded"]:
        """As seen from inside each item of a block, in order; none before it was reached."""
        here = self._place(each)
        count = len(self._state.items.get(here, ()))
        return [
            Recorded(self._state, {**self._at, each: f"{here}[{index}]"}, with_undone=self._with_undone)
            for index in range(count)
        ]

    def _place(self, source: str) -> str:
        """The instance that a template path means here; of a loop that is over, its last turn."""
        if "/" not in source:
            return source
        here = ""
        parts = source.split("/")
        for depth, part in enumerate(parts):
            here = f"{here}/{part}" if here else part
            if depth == len(parts) - 1:
                break
            around = self._at.get("/".join(parts[: depth + 1]))
            if around is not None:
                here = around
            elif here in self._state.turns:
                here = f"{here}#{self._state.turns[here].number}"
        return here

    def _item(self, source: str) -> bytes | None:
        path, _, index = self._at[source].rpartition("[")
        if not index.endswith("]"):
            return None  # a loop has no items
        items = self._state.items.get(path, ())
        number = int(index[:-1])
        return items[number] if number < len(items) else None

    def _recorded(self, place: str) -> bytes | None:
        step = self._state.steps.get(place)
        if step is not None:
            stands = step.action.outcome is Outcome.OK and (self._with_undone or not step.undone)
            return step.reply if stands else None
        if place in self._state.consumed:
            return self._state.consumed[place]
        request = self._state.requests.get(place)
        return None if request is None else _approved(request)


def sources(state: SagaState, at: Address = TOP, *, with_undone: bool = False) -> Recorded:
    """What may be read at an address. With `with_undone` also the replies of steps that were undone."""
    return Recorded(state, at, with_undone=with_undone)


def sources_for(state: SagaState, path: str, *, with_undone: bool = False) -> Recorded:
    """What the block or step at an instance path may read."""
    return Recorded(state, address_of(path), with_undone=with_undone)


class _Approved(msgspec.Struct):
    subject: msgspec.Raw
    approver: str | None
    reason: str | None
    approved_at: str | None


def _approved(request: Request) -> bytes:
    """What an approval says to those who read it; the last approver is named."""
    last = next((d for d in reversed(request.decisions) if d.choice == "approve"), None)
    return msgspec.json.encode(
        _Approved(
            subject=msgspec.Raw(request.subject),
            approver=None if last is None else last.approver,
            reason=None if last is None else last.reason,
            approved_at=None if last is None else last.at.isoformat(),
        )
    )
