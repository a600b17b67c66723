"""Given a history, when something happens, then these events are recorded."""

from collections.abc import Collection, Mapping
from typing import Any, Self

from saga.core import events as e
from saga.core.outstanding import view, waits
from saga.define import Definition
from saga.testing.answers import UNDO_SUFFIX
from saga.testing.expected import Expected, difference, matches, spelt_event
from saga.testing.happenings import Happening
from saga.testing.story import BEGIN, Story

Past = Happening | tuple[e.AnyEvent, ...]
"""Something that happened, or a recorded commit, as `Run.commits` has them."""


def given(definition: Definition[Any, Any], *history: Past) -> "Given":
    """A saga with this history; without one, no saga yet.

    Raises LookupError for a history that cannot have happened, TypeError for an answer that breaks its contract.
    """
    case = Given(definition)
    for past in history:
        case.happen(past)
    return case


class Given:
    """A saga with a history. Made by `given`; go on with `when`."""

    def __init__(self, definition: Definition[Any, Any]) -> None:
        self._story = Story(definition.compiled, definition.hash)
        self._now = BEGIN
        self._told: list[str] = []

    @property
    def events(self) -> tuple[e.AnyEvent, ...]:
        """Everything recorded so far."""
        return self._story.events

    def when(self, happening: Happening) -> "Then":
        """Something happens. Raises as `given` does."""
        events = self.happen(happening)
        return Then(self, self._story, events, self._headline())

    def happen(self, past: Past) -> tuple[e.AnyEvent, ...]:
        """Take one thing more into the history; returns what was recorded."""
        if isinstance(past, Happening):
            self._told.append(past.text)
            self._now += past.after
            return self._story.apply(past.input_of(self._story, self._now))
        self._told.append(" ".join(type(event).__name__ for event in past))
        self._story.record(past)
        self._now = max(self._now, past[-1].at)
        return past

    def _headline(self) -> str:
        *past, last = self._told
        return f"{self._story.title}\n  given {', '.join(past) or 'nothing'}\n  when  {last}"


class Then:
    """What followed. Every method raises AssertionError with a diff, and returns itself so that more can be asked."""

    def __init__(self, case: Given, story: Story, events: tuple[e.AnyEvent, ...], headline: str) -> None:
        self._case = case
        self._story = story
        self._headline = headline
        self.events = events
        """What was recorded."""

    def then(self, *expected: Expected) -> Self:
        """Exactly these events were recorded, in this order."""
        same = len(expected) == len(self.events) and all(
            matches(self._story.plan, wanted, happened) for wanted, happened in zip(expected, self.events, strict=True)
        )
        if not same:
            self._fail("then", difference(self._story.plan, expected, self.events))
        return self

    def then_among_others(self, *expected: Expected) -> Self:
        """These were recorded, in this order, whatever stands between them."""
        left = list(expected)
        for happened in self.events:
            if left and matches(self._story.plan, left[0], happened):
                del left[0]
        if left:
            self._fail("then, among others", difference(self._story.plan, expected, self.events))
        return self

    def nothing_happened(self) -> Self:
        """Nothing was recorded."""
        if self.events:
            self._fail("then nothing", [f"+ {spelt_event(event)}" for event in self.events])
        return self

    def then_state(
        self,
        *,
        status: str | None = None,
        because: str | None = None,
        waits_for: Collection[str] | None = None,
        parked: Mapping[str, str] | None = None,
    ) -> Self:
        """The saga stands so: its status, why it compensates, kinds of its wait reasons, codes of parked steps."""
        state, plan = self._story.state, self._story.plan
        stands: dict[str, object] = {
            "status": view(plan, state).status if state.paused_at is None else "paused",
            "because": state.because,
            "waits_for": {wait.kind for wait in waits(plan, state)},
            "parked": {
                f"{path}{UNDO_SUFFIX if each.kind == 'compensation' else ''}": str(each.code)
                for path, each in state.parked.items()
            },
        }
        wanted: dict[str, object] = {
            "status": status,
            "because": because,
            "waits_for": None if waits_for is None else set(waits_for),
            "parked": None if parked is None else dict(parked),
        }
        lines = [
            line
            for name, value in wanted.items()
            if value is not None and value != stands[name]
            for line in (f"- {name}: {value}", f"+ {name}: {stands[name]}")
        ]
        if lines:
            self._fail("then", lines)
        return self

    def when(self, happening: Happening) -> "Then":
        """Something more happens."""
        return self._case.when(happening)

    def _fail(self, word: str, lines: list[str]) -> None:
        told = "\n".join(f"    {line}" for line in lines)
        raise AssertionError(f"{self._headline}\n  {word} (- expected, + happened)\n{told}")
